import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { alertSchema } from "../../src/alert/alert.ts";
import { rulesWithUnknownSubjects, subjectOfAlerts, withSubjectIds } from "../../src/alert/rule-subjects.ts";
import { parseNewRule, parseRule, ruleSchema, slugOf } from "../../src/alert/rule.ts";
import { parseSink, viewOfSink } from "../../src/alert/sink.ts";
import { OperatingError } from "../../src/base/errors.ts";

const FALL = { kind: "change", direction: "fall", percent: 5, window_minutes: 10 } as const;
const rejected = (code: string, words: RegExp) => (error: { code?: string; message?: string }) =>
  error.code === code && words.test(error.message ?? "");

describe("a rule", () => {
  test("requires a name and a condition, and has defaults for the rest", () => {
    assert.deepEqual(parseNewRule({ name: "Falls", condition: FALL }), {
      name: "Falls",
      is_enabled: true,
      severity: "warning",
      subjects: "all",
      condition: FALL,
      cooldown_seconds: 0,
      hysteresis_percent: 0,
      is_recovery_notified: true,
      sinks: ["page"],
    });
  });

  const bad: [what: string, rule: object, words: RegExp][] = [
    ["an unknown kind", { condition: { ...FALL, kind: "falls" } }, /condition\.kind/],
    ["an unknown field", { condition: { ...FALL, minutes: 3 } }, /minutes/],
    ["a fall of 100 percent", { condition: { ...FALL, percent: 100 } }, /condition\.percent/],
    ["more than six decimals", { condition: { ...FALL, percent: 0.000_000_1 } }, /condition\.percent.*six decimals/],
    [
      "a window longer than the kept history",
      { condition: { ...FALL, window_minutes: 1_441 } },
      /condition\.window_minutes/,
    ],
    [
      "a level that is not a plain decimal",
      { condition: { kind: "crosses", direction: "above", level: "1e5" } },
      /condition\.level/,
    ],
    [
      "a baseline longer than the kept history",
      { condition: { kind: "volume_spike", window_minutes: 60, times: 3, baseline_windows: 100 } },
      /baseline_windows/,
    ],
    [
      "a volume fall whose baseline is longer than the kept history",
      { condition: { kind: "volume_fall", window_minutes: 60, percent: 50, baseline_windows: 100 } },
      /baseline_windows/,
    ],
    [
      "a volume fall of more than 100 percent",
      { condition: { kind: "volume_fall", window_minutes: 60, percent: 100.5, baseline_windows: 1 } },
      /condition\.percent/,
    ],
    [
      "subjects of a rule on sources",
      { condition: { kind: "silent", seconds: 60, source: "all" }, subjects: ["a"] },
      /subjects/,
    ],
    ["subjects of a rule on jobs", { condition: { kind: "failed", job: "all" }, subjects: ["a"] }, /subjects/],
    ["an id that is not a slug", { id: "A b" }, /id:/],
    ["an empty list of subjects", { subjects: [] }, /subjects/],
  ];
  for (const [what, change, words] of bad) {
    test(`is rejected with the name of the field: ${what}`, () => {
      assert.throws(
        () => parseRule({ id: "x", name: "x", condition: FALL, ...change }),
        rejected("INVALID_RULE", words),
      );
    });
  }

  test("accepts a level given as a number if it prints as it was typed", () => {
    const rule = parseRule({ id: "x", name: "x", condition: { kind: "crosses", direction: "above", level: 20_000.5 } });
    assert.equal(rule.condition.kind === "crosses" && rule.condition.level, "20000.5");
  });

  test("has a JSON schema, and so has an alert", () => {
    for (const schema of [ruleSchema, alertSchema]) assert.equal(z.toJSONSchema(schema).type, "object");
  });

  test("derives its id from its name", () => {
    assert.equal(slugOf("Any coin down 5 %, fast!"), "any-coin-down-5-fast");
    assert.equal(slugOf("高い"), "rule");
  });
});

