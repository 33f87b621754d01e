import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import * as fc from "fast-check";
import type { TickHistory } from "../../src/alert/history.ts";
import type { Alert } from "../../src/alert/alert.ts";
import { beginAlerts, openAlertBook } from "../../src/alert/open.ts";
import { OperatingError } from "../../src/base/errors.ts";
import { HealthEvaluator } from "../../src/alert/evaluate/health-evaluator.ts";
import { AlertEvaluator } from "../../src/alert/evaluate/evaluator.ts";
import { RuleEvaluator } from "../../src/alert/evaluate/rule-evaluator.ts";
import type { Rule, StoredRule } from "../../src/alert/rule.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Tick } from "../../src/pipeline/definition.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { FALL, MINUTE_US, arbitraryTicks, ruleOf, ticksOf } from "./streams.ts";
import { PIPELINE, Tape, runEngine } from "./tape.ts";

const folder = temporaryFolder();
after(() => folder.remove());
let folders = 0;
const freshFolder = () => join(folder.path, String((folders += 1)));

const FALL_RULE = { id: "fall", name: "Falls", condition: FALL };
/** 100, with a fall at each odd index. */
const falls = (count: number) =>
  ticksOf(
    Array.from({ length: count * 2 }, (_, index) => ({
      at_us: index * MINUTE_US,
      value: index % 2 === 0 ? "100" : "94",
    })),
  );

/** Removes the values that differ between two runs: the times at which rules are created and ticks evaluated. */
function essence({
  subject,
  direction,
  opened_at,
  ended_at,
  state,
  ticks,
  until_at,
  worst_value,
  coordinates,
  rule_id,
}: Alert) {
  return { rule_id, subject, direction, opened_at, ended_at, state, ticks, until_at, worst_value, coordinates };
}

function inputOf(rule: StoredRule): Rule {
  const { revision: _revision, created_at: _created_at, updated_at: _updated_at, ...input } = rule;
  return input;
}

const byPlace = (a: { coordinates: Alert["coordinates"]; rule_id: string }, b: typeof a) =>
  (a.coordinates?.offset ?? 0) - (b.coordinates?.offset ?? 0) || (a.rule_id < b.rule_id ? -1 : 1);

