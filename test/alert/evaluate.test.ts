import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type { AlertEvent } from "../../src/alert/alert.ts";
import { AlertEvaluator } from "../../src/alert/evaluate/evaluator.ts";
import { RuleEvaluator } from "../../src/alert/evaluate/rule-evaluator.ts";
import type { StoredRule } from "../../src/alert/rule.ts";
import type { Tick } from "../../src/pipeline/definition.ts";
import { compareEvents } from "../../src/pipeline/event-order.ts";
import { FALL, MINUTE_US, START_US, arbitraryTicks, ruleOf, ticksOf, type TestTick } from "./streams.ts";

const LATENESS_S = 300;

function alertEvaluatorOf(rules: readonly StoredRule[]): AlertEvaluator {
  return new AlertEvaluator(
    rules.flatMap((rule) => RuleEvaluator.over(rule) ?? []),
    LATENESS_S,
  );
}

function eventsOf(rule: StoredRule, ticks: readonly Tick[]): AlertEvent[] {
  const evaluator = alertEvaluatorOf([rule]);
  return ticks.flatMap((tick) => evaluator.evaluate(tick, 0).events);
}

/** `fired 10:00.5 fall` …: one line per event, with times in seconds after the start. */
function evaluated(rule: StoredRule, ticks: readonly TestTick[]): string[] {
  return eventsOf(rule, ticksOf(ticks)).map(({ event, alert }) => {
    const at = event === "fired" ? alert.opened_at : (alert.ended_at ?? "");
    return [event, (Date.parse(at) - START_US / 1000) / 1000, alert.direction, alert.subject]
      .filter((word) => word !== null)
      .join(" ");
  });
}

const minute = (count: number) => count * MINUTE_US;

/** The simplest scan: for each tick, all earlier ticks of its window. The window ends with the tick in event order. */
function naiveFalls(ticks: readonly Tick[], percent: bigint, window_us: number): { opened: string[]; ended: string[] } {
  const [opened, ended]: [string[], string[]] = [[], []];
  for (const subject of new Set(ticks.map((tick) => tick.subject))) {
    const accepted: Tick[] = [];
    let [ended_us, is_open] = [-Infinity, false];
    let newest: Tick | null = null;
    for (const tick of ticks.filter((other) => other.subject === subject)) {
      if (tick.at_us < Math.max(newest?.at_us ?? -Infinity, tick.ingested_at_us) - LATENESS_S * 1e6) continue;
      accepted.push(tick);
      const window = accepted
        .filter((other) => other.at_us >= tick.at_us - window_us && compareEvents(other, tick) <= 0)
        .map(({ value }) => value);
      const highest = window.reduce((a, b) => (a > b ? a : b));
      const is_fall = (highest - tick.value) * 100n > highest * percent;
      const is_newest = newest === null || compareEvents(tick, newest) >= 0;
      if (is_newest) newest = tick;
      const where = `${subject} ${tick.offset}`;
      if (is_open && !is_fall && is_newest) [is_open, ended_us] = [ended.push(where) === 0, tick.at_us];
      else if (!is_open && is_fall && (tick.at_us > ended_us || (tick.at_us === ended_us && is_newest)))
        is_open = opened.push(where) > 0;
    }
  }
  return { opened: opened.sort(), ended: ended.sort() };
}

