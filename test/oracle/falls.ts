import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

export interface Fall {
  coin: string;
  fell_at_ms: number;
  until_at_ms: number;
  ticks: number;
}

interface Tick {
  at_ms: number;
  /** The price in units of 1e-18 dollars. */
  price: bigint;
}

/**
 * The falls in a candle file, by the simplest scan: for each tick, the highest price of the window that ends with it.
 * Independent of SQL, logs and tables; a test compares the lake's answer with it.
 */
export function fallsInCandles(path: string, options: { percent: number; minutes: number; hours: number }): Fall[] {
  const falls: Fall[] = [];
  const coins = ticksByCoin(path);
  const latest_ms = Math.max(...[...coins.values()].map((ticks) => ticks.at(-1)?.at_ms ?? 0));
  for (const [coin, ticks] of coins) {
    let open: Fall | null = null;
    let first = 0;
    for (const [index, tick] of ticks.entries()) {
      while ((ticks[first]?.at_ms ?? 0) < tick.at_ms - options.minutes * 60_000) first += 1;
      let highest = 0n;
      for (let other = first; other <= index; other += 1) {
        const price = ticks[other]?.price ?? 0n;
        if (price > highest) highest = price;
      }
      const is_fall = (highest - tick.price) * 100n > highest * BigInt(options.percent);
      if (tick.at_ms <= latest_ms - options.hours * 3_600_000) continue;
      if (!is_fall) open = null;
      else if (open === null) falls.push((open = { coin, fell_at_ms: tick.at_ms, until_at_ms: tick.at_ms, ticks: 1 }));
      else {
        open.until_at_ms = tick.at_ms;
        open.ticks += 1;
      }
    }
  }
  return falls.sort((a, b) => a.fell_at_ms - b.fell_at_ms || (a.coin < b.coin ? -1 : 1));
}

function ticksByCoin(path: string): Map<string, Tick[]> {
  const lines = gunzipSync(readFileSync(path)).toString("utf8").trimEnd().split("\n").slice(1);
  const rows = lines.map((line) => line.split(","));
  const times = [...new Set(rows.map((row) => Number(row[1])))].sort((a, b) => a - b);
  const length_ms = Math.min(...times.slice(1).map((time, index) => time - (times[index] ?? 0)));
  const coins = new Map<string, Tick[]>();
  for (const [name = "", open_time, open = "", high = "", low = "", close = ""] of rows) {
    const start_ms = Number(open_time);
    const ticks = coins.get(name.toLowerCase()) ?? [];
    ticks.push(
      { at_ms: start_ms, price: scaled(open) },
      { at_ms: start_ms + length_ms / 3, price: scaled(low) },
      { at_ms: start_ms + (2 * length_ms) / 3, price: scaled(high) },
      { at_ms: start_ms + length_ms - 1, price: scaled(close) },
    );
    coins.set(name.toLowerCase(), ticks);
  }
  for (const ticks of coins.values()) ticks.sort((a, b) => a.at_ms - b.at_ms);
  return coins;
}

function scaled(text: string): bigint {
  const [whole = "", fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(18, "0"));
}
