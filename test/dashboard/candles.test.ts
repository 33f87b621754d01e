import assert from "node:assert/strict";
import { after, test } from "node:test";
import { firstChange } from "../../dashboard/charts/first-change.ts";
import { gapsSeen, refreshAllFrom } from "../../dashboard/pages/coin/candles.ts";
import { CandleFeed } from "../../dashboard/pages/coin/feed.ts";
import { applyPrice, priceOf } from "../../dashboard/state/coins.ts";
import { dispatchEvent } from "../../dashboard/state/events.ts";
import { eventually } from "../support/eventually.ts";
import type { Candle } from "../../pipelines/crypto/api/schemas.ts";

const START_MS = Date.parse("2026-03-14T00:00:00Z");
const timeOf = (minute: number) => new Date(START_MS + minute * 60_000).toISOString();

function candle(minute: number): Candle {
  return { time: timeOf(minute), open: "1", high: "1", low: "1", close: "1", volume: null, price_updates: 1 };
}

const minutes = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => candle(from + index));

test("after a filled gap the chart is refreshed from its first candle, up to the limit of one response", () => {
  assert.equal(refreshAllFrom(minutes(0, 300), 60, 5_000), timeOf(0));
  assert.equal(refreshAllFrom(minutes(0, 300), 60, 100), timeOf(200));
  assert.equal(refreshAllFrom([], 60, 100), null);
});

test("the state of a source without gaps is null, and changes with each change of its gaps", () => {
  const gap = { product: "BTC-USD", from: timeOf(1), to: timeOf(2) } as never;
  assert.equal(gapsSeen({ gaps: [], missed: { open: 0, filled: 0, lost: 0 } }), null);
  const seen = [
    gapsSeen({ gaps: [gap], missed: { open: 3, filled: 0, lost: 0 } }),
    gapsSeen({ gaps: [gap], missed: { open: 1, filled: 2, lost: 0 } }),
    gapsSeen({ gaps: [], missed: { open: 0, filled: 3, lost: 0 } }),
  ];
  assert.equal(new Set(seen).size, 3);
});

test("the first candle that differs is found, or the first added one if all others are equal", () => {
  const shown = minutes(0, 5);
  assert.equal(firstChange(shown, [...minutes(0, 2), { ...candle(2), close: "2" }, candle(3), candle(4)]), 2);
  assert.equal(firstChange(shown, minutes(0, 7)), 5);
});

const { fetch } = globalThis;
after(() => (globalThis.fetch = fetch));

test("candles that are filled hours late appear once the source reports the filled gap", async (t) => {
  // The lake's API, which lacks minutes 10 to 20 until the gap is filled.
  let known = [...minutes(0, 10), ...minutes(20, 300)];
  const asked: (string | null)[] = [];
  globalThis.fetch = (async (path: string) => {
    const { searchParams } = new URL(path, "http://lake");
    asked.push(searchParams.get("from"));
    const items = known
      .filter(({ time }) => time >= (searchParams.get("from") ?? ""))
      .slice(-Number(searchParams.get("limit")));
    return Response.json({ interval: "1m", at: null, snapshots: [], items, last_price: null, next: null });
  }) as typeof globalThis.fetch;
  const feed = new CandleFeed("bitcoin", "1m", null);
  t.after(() => feed.stop());
  const until = (count: number) =>
    new Promise<void>((resolve) => {
      const stop = feed.candles.subscribe((candles) => {
        if (candles?.length === count) queueMicrotask(() => (stop(), resolve()));
      });
    });
  feed.start();
  await until(290);
  const source = {
    source: "kraken",
    state: "live",
    is_silent: false,
    message: null,
    last_message_at: null,
    silent_after_ms: 1,
    reconnects: 1,
  };
  dispatchEvent("source", JSON.stringify({ ...source, missed: { open: 0, filled: 0, lost: 0 }, gaps: [] }), "");
  known = minutes(0, 300);
  dispatchEvent("source", JSON.stringify({ ...source, missed: { open: 0, filled: 10, lost: 0 }, gaps: [] }), "");
  await until(300);
  assert.deepEqual(asked, [null, timeOf(0)]);
});

test("the header's price equals the last candle's close, whichever of list, tick and candles is newest", async (t) => {
  const at = (second: number) => new Date(START_MS + second * 1000).toISOString();
  const last = (price: string, second: number) => ({ price, price_at: at(second), source: "kraken" });
  let answer = { items: [{ ...candle(0), high: "3", close: "3" }], last_price: last("3", 30) };
  globalThis.fetch = (async () =>
    Response.json({ interval: "1m", at: null, snapshots: [], next: null, ...answer })) as typeof globalThis.fetch;
  // The list of coins was answered from the cache: it is older than the candles.
  applyPrice("header", "2", at(20), "kraken");
  const feed = new CandleFeed("header", "1m", null);
  t.after(() => feed.stop());
  const until = async (price: string) => {
    const shown = () => [priceOf("header").peek().price, feed.candles.peek()?.at(-1)?.close];
    await eventually(() => shown().every((value) => value === price), { what: () => `${price}: ${shown().join()}` });
  };
  feed.start();
  await until("3");
  // A list that is newer than the candles.
  applyPrice("header", "5", at(50), "kraken");
  answer = { items: [{ ...candle(0), high: "4", close: "4" }], last_price: last("4", 40) };
  dispatchEvent("gap", "{}", "");
  await until("5");
});
