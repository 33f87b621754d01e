import type { Candle } from "../../pipelines/crypto/api/schemas.ts";

/** Index of the first candle that differs; the length of the shorter list if none does. */
export function firstChange(shown: readonly Candle[], candles: readonly Candle[]): number {
  const length = Math.min(shown.length, candles.length);
  for (let index = 0; index < length; index += 1) {
    const [before, after] = [shown[index], candles[index]];
    if (before !== undefined && after !== undefined && !isSame(before, after)) return index;
  }
  return length;
}

function isSame(a: Candle, b: Candle): boolean {
  return (
    a === b ||
    (["time", "open", "high", "low", "close", "volume", "price_updates"] as const).every((name) => a[name] === b[name])
  );
}
