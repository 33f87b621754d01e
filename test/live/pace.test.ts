import assert from "node:assert/strict";
import { test } from "node:test";
import { AbsorbPace, RebindPace } from "../../src/live/pace.ts";

/**
 * A stream of `records_per_s`, absorbed in batches of `cost_ms` each: returns the share of a core and the longest cycle
 * in steady state.
 */
function absorbed(records_per_s: number, cost_ms: number): { share: number; longest_ms: number } {
  const pace = new AbsorbPace();
  let now_ms = 0;
  let taken = 0;
  let busy_ms = 0;
  let longest_ms = 0;
  while (now_ms < 20_000) {
    const began_ms = now_ms;
    const arrived = Math.floor((now_ms * records_per_s) / 1000) + 1;
    const records = arrived - taken;
    taken = arrived;
    now_ms += cost_ms;
    const rest_ms = pace.rest_ms(records, cost_ms, now_ms);
    now_ms += rest_ms;
    if (began_ms < 10_000) continue;
    busy_ms += cost_ms;
    longest_ms = Math.max(longest_ms, now_ms - began_ms);
    // Without new records, the tail waits for the next one.
    if (Math.floor((now_ms * records_per_s) / 1000) + 1 === taken) now_ms = Math.ceil((taken * 1000) / records_per_s);
  }
  return { share: busy_ms / 10_000, longest_ms };
}

test("a slow stream is absorbed with a tenth of a core, in cycles of at most 120 ms", () => {
  for (const records_per_s of [1, 10, 40, 200, 400]) {
    for (const cost_ms of [1, 5, 12]) {
      const { share, longest_ms } = absorbed(records_per_s, cost_ms);
      assert.ok(
        share <= 0.105 && longest_ms <= 120,
        `${records_per_s}/s, ${cost_ms} ms: ${share} of a core, ${longest_ms} ms`,
      );
    }
  }
  assert.ok(absorbed(100, 80).longest_ms <= 120);
});

test("a fast stream is absorbed without delay", () => {
  for (const cost_ms of [2, 10, 40])
    assert.ok(absorbed(1_000, cost_ms).longest_ms <= Math.max(10, cost_ms), `${cost_ms} ms`);
});

test("the delay is at most 120 ms where the clock was set back by an hour during a batch", () => {
  const pace = new AbsorbPace();
  assert.ok(pace.rest_ms(1, -3_600_000, 0) <= 120);
});

test("a rebind is due after 50 times the last one's duration, after 30 s, or if the clock was set back", () => {
  const pace = new RebindPace();
  assert.ok(pace.isDue(0));
  pace.took(1_000_000, 1_100_000);
  assert.deepEqual(
    [5_900_000, 6_000_000].map((now_us) => pace.isDue(now_us)),
    [false, true],
  );
  pace.took(100_000_000, 110_000_000);
  assert.deepEqual(
    [129_000_000, 130_000_000].map((now_us) => pace.isDue(now_us)),
    [false, true],
  );
  assert.ok(pace.isDue(1_000_000));
});