describe("the alert engine", () => {
  test("publishes each alert episode once when it is committed, and its end once", async () => {
    const tape = new Tape(falls(3));
    const { engine, events, stop } = await runEngine(freshFolder(), tape, { rules: [FALL_RULE] });
    engine.onAlert(({ alert }) => assert.ok(engine.getAlert(alert.id)));
    tape.absorbAll();
    await engine.idle();
    assert.deepEqual(
      events.map(({ event }) => event),
      ["fired", "recovered", "fired", "recovered", "fired"],
    );
    assert.deepEqual(
      engine.listAlerts().items.map(({ state }) => state),
      ["active", "recovered", "recovered"],
    );
    const { active, alerts, judged_ticks, waiting_ticks, next } = engine.state();
    assert.deepEqual(
      { active, alerts, judged_ticks, waiting_ticks, next },
      { active: 1, alerts: 3, judged_ticks: 6, waiting_ticks: 0, next: { "t/0": 6 } },
    );
    await stop();
  });

  test("lists alerts page by page, newest first, by rule, subject and state", async () => {
    const tape = new Tape(falls(5));
    const { engine, stop } = await runEngine(freshFolder(), tape, { rules: [FALL_RULE] });
    tape.absorbAll();
    await engine.idle();
    const listed: string[] = [];
    for (let cursor: string | undefined; ;) {
      const page = engine.listAlerts({ limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      listed.push(...page.items.map(({ opened_at }) => opened_at));
      if (page.next === null) break;
      cursor = page.next;
    }
    assert.equal(listed.length, 5);
    assert.deepEqual(listed, listed.toSorted().toReversed());
    assert.equal(engine.listAlerts({ state: "active" }).items.length, 1);
    assert.equal(engine.listAlerts({ subject: "b" }).items.length, 0);
    assert.equal(engine.listAlerts({ rule: "fall" }).items.length, 5);
    assert.throws(() => engine.listAlerts({ cursor: "?" }), { code: "INVALID_CURSOR" });
    await stop();
  });

  test("ignores ticks that are later than the pipeline's limit, live and in a back-test", async () => {
    const at = (minute: number, value: string) => ({ at_us: minute * MINUTE_US, value });
    for (const [lateness_s, fired] of [
      [600, 1],
      [300, 0],
    ] as const) {
      const tape = new Tape(ticksOf([at(0, "100"), at(10, "100"), at(3, "94")]));
      const pipeline = { ...PIPELINE, alerts: { default_rules: [FALL_RULE], lateness_s } };
      const { engine, stop } = await runEngine(freshFolder(), tape, { pipeline });
      tape.absorbAll();
      await engine.idle();
      const tested = await engine.testRule("fall");
      assert.deepEqual(
        [engine.state().alerts, engine.state().historic_ticks, tested.fired],
        [fired, 1 - fired, fired],
        `${lateness_s} s`,
      );
      await stop();
    }
  });

  test("does not fire on records from before the lake had alerts", async () => {
    const tape = new Tape(falls(4), 6);
    const { engine, events, stop } = await runEngine(freshFolder(), tape, { rules: [FALL_RULE] });
    tape.absorbAll();
    await engine.idle();
    assert.deepEqual(
      events.map(({ alert }) => alert.coordinates?.offset),
      [7],
    );
    await stop();
  });

  test("resumes at its last commit, whether the live tail begins before, at or after it", async () => {
    const ticks = falls(6);
    for (const begins_at of [0, 4, 5, 9, 12]) {
      const at = freshFolder();
      const first = new Tape(ticks);
      const before = await runEngine(at, first, { rules: [FALL_RULE] });
      first.absorb(5);
      await before.engine.idle();
      await before.stop();
      const second = new Tape(ticks, begins_at);
      const { engine, events, stop } = await runEngine(at, second);
      while (!second.is_at_end) second.absorb(2);
      await engine.idle();
      assert.deepEqual(
        events.filter(({ event }) => event === "fired").map(({ alert }) => alert.coordinates?.offset),
        [5, 7, 9, 11],
        `tail from ${begins_at}`,
      );
      assert.equal(engine.listAlerts().items.length, 6);
      await stop();
    }
  });

  test("rejects a log that ends before the evaluated records, such as a restored copy of it", async () => {
    const at = freshFolder();
    const tape = new Tape(falls(3));
    const { engine, stop } = await runEngine(at, tape);
    tape.absorbAll();
    await engine.idle();
    await stop();
    const begin = (end: number) =>
      beginAlerts(at, PIPELINE, systemClock, { bounds: async () => [{ partition: 0, begin: 0, end }] }, {});
    await begin(6);
    await assert.rejects(begin(5), { code: "ALERTS_AHEAD_OF_LOG" });
  });

  test("reads from the tables what the live tail skipped, with and without a batch after it", async () => {
    const tape = new Tape(falls(6));
    const { engine, events, stop } = await runEngine(freshFolder(), tape, { rules: [FALL_RULE] });
    const offsets = () => events.filter(({ event }) => event === "fired").map(({ alert }) => alert.coordinates?.offset);
    tape.absorb(2);
    tape.skip(4);
    tape.absorb(2);
    await engine.idle();
    assert.deepEqual(offsets(), [1, 3, 5, 7]);
    tape.skip(4);
    await engine.idle();
    assert.deepEqual(offsets(), [1, 3, 5, 7, 9, 11]);
    await stop();
  });

  test("evaluates each tick once where the tables cannot be read for a moment", async () => {
    const tape = new Tape(falls(6));
    let pages = 0;
    const history: TickHistory = {
      ...tape.history,
      async *pages(range) {
        for await (const page of tape.history.pages(range)) {
          yield page;
          pages += 1;
          if (pages === 1) throw new OperatingError("STORAGE_UNREACHABLE", "S3 is away", { next_step: "Wait." });
        }
      },
    };
    const { engine, events, reports, stop } = await runEngine(freshFolder(), tape, { rules: [FALL_RULE], history });
    tape.skip(8);
    tape.absorb(4);
    await engine.idle();
    assert.deepEqual(
      events.filter(({ event }) => event === "fired").map(({ alert }) => alert.coordinates?.offset),
      [1, 3, 5, 7, 9, 11],
    );
    assert.deepEqual([engine.state().judged_ticks, reports.map(({ code }) => code)], [12, ["STORAGE_UNREACHABLE"]]);
    await stop();
  });

  test("reads what the live tail skips while an earlier gap is read, before the batch after it", async () => {
    const tape = new Tape(falls(6));
    let is_later = false;
    const history: TickHistory = {
      ...tape.history,
      async *pages(range) {
        for await (const page of tape.history.pages(range)) {
          yield page;
          if (is_later) continue;
          is_later = true;
          tape.leave(4);
          tape.absorb(2);
        }
      },
    };
    const { engine, events, stop } = await runEngine(freshFolder(), tape, { rules: [FALL_RULE], history });
    tape.skip(6);
    await engine.idle();
    const fired = events.filter(({ event }) => event === "fired").map(({ alert }) => alert.coordinates?.offset);
    assert.deepEqual(fired, [1, 3, 5, 7, 9, 11]);
    await stop();
  });

  test("reads from the tables what arrives faster than it evaluates", async () => {
    const ticks = ticksOf(
      Array.from({ length: 520_000 }, (_, index) => ({
        at_us: index * 1_000,
        value: index === 519_000 ? "90" : "100",
      })),
    );
    const tape = new Tape(ticks);
    const { engine, events, stop } = await runEngine(freshFolder(), tape, { rules: [FALL_RULE] });
    tape.absorb(260_000);
    tape.absorb(260_000);
    await engine.idle();
    assert.deepEqual(
      [events.map(({ event }) => event), engine.state().judged_ticks],
      [["fired", "recovered"], 520_000],
    );
    await stop();
  });
});

describe("rules of a running engine", () => {
  const market = () =>
    ticksOf(
      ["a", "a", "b", "b", "c", "c", "c"].map((subject, index) => ({
        subject,
        at_us: index * MINUTE_US,
        value: index % 2 === 0 ? "100" : "94",
      })),
    );

  test("that another process writes are loaded, with the history that they need", async () => {
    const at = freshFolder();
    const tape = new Tape(market());
    const { engine, events, stop } = await runEngine(at, tape);
    tape.absorb(3);
    await engine.idle();
    const other = await openAlertBook(at, { alerts: { default_rules: [] } }, systemClock);
    await other.createRule(FALL_RULE);
    await other.close();
    tape.absorb(1);
    await engine.idle();
    // b's price of 100 precedes the rule; its price of 94 follows it.
    assert.deepEqual(
      events.map(({ alert }) => alert.subject),
      ["b"],
    );
    await stop();
  });

  test("end their episodes when they are edited, disabled or deleted, and open new ones afterwards", async () => {
    const tape = new Tape(
      ticksOf([100, 94, 94, 94, 94].map((value, index) => ({ at_us: index, value: String(value) }))),
    );
    const { engine, events, stop } = await runEngine(freshFolder(), tape, { rules: [FALL_RULE] });
    const { created_at: _, ...rule } = engine.getRule("fall");
    const step = async () => {
      tape.absorb(1);
      await engine.idle();
    };
    await step();
    await step();
    await engine.replaceRule("fall", { ...rule, severity: "critical" });
    await step();
    await engine.replaceRule("fall", { ...rule, is_enabled: false });
    await step();
    await engine.replaceRule("fall", rule);
    await step();
    await engine.deleteRule("fall");
    await engine.idle();
    const seen = events.map(({ event, alert }) => [event, alert.severity, alert.ended_by]);
    assert.deepEqual(seen, [
      ["fired", "warning", null],
      ["ended", "warning", "rule_changed"],
      ["fired", "critical", null],
      ["ended", "critical", "rule_changed"],
      ["fired", "warning", null],
      ["ended", "warning", "rule_deleted"],
    ]);
    assert.equal(engine.state().active, 0);
    assert.equal(engine.listAlerts({ rule: "fall" }).items.length, 3);
    assert.throws(() => engine.getRule("fall"), { code: "RULE_NOT_FOUND" });
    await stop();
  });

  test("that were deleted stay deleted after a restart, including default rules", async () => {
    const at = freshFolder();
    const { engine, stop } = await runEngine(at, new Tape([]), { rules: [FALL_RULE] });
    await engine.deleteRule("fall");
    await stop();
    const again = await runEngine(at, new Tape([]), { rules: [FALL_RULE] });
    assert.deepEqual(again.engine.listRules(), []);
    await again.stop();
  });

  test("are rejected if they name something that does not exist, exist already, or would change their id", async () => {
    const { engine, stop } = await runEngine(freshFolder(), new Tape([]), { rules: [FALL_RULE] });
    await assert.rejects(engine.createRule({ ...FALL_RULE, id: "x", sinks: ["nowhere"] }), {
      code: "INVALID_RULE",
      message: /sinks.*nowhere/,
    });
    await assert.rejects(engine.createRule(FALL_RULE), { code: "RULE_EXISTS" });
    await assert.rejects(engine.replaceRule("fall", { ...FALL_RULE, id: "other" }), {
      code: "INVALID_RULE",
      message: /id/,
    });
    await assert.rejects(engine.replaceRule("none", FALL_RULE), { code: "INVALID_RULE" });
    await assert.rejects(engine.replaceRule("none", { ...FALL_RULE, id: "none" }), { code: "RULE_NOT_FOUND" });
    await assert.rejects(engine.deleteRule("none"), { code: "RULE_NOT_FOUND" });
    const { id: _, ...nameless } = FALL_RULE;
    assert.deepEqual(
      [(await engine.createRule(nameless)).id, (await engine.createRule(nameless)).id],
      ["falls", "falls-2"],
    );
    await stop();
  });

  test("that another process deletes during an evaluation raise no alert", async () => {
    const at = freshFolder();
    const tape = new Tape(
      ticksOf([
        { at_us: 0, value: "100" },
        { at_us: 1, value: "94" },
      ]),
    );
    const { engine, events, stop } = await runEngine(at, tape, { rules: [FALL_RULE] });
    await engine.idle();
    const other = await openAlertBook(at, { alerts: { default_rules: [] } }, systemClock);
    // The engine evaluates and commits in later turns of the event loop; the other process finishes before the commit.
    const deleting = other.deleteRule("fall");
    tape.absorbAll();
    await deleting;
    await engine.idle();
    assert.deepEqual([events, engine.listAlerts().items], [[], []]);
    await other.close();
    await stop();
  });
});

describe("rules on jobs", () => {
  const rule = { id: "job", name: "A job failed", condition: { kind: "failed", job: "all" }, sinks: ["page", "book"] };

  test("fire once when another process reports a failure, recover at the next success, and are delivered", async () => {
    const at = freshFolder();
    const { engine, events, stop } = await runEngine(at, new Tape([]), { delivery: { base_ms: 10 } });
    await engine.createSink({ id: "book", kind: "file", path: join(at, "book.jsonl") });
    await engine.createRule(rule);
    await engine.idle();
    const other = await openAlertBook(at, { alerts: { default_rules: [] } }, systemClock);
    const report = async (job: string, failure: string | null) => {
      const followed = await other.reportJob({ job, failure });
      await engine.idle();
      return followed.map(({ event }) => event);
    };
    assert.deepEqual(await report("night", null), []);
    assert.deepEqual(await report("night", "silver: no disk"), ["fired"]);
    assert.deepEqual(await report("night", "silver: no disk yet"), []);
    assert.deepEqual(await report("day", "late"), ["fired"]);
    assert.deepEqual(await report("night", null), ["recovered"]);
    await other.close();
    assert.deepEqual(
      events.map(({ event, alert }) => [event, alert.subject, alert.message, alert.state]),
      [
        ["fired", "night", "night failed: silver: no disk", "active"],
        ["fired", "day", "day failed: late", "active"],
        ["recovered", "night", "night failed: silver: no disk", "recovered"],
      ],
    );
    assert.equal(engine.state().active, 1);
    await engine.deleteRule("job");
    await engine.idle();
    assert.deepEqual(
      events.slice(3).map(({ event, alert }) => [event, alert.subject, alert.ended_by]),
      [["ended", "day", "rule_deleted"]],
    );
    await assert.rejects(engine.reportJob({ job: "day", failure: "late" }), { code: "JOB_RULE_NOT_FOUND" });
    const deliveries = events
      .slice(0, 2)
      .flatMap(({ alert }) =>
        engine.getAlert(alert.id).deliveries.map(({ sink, event }) => [alert.subject, sink, event]),
      );
    assert.deepEqual(deliveries, [
      ["night", "book", "fired"],
      ["night", "book", "recovered"],
      ["day", "book", "fired"],
    ]);
    await stop();
  });
});

describe("rules on sources and layers", () => {
  const silent = {
    id: "silent",
    name: "Silent",
    condition: { kind: "silent", seconds: 60, source: "all" },
    hysteresis_percent: 50,
  };
  const lag = { id: "lag", name: "Lag", condition: { kind: "lag", layer: "gold", seconds: 30 } };

  test("fire once when their limit is exceeded, and recover; a restart in between repeats nothing", async () => {
    const at = freshFolder();
    const now_us = () => Date.now() * 1000;
    const sourceSilentFor = (ago_s: number) =>
      ({ source: "x", state: "live", heard_at_us: now_us() - ago_s * 1_000_000 }) as const;
    const first = await runEngine(at, new Tape([]), { rules: [silent, lag] });
    const look = async (running: typeof first, view: Parameters<typeof first.engine.look>[0]) => {
      running.engine.look(view);
      await running.engine.idle();
    };
    await look(first, { sources: [sourceSilentFor(59)], layers: [{ layer: "gold", seconds_behind: 30 }] });
    await look(first, { sources: [sourceSilentFor(61)], layers: [{ layer: "gold", seconds_behind: 31 }] });
    await look(first, { sources: [sourceSilentFor(70)], layers: [{ layer: "gold", seconds_behind: null }] });
    await first.stop();
    const second = await runEngine(at, new Tape([]));
    await look(second, { sources: [{ source: "x", state: "connecting", heard_at_us: null }], layers: [] });
    await look(second, { sources: [sourceSilentFor(45)], layers: [{ layer: "gold", seconds_behind: 31 }] });
    await look(second, { sources: [sourceSilentFor(29)], layers: [{ layer: "gold", seconds_behind: 1 }] });
    await second.stop();
    const seen = [...first.events, ...second.events].map(
      ({ event, alert }) => `${event} ${alert.rule_id} ${alert.subject}`,
    );
    assert.deepEqual(seen, ["fired silent x", "fired lag gold", "recovered silent x", "recovered lag gold"]);
    assert.match(first.events[0]!.alert.message, /^x has been silent for 61 seconds$/);
  });

  test("fire again within the same silence once the cooldown has passed", () => {
    const rule = ruleOf({
      id: "silent",
      condition: { kind: "silent", seconds: 60, source: "all" },
      cooldown_seconds: 600,
    });
    const rule_evaluator = new HealthEvaluator(rule, 0);
    const at = (now_s: number, heard_s: number) =>
      rule_evaluator
        .evaluate(
          { sources: [{ source: "x", state: "live", heard_at_us: heard_s * 1_000_000 }], layers: [] },
          now_s * 1_000_000,
        )
        .map(({ event }) => event);
    assert.deepEqual(
      [at(61, 0), at(100, 99), at(200, 100), at(659, 100), at(661, 100), at(700, 100)],
      [["fired"], ["recovered"], [], [], ["fired"], []],
    );
  });

  test("keep their alerts while the clock is behind the last message", () => {
    const evaluator = new HealthEvaluator(
      ruleOf({ id: "silent", condition: { kind: "silent", seconds: 60, source: "all" } }),
      0,
    );
    const at = (now_s: number, heard_s: number) =>
      evaluator
        .evaluate(
          { sources: [{ source: "x", state: "live", heard_at_us: heard_s * 1_000_000 }], layers: [] },
          now_s * 1_000_000,
        )
        .map(({ event }) => event);
    assert.deepEqual([at(3_700, 3_600), at(110, 3_600), at(111, 110)], [["fired"], [], ["recovered"]]);
  });

  test("do not fire for a source that has ended", async () => {
    const { engine, events, stop } = await runEngine(freshFolder(), new Tape([]), { rules: [silent] });
    engine.look({ sources: [{ source: "x", state: "ended", heard_at_us: 0 }], layers: [] });
    await engine.idle();
    assert.deepEqual(events, []);
    await stop();
  });
});

describe("a back-test", () => {
  test("finds the alerts of the engine, and within a time range those that opened in it", async () => {
    const ticks = falls(6);
    const tape = new Tape(ticks);
    const { engine, stop } = await runEngine(freshFolder(), tape, { rules: [FALL_RULE] });
    tape.absorbAll();
    await engine.idle();
    const found = await engine.testRule("fall");
    assert.deepEqual(found.alerts.map(essence).sort(byPlace), engine.listAlerts().items.map(essence).sort(byPlace));
    assert.deepEqual([found.fired, found.ticks, found.subjects], [6, 12, 1]);
    const part = await engine.testRule(
      { name: "x", condition: FALL },
      { from: found.alerts[1]!.opened_at, to: found.alerts[3]!.opened_at },
    );
    assert.deepEqual(
      part.alerts.map(({ opened_at }) => opened_at),
      found.alerts.slice(1, 3).map(({ opened_at }) => opened_at),
    );
    const few = await engine.testRule("fall", { limit: 2 });
    assert.deepEqual([few.fired, few.alerts.length], [6, 2]);
    await assert.rejects(engine.testRule("none"), { code: "RULE_NOT_FOUND" });
    await assert.rejects(engine.testRule("fall", { from: "yesterday" }), { code: "INVALID_TIME" });
    await assert.rejects(engine.testRule({ name: "x", condition: { kind: "silent", seconds: 1, source: "all" } }), {
      code: "NOT_TESTABLE",
    });
    await stop();
  });
});

test("the alerts equal those of one run over all ticks, for any batches and restarts", async () => {
  const rules = [
    ruleOf({ id: "fall", condition: { ...FALL, direction: "either" }, cooldown_seconds: 60 }),
    ruleOf({ id: "level", condition: { kind: "crosses", direction: "either", level: "9700" } }),
    ruleOf({ id: "volume", condition: { kind: "volume_spike", window_minutes: 1, times: 1.5, baseline_windows: 2 } }),
    ruleOf({
      id: "volume-fall",
      condition: { kind: "volume_fall", window_minutes: 2, percent: 20, baseline_windows: 1 },
      hysteresis_percent: 10,
    }),
    ruleOf({ id: "volatility", condition: { kind: "volatility", window_minutes: 4, percent: 1 } }),
  ];
  const inputs = rules.map(inputOf);
  const wantedOf = (ticks: readonly Tick[]) => {
    const rule_evaluators = rules.flatMap((rule) => RuleEvaluator.over(rule) ?? []);
    const evaluator = new AlertEvaluator(rule_evaluators, PIPELINE.alerts.lateness_s);
    const alerts = new Map<string, Alert>();
    for (const tick of ticks) for (const { alert } of evaluator.evaluate(tick, 0).events) alerts.set(alert.id, alert);
    for (const { states } of rule_evaluators)
      for (const [, { active }] of states.changes()) if (active) alerts.set(active.id, active);
    return [...alerts.values()].map(essence).sort(byPlace);
  };
  const restarts = fc.array(
    fc.record({
      batches: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 4 }),
      back: fc.nat({ max: 60 }),
      ahead: fc.nat({ max: 20 }),
    }),
    { minLength: 1, maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(arbitraryTicks({ is_in_order: false }), restarts, async (ticks, lives) => {
      const at = freshFolder();
      let position = 0;
      for (const { batches, back, ahead } of lives) {
        // The tables may be behind the last evaluated tick or, if the engine lagged, ahead of it.
        const tape = new Tape(ticks, position === 0 ? 0 : Math.max(0, Math.min(ticks.length, position - back + ahead)));
        const { stop } = await runEngine(at, tape, { rules: inputs });
        for (const count of batches) tape.absorb(count);
        await new Promise((resolve) => setImmediate(resolve));
        position = Math.max(position, tape.state().next["t/0"] ?? 0);
        while ((tape.state().next["t/0"] ?? 0) < position) tape.absorb(10);
        await stop();
      }
      const tape = new Tape(ticks, Math.max(0, position - 5));
      const { engine, stop } = await runEngine(at, tape);
      tape.absorbAll();
      await engine.idle();
      const found = engine.listAlerts({ limit: 1_000 }).items.map(essence).sort(byPlace);
      await stop();
      assert.deepEqual(found, wantedOf(ticks));
    }),
    { numRuns: 25, endOnFailure: true },
  );
});