describe("a change within a window", () => {
  const rule = ruleOf({ condition: FALL });

  for (const is_in_order of [true, false]) {
    test(`equals a naive scan of all received ticks, ${is_in_order ? "in order of time" : "with late ticks"}`, () => {
      let fired = 0;
      fc.assert(
        fc.property(arbitraryTicks({ is_in_order }), (ticks) => {
          const events = eventsOf(rule, ticks);
          const opened = events
            .filter(({ event }) => event === "fired")
            .map(({ alert }) => `${alert.subject} ${alert.coordinates?.offset}`);
          const wanted = naiveFalls(ticks, 5n, minute(10));
          assert.deepEqual(opened.sort(), wanted.opened);
          assert.equal(events.filter(({ event }) => event === "recovered").length, wanted.ended.length);
          fired += opened.length;
        }),
        { numRuns: 700 },
      );
      assert.ok(fired > 2_000, `${fired} falls in 700 markets: too few to prove anything`);
    });
  }

  test("does not fire at exactly the threshold, and fires one smallest unit beyond it", () => {
    assert.deepEqual(
      evaluated(rule, [
        { at_us: 0, value: "100" },
        { at_us: 1, value: "95" },
      ]),
      [],
    );
    assert.deepEqual(
      evaluated(rule, [
        { at_us: 0, value: "100" },
        { at_us: 1, value: "94.999999999999999999" },
      ]),
      ["fired 0 fall a"],
    );
  });

  test("compares fractions of a percent exactly", () => {
    const fine = ruleOf({ condition: { ...FALL, percent: 0.1 } });
    assert.deepEqual(
      evaluated(fine, [
        { at_us: 0, value: "1000" },
        { at_us: 1, value: "999" },
      ]),
      [],
    );
    assert.deepEqual(
      evaluated(fine, [
        { at_us: 0, value: "1000" },
        { at_us: 1, value: "998.999999999" },
      ]).length,
      1,
    );
  });

  test("includes a highest price that is exactly as old as the window, and excludes an older one", () => {
    assert.equal(
      evaluated(rule, [
        { at_us: 0, value: "100" },
        { at_us: minute(10), value: "94" },
      ]).length,
      1,
    );
    assert.equal(
      evaluated(rule, [
        { at_us: 0, value: "100" },
        { at_us: minute(10) + 1, value: "94" },
      ]).length,
      0,
    );
  });

  test("with direction either reports a fall and a rise", () => {
    const either = ruleOf({ condition: { ...FALL, direction: "either" } });
    const ticks = [100, 94, 100, 100].map((value, index) => ({ at_us: minute(4 * index), value: String(value) }));
    assert.deepEqual(evaluated(either, ticks), ["fired 240 fall a", "recovered 480 fall a", "fired 480 rise a"]);
  });

  test("is one alert over many ticks, which counts them and keeps the worst value", () => {
    const events = eventsOf(
      rule,
      ticksOf([100, 94, 90, 93, 99].map((value, index) => ({ at_us: minute(index), value: String(value) }))),
    );
    assert.deepEqual(
      events.map(({ event }) => event),
      ["fired", "recovered"],
    );
    const { alert } = events[1]!;
    assert.deepEqual([alert.ticks, alert.worst_value, alert.worst_measure, alert.measure], [3, "90", 10, 6]);
    assert.equal(alert.message, "a fell 6 % within 10 minutes: from 100 to 94");
  });

  test("prints a measure just beyond the threshold with the decimals that show it", () => {
    const [fired] = eventsOf(
      rule,
      ticksOf(["100", "94.9967"].map((value, index) => ({ at_us: minute(index), value }))),
    );
    assert.equal(fired?.alert.message, "a fell 5.003 % within 10 minutes: from 100 to 94.9967");
  });
});

describe("an episode", () => {
  test("ends only when the measure has recovered by the hysteresis", () => {
    const rule = ruleOf({ condition: FALL, hysteresis_percent: 20 });
    const ticks = ["100", "94", "95.5", "94", "96"].map((value, index) => ({ at_us: minute(index), value }));
    assert.deepEqual(evaluated(rule, ticks), ["fired 60 fall a", "recovered 240 fall a"]);
  });

  test("opens again only after the cooldown, then also if the condition already holds", () => {
    const rule = ruleOf({ condition: FALL, cooldown_seconds: 180 });
    const ticks = ["100", "94", "99", "94", "94", "94"].map((value, index) => ({ at_us: minute(index), value }));
    assert.deepEqual(evaluated(rule, ticks), ["fired 60 fall a", "recovered 120 fall a", "fired 240 fall a"]);
  });

  test("is not ended by a late tick, nor opened again by a tick from before its end", () => {
    const rule = ruleOf({ condition: FALL });
    const falling: TestTick[] = [
      { at_us: 0, value: "100" },
      { at_us: minute(2), value: "94" },
    ];
    assert.deepEqual(
      evaluated(rule, [...falling, { at_us: minute(1), value: "100" }, { at_us: minute(3), value: "94" }]),
      ["fired 120 fall a"],
    );
    assert.deepEqual(
      evaluated(rule, [...falling, { at_us: minute(3), value: "100" }, { at_us: minute(1), value: "94" }]),
      ["fired 120 fall a", "recovered 180 fall a"],
    );
  });

  test("belongs to one of the subjects that the rule names", () => {
    const rule = ruleOf({ condition: FALL, subjects: ["b"] });
    const ticks = ["a", "b"].flatMap((subject) => [
      { subject, at_us: 0, value: "100" },
      { subject, at_us: 1, value: "90" },
    ]);
    assert.deepEqual(evaluated(rule, ticks), ["fired 0 fall b"]);
  });
});