describe("a sink", () => {
  test("hides its secret, its path and its arguments in its view", () => {
    const sinks = [
      parseSink({ id: "hook", kind: "webhook", url: "https://user:pass@example.org/secret?key=1" }),
      parseSink({ id: "chat", kind: "slack", url: "https://hooks.example.org/services/T0/B0/secret" }),
      parseSink({ id: "say", kind: "command", argv: ["notify", "--token=secret"] }),
    ];
    assert.doesNotMatch(JSON.stringify(sinks.map(viewOfSink)), /secret|pass|whsec/);
  });

  test("is rejected with the name of the field", () => {
    assert.throws(
      () => parseSink({ id: "x", kind: "webhook", url: "ftp://example.org" }),
      rejected("INVALID_SINK", /url/),
    );
    assert.throws(
      () => parseSink({ id: "x", kind: "webhook", url: "http://example.org", secret: "whsec_c2hvcnQ=" }),
      rejected("INVALID_SINK", /24 to 64 bytes/),
    );
    assert.throws(() => parseSink({ id: "page", kind: "file", path: "x" }), rejected("INVALID_SINK", /always there/));
    assert.throws(() => parseSink({ id: "x", kind: "file", path: "a\0b" }), rejected("INVALID_SINK", /path: no NUL/));
    assert.throws(
      () => parseSink({ id: "x", kind: "command", argv: ["a", "b\0"] }),
      rejected("INVALID_SINK", /argv\.1: no NUL/),
    );
  });

  test("of kind webhook gets its own random secret if none is given", () => {
    const [a, b] = [1, 2].map(() => parseSink({ id: "x", kind: "webhook", url: "http://example.org" }));
    assert.ok(a?.kind === "webhook" && b?.kind === "webhook" && a.secret !== b.secret);
  });
});

describe("subject names", () => {
  const resolve = async (given: string): Promise<string> => {
    if (given === "gold" || given === "BTC") return given === "gold" ? "tether-gold" : "bitcoin";
    throw new OperatingError(given === "TIE" ? "AMBIGUOUS_SUBJECT" : "SUBJECT_NOT_FOUND", given, { next_step: "" });
  };

  test("resolve to ids; a name that does not resolve is kept only if the stored rule already has it", async () => {
    assert.deepEqual(await withSubjectIds({ subjects: ["BTC", "old", "TIE"] }, ["BTC", "old", "TIE"], resolve), {
      subjects: ["bitcoin", "old", "TIE"],
    });
    await assert.rejects(withSubjectIds({ subjects: ["new"] }, ["old"], resolve), { code: "SUBJECT_NOT_FOUND" });
  });

  test("in an alert filter match existing alerts first, then resolve to a subject, else stay unchanged", async () => {
    const about = new Set(["gold"]);
    const book = {
      listAlerts: ({ subject = "" } = {}) => ({ items: about.has(subject) ? [{}] : [], next: null }),
    } as never;
    assert.equal(await subjectOfAlerts(book, "gold", resolve), "gold");
    assert.equal(await subjectOfAlerts(book, "BTC", resolve), "bitcoin");
    assert.equal(await subjectOfAlerts(book, "backup", resolve), "backup");
    await assert.rejects(subjectOfAlerts(book, "TIE", resolve), { code: "AMBIGUOUS_SUBJECT" });
  });

  test("that are not ids of the lake are found in enabled rules, once the lake has subjects", () => {
    const rule = (id: string, change: object) =>
      ({ ...parseRule({ id, name: id, condition: FALL }), ...change }) as never;
    const rules = [
      rule("all", {}),
      rule("typed", { subjects: ["BTC", "bitcoin"] }),
      rule("off", { subjects: ["BTC"], is_enabled: false }),
    ];
    assert.deepEqual(rulesWithUnknownSubjects(rules, [{ id: "bitcoin" }]), [
      { rule: "typed", subjects: ["BTC", "bitcoin"], unknown: ["BTC"] },
    ]);
    assert.deepEqual(rulesWithUnknownSubjects(rules, []), []);
  });
});
