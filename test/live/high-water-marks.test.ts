import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { HighWaterMarks } from "../../src/live/high-water-marks.ts";

function trade(number: bigint | null, sequence_key = "binance|BTCUSDT", date = "2026-11-25") {
  return { number, sequence_key, date, has_timestamp_identity: false };
}

test("a batch is increasing only if each number exceeds all earlier ones of its product and date", () => {
  const heads = new HighWaterMarks();
  heads.learn("2026-11-25", [["binance|BTCUSDT", 7n]]);
  assert.equal(heads.areStrictlyIncreasing([]), true);
  assert.equal(heads.areStrictlyIncreasing([trade(8n), trade(9n), trade(1n, "kraken|BTC/USD")]), true);
  assert.equal(heads.areStrictlyIncreasing([trade(7n)]), false);
  assert.equal(heads.areStrictlyIncreasing([trade(8n), trade(8n)]), false);
  assert.equal(heads.areStrictlyIncreasing([trade(9n), trade(8n)]), false);
  assert.equal(heads.areStrictlyIncreasing([trade(8n), trade(null)]), false);
  heads.advance([trade(9n)]);
  assert.equal(heads.areStrictlyIncreasing([trade(9n)]), false);
  assert.equal(heads.areStrictlyIncreasing([trade(10n)]), true);
});

test("an increasing batch contains no duplicate, for any earlier batches", () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.tuple(fc.nat(6), fc.nat(1)), { maxLength: 5 }), { maxLength: 8 }), (batches) => {
      const heads = new HighWaterMarks();
      heads.learn("2026-11-25", []);
      const accepted = new Set<string>();
      for (const batch of batches) {
        const trades = batch.map(([number, product]) => trade(BigInt(number), String(product)));
        if (heads.areStrictlyIncreasing(trades)) {
          const keys = trades.map(({ number, sequence_key }) => `${sequence_key} ${number}`);
          assert.equal(new Set(keys).size, keys.length);
          for (const key of keys) assert.ok(!accepted.has(key), key);
        }
        for (const { number, sequence_key } of trades) accepted.add(`${sequence_key} ${number}`);
        heads.advance(trades);
      }
    }),
  );
});