test("a late tick is evaluated against the ticks before it, not against those after it", () => {
  const rule = ruleOf({ condition: FALL });
  const ticks: TestTick[] = [
    { at_us: 0, value: "100" },
    { at_us: minute(2), value: "110" },
    { at_us: minute(1), value: "100" },
  ];
  assert.deepEqual(evaluated(rule, ticks), []);
  assert.deepEqual(evaluated(rule, [...ticks, { at_us: minute(1), value: "94" }]), ["fired 60 fall a"]);
});

test("a tick more than five minutes before the newest one, or before its own receipt, is historic", () => {
  const evaluator = alertEvaluatorOf([ruleOf({ condition: FALL })]);
  const ticks = ticksOf([
    { at_us: minute(6), value: "100" },
    { at_us: minute(1), value: "100" },
    { at_us: minute(1) - 1, value: "90" },
  ]);
  assert.deepEqual(
    ticks.map((tick) => evaluator.evaluate(tick, 0).is_historic),
    [false, false, true],
  );
});

describe("a crossed level", () => {
  const above = ruleOf({ condition: { kind: "crosses", direction: "above", level: "100" } });
  const at = (...values: number[]) =>
    values.map((value, index) => ({ at_us: index * 1_000_000, value: String(value) }));

  test("is crossed between two ticks, so the first tick does not fire", () => {
    assert.deepEqual(evaluated(above, at(101, 102)), []);
    assert.deepEqual(evaluated(above, at(100, 101, 102, 100, 101)), [
      "fired 1 above a",
      "recovered 3 above a",
      "fired 4 above a",
    ]);
  });

  test("is crossed in both directions with direction either", () => {
    const either = ruleOf({ condition: { kind: "crosses", direction: "either", level: "100" } });
    assert.deepEqual(evaluated(either, at(99, 101, 98)), ["fired 1 above a", "recovered 2 above a", "fired 2 below a"]);
  });

  test("with hysteresis recovers only when the price is back by the margin", () => {
    const calm = ruleOf({ condition: { kind: "crosses", direction: "above", level: "100" }, hysteresis_percent: 2 });
    assert.deepEqual(evaluated(calm, at(99, 101, 99, 101, 98, 101)), [
      "fired 1 above a",
      "recovered 4 above a",
      "fired 5 above a",
    ]);
  });

  test("is not crossed by a late tick", () => {
    assert.deepEqual(evaluated(above, [...at(99, 99, 99), { at_us: 1_500_000, value: "120" }]), []);
  });
});

describe("ticks with equal times", () => {
  const at = (number: bigint, value: string) => ({ at_us: 1_000_000, product: "x", number, value });

  test("are ordered by their numbers, not by their arrival", () => {
    const below = ruleOf({ condition: { kind: "crosses", direction: "below", level: "3002" } });
    // A message with its newest trade first: the price rose from 3001 to 3003.
    assert.deepEqual(evaluated(below, [at(52n, "3003"), at(51n, "3001")]), []);
    assert.deepEqual(evaluated(below, [at(51n, "3003"), at(52n, "3001")]), ["fired 1 below a"]);
  });

  test("do not form a fall against a tick with a higher number", () => {
    const fall = ruleOf({ condition: FALL });
    assert.deepEqual(evaluated(fall, [at(2n, "100"), at(1n, "90")]), []);
    assert.deepEqual(evaluated(fall, [at(1n, "100"), at(2n, "90")]), ["fired 1 fall a"]);
    assert.deepEqual(evaluated(fall, [at(1n, "100"), at(3n, "99"), at(2n, "90")]), ["fired 1 fall a"]);
  });

  test("are compared exactly by numbers beyond the precision of a double", () => {
    const above = ruleOf({ condition: { kind: "crosses", direction: "above", level: "100" } });
    assert.deepEqual(evaluated(above, [at(2n ** 53n + 1n, "101"), at(2n ** 53n, "99")]), []);
    assert.deepEqual(evaluated(above, [at(2n ** 53n, "99"), at(2n ** 53n + 1n, "101")]), ["fired 1 above a"]);
  });
});

