import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { PriceHistory } from "../../src/alert/window/price-history.ts";
import { TicksInOrder } from "../../src/alert/window/ticks-in-order.ts";
import { compareEvents, type EventPosition } from "../../src/pipeline/event-order.ts";

const SECOND_US = 1_000_000;
const LATENESS_US = 20 * SECOND_US;
const KEEP_US = 60 * SECOND_US;
/** The largest DECIMAL(38). */
const MOST = 10n ** 38n - 1n;

const value = fc.bigInt({ min: -MOST, max: MOST });
const stream = {
  source: fc.constantFrom("binance", "kraken"),
  product: fc.constantFrom(null, "x", "币安人生USDT"),
  number: fc.option(fc.bigInt({ min: 2n ** 63n - 4n, max: 2n ** 63n - 1n })),
};

test("ticks keep event order and every digit, also after the oldest were dropped", () => {
  const added = fc.record({ at_us: fc.nat(20), value, ...stream });
  const step = fc.oneof({ weight: 5, arbitrary: added }, { weight: 1, arbitrary: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const ticks = new TicksInOrder();
      let expected: (EventPosition & { value: bigint })[] = [];
      for (const [offset, step] of steps.entries()) {
        if (typeof step === "number") {
          const count = Math.min(step, expected.length);
          ticks.drop(count);
          expected = expected.slice(count);
        } else {
          ticks.add(step, step.value);
          expected = [...expected, { ...step, partition: 0, offset, element_index: 0 }].sort(compareEvents);
        }
      }
      const found = Array.from({ length: ticks.count }, (_, index): [number, bigint] => [
        ticks.time(index),
        ticks.value(index),
      ]);
      assert.deepEqual(
        found,
        expected.map((tick) => [tick.at_us, tick.value]),
      );
    }),
  );
});

test("the highest and lowest value of any window are those of its ticks, also with late ticks", () => {
  const arrivals = fc.array(
    fc.record({
      forward_us: fc.oneof(fc.constant(0), fc.nat(3 * SECOND_US)),
      late_us: fc.oneof(fc.constant(0), fc.nat(LATENESS_US + SECOND_US)),
      is_late: fc.boolean(),
      value,
      ...stream,
    }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 1, max: KEEP_US }), (ticks, window_us) => {
      const history = new PriceHistory(LATENESS_US);
      const taken: (EventPosition & { value: bigint })[] = [];
      let now_us = 1_000 * SECOND_US;
      for (const [offset, { forward_us, late_us, is_late, ...arrived }] of ticks.entries()) {
        now_us += forward_us;
        const tick = { ...arrived, at_us: is_late ? now_us - late_us : now_us, partition: 0, offset, element_index: 0 };
        if (!history.add(tick, KEEP_US)) continue;
        taken.push(tick);
        const window = taken.filter(
          (other) => other.at_us >= tick.at_us - window_us && compareEvents(other, tick) <= 0,
        );
        const values = window.map((other) => other.value);
        assert.equal(
          history.highest(tick, window_us),
          values.reduce((one, other) => (other > one ? other : one)),
        );
        assert.equal(
          history.lowest(tick, window_us),
          values.reduce((one, other) => (other < one ? other : one)),
        );
      }
    }),
  );
});
