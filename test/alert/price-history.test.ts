import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { PriceHistory } from "../../src/alert/evaluate/price-history.ts";
import { TicksByTime } from "../../src/alert/evaluate/ticks-by-time.ts";

const SECOND_US = 1_000_000;
const LATENESS_US = 20 * SECOND_US;
const KEEP_US = 60 * SECOND_US;
/** The greatest of a DECIMAL(38). */
const MOST = 10n ** 38n - 1n;

const value = fc.bigInt({ min: -MOST, max: MOST });

test("ticks come back in the order of their times, whatever was dropped meanwhile, and every digit of them", () => {
  const step = fc.oneof({ weight: 5, arbitrary: fc.tuple(fc.nat(50), value) }, { weight: 1, arbitrary: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const ticks = new TicksByTime();
      let expected: [number, bigint][] = [];
      for (const step of steps) {
        if (typeof step === "number") {
          const count = Math.min(step, expected.length);
          ticks.drop(count);
          expected = expected.slice(count);
        } else {
          ticks.add(...step);
          expected = [...expected, step].sort(([one], [other]) => one - other);
        }
      }
      const found = Array.from({ length: ticks.count }, (_, index): [number, bigint] => [ticks.time(index), ticks.value(index)]);
      assert.deepEqual(found, expected);
    }),
  );
});

test("the highest and lowest of any window are those of the ticks in it, for ticks that come late too", () => {
  const arrivals = fc.array(fc.record({ forward_us: fc.nat(3 * SECOND_US), late_us: fc.nat(LATENESS_US + SECOND_US), value, is_late: fc.boolean() }), { maxLength: 200 });
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 1, max: KEEP_US }), (ticks, window_us) => {
      const history = new PriceHistory(LATENESS_US);
      const taken: { at_us: number; value: bigint }[] = [];
      let now_us = 1_000 * SECOND_US;
      for (const tick of ticks) {
        now_us += tick.forward_us;
        const at_us = tick.is_late ? now_us - tick.late_us : now_us;
        if (!history.add(at_us, tick.value, KEEP_US)) continue;
        taken.push({ at_us, value: tick.value });
        const values = taken.filter((other) => other.at_us >= at_us - window_us && other.at_us <= at_us).map((other) => other.value);
        assert.equal(history.highest(at_us, window_us), values.reduce((one, other) => (other > one ? other : one)));
        assert.equal(history.lowest(at_us, window_us), values.reduce((one, other) => (other < one ? other : one)));
      }
    }),
  );
});