describe("a volume spike", () => {
  const rule = ruleOf({ condition: { kind: "volume_spike", window_minutes: 2, times: 3, baseline_windows: 2 } });
  const traded = (...amounts: number[]) =>
    amounts.map((amount, index) => ({ at_us: minute(index), value: "1", amount: String(amount) }));

  test("fires above the given multiple of the mean of the previous windows", () => {
    assert.deepEqual(evaluated(rule, traded(10, 10, 10, 10, 10, 50)), []);
    assert.deepEqual(evaluated(rule, traded(10, 10, 10, 10, 10, 51, 10, 10)), ["fired 300 a", "recovered 420 a"]);
  });

  test("does not fire while a window of the baseline is empty", () => {
    assert.deepEqual(evaluated(rule, traded(0, 0, 10, 10, 10, 500)), []);
    assert.deepEqual(evaluated(rule, traded(1, 0, 10, 10, 10, 500)).length, 1);
  });
});

describe("a volume fall", () => {
  const condition = { kind: "volume_fall", window_minutes: 2, percent: 50, baseline_windows: 2 } as const;
  const rule = ruleOf({ condition });
  const sold = (...amounts: number[]) =>
    amounts.map((amount, index) => ({ at_us: minute(index), value: "1", amount: String(amount) }));

  test("is evaluated over ended minutes, and fires at the given percentage below the mean of previous windows", () => {
    // The windows before sold 20 each, the last two minutes 10: exactly half.
    assert.deepEqual(evaluated(rule, sold(10, 10, 10, 10, 5, 5)), []);
    assert.deepEqual(evaluated(rule, sold(10, 10, 10, 10, 5, 5, 900)), ["fired 360 a"]);
    assert.deepEqual(evaluated(rule, sold(10, 10, 10, 10, 5, 6, 900)), []);
    assert.deepEqual(evaluated(rule, sold(10, 10, 10, 10, 5, 5, 20, 20)), ["fired 360 a", "recovered 420 a"]);
    const [event] = eventsOf(rule, ticksOf(sold(10, 10, 10, 10, 2, 5, 1)));
    assert.deepEqual(
      [event?.alert.measure, event?.alert.threshold, event?.alert.message],
      [65, 50, "a fell 65 % below its usual amount in 2 minutes"],
    );
  });

  test("counts minutes without a tick as zero", () => {
    const ticks = [...sold(10, 10, 10, 10), { at_us: minute(6), value: "1", amount: "7" }];
    assert.deepEqual(evaluated(rule, ticks), ["fired 360 a"]);
  });

  test("does not fire while a window of the baseline is empty", () => {
    assert.deepEqual(evaluated(rule, sold(0, 0, 10, 10, 1, 1, 1)), []);
    assert.deepEqual(evaluated(rule, sold(1, 0, 10, 10, 1, 1, 1)).length, 1);
  });

  test("recovers only when the amount is back by the hysteresis", () => {
    const kept = ruleOf({ condition, hysteresis_percent: 50 });
    // 45 % below is no longer a fall, but has not recovered by half of the threshold; 25 % below has.
    const ticks = sold(20, 20, 20, 20, 10, 10, 12, 10, 18, 18, 0);
    const [first, ...others] = evaluated(kept, ticks);
    assert.equal(first, "fired 360 a");
    assert.deepEqual(others, wantedEnd(ticks.map(({ amount }) => Number(amount))));
  });

  /** Recovery by arithmetic in floating point: the first later minute that is at most 25 % below the mean. */
  function wantedEnd(amounts: readonly number[]): string[] {
    const sum = (first: number) => (amounts[first] ?? 0) + (amounts[first + 1] ?? 0);
    const end = amounts.findIndex((_, now) => now > 6 && sum(now - 2) >= 0.75 * ((sum(now - 4) + sum(now - 6)) / 2));
    return end < 0 ? [] : [`recovered ${60 * end} a`];
  }

  test("equals a scan of all minutes, for any amounts", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 100 }),
        (amounts, window_minutes, baseline_windows, percent) => {
          const tested = ruleOf({ condition: { kind: "volume_fall", window_minutes, percent, baseline_windows } });
          const sum = (first: number) =>
            amounts.slice(Math.max(0, first), Math.max(0, first + window_minutes)).reduce((a, b) => a + b, 0);
          const wanted: string[] = [];
          let is_open = false;
          for (const now of amounts.keys()) {
            const windows = Array.from({ length: baseline_windows }, (_, n) => sum(now - (n + 2) * window_minutes));
            const mean_times = windows.reduce((a, b) => a + b, 0);
            const is_fall =
              windows.every((amount) => amount > 0) &&
              (mean_times - sum(now - window_minutes) * baseline_windows) * 100 >= mean_times * percent;
            if (is_fall !== is_open) wanted.push(`${is_fall ? "fired" : "recovered"} ${60 * now} a`);
            is_open = is_fall;
          }
          assert.deepEqual(evaluated(tested, sold(...amounts)), wanted);
        },
      ),
    );
  });
});

describe("volatility", () => {
  const rule = ruleOf({ condition: { kind: "volatility", window_minutes: 4, percent: 1 } });

  test("is the sample standard deviation of the log returns of ended minutes", () => {
    const ticks = [100, 101, 100, 103, 100, 100].map((value, index) => ({
      at_us: minute(index),
      value: String(value),
    }));
    const [event] = eventsOf(rule, ticksOf(ticks));
    // The first evaluation is at the tick of minute 3, over the returns of minutes 1 and 2: half of the window.
    const returns = [Math.log(101 / 100), Math.log(100 / 101)];
    const mean = returns.reduce((a, b) => a + b) / 2;
    const wanted = 100 * Math.sqrt(returns.reduce((sum, value) => sum + (value - mean) ** 2, 0));
    assert.ok(Math.abs(event!.alert.measure! - wanted) < 1e-9, `${event?.alert.measure} and ${wanted}`);
  });

  test("needs at least half of the window's minutes", () => {
    const sparse = [100, 120, 100, 130].map((value, index) => ({ at_us: minute(3 * index), value: String(value) }));
    assert.deepEqual(evaluated(rule, sparse), []);
  });
});

test("a restart at any tick changes no event: windows are rebuilt from history, the rest from stored states", () => {
  const rules = [
    ruleOf({ id: "fall", condition: { ...FALL, direction: "either" }, hysteresis_percent: 10, cooldown_seconds: 60 }),
    ruleOf({ id: "level", condition: { kind: "crosses", direction: "either", level: "9700" } }),
    ruleOf({ id: "volume", condition: { kind: "volume_spike", window_minutes: 1, times: 1.5, baseline_windows: 2 } }),
    ruleOf({
      id: "volume-fall",
      condition: { kind: "volume_fall", window_minutes: 2, percent: 20, baseline_windows: 1 },
      hysteresis_percent: 10,
    }),
    ruleOf({ id: "volatility", condition: { kind: "volatility", window_minutes: 4, percent: 1 } }),
  ];
  fc.assert(
    fc.property(arbitraryTicks({ is_in_order: false }), fc.nat(), (ticks, n) => {
      const at = n % ticks.length;
      const whole = alertEvaluatorOf(rules);
      const wanted = ticks.flatMap((tick) => whole.evaluate(tick, 0).events);

      const firsts = rules.flatMap((rule) => RuleEvaluator.over(rule) ?? []);
      const first = new AlertEvaluator(firsts, LATENESS_S);
      const before = ticks.slice(0, at).flatMap((tick) => first.evaluate(tick, 0).events);
      const second = new AlertEvaluator(
        firsts.flatMap(
          (rule_evaluator) =>
            RuleEvaluator.over(rule_evaluator.rule, structuredClone([...rule_evaluator.states.changes()])) ?? [],
        ),
        LATENESS_S,
      );
      const newest_us = Math.max(...ticks.slice(0, at).map(({ at_us }) => at_us));
      for (const tick of ticks.slice(0, at)) if (tick.at_us >= newest_us - second.history_us) second.learn(tick);
      const after = ticks.slice(at).flatMap((tick) => second.evaluate(tick, 0).events);
      assert.deepEqual([...before, ...after], wanted);
    }),
    { numRuns: 700 },
  );
});
