import type { Candle } from "../../../pipelines/crypto/api/schemas.ts";

/** Pure parts of a chart that is kept fresh: what to ask for, how to join the answer, and what has to be drawn again. */

/** Late ticks may still change this many candles before the newest one. */
const UNSETTLED = 11;

/** Event time to refresh from: the newest candle that the lake has answered, less those that may still change. */
export function refreshFrom(answered: string, step_s: number): string {
  return new Date(Date.parse(answered) - UNSETTLED * step_s * 1000).toISOString();
}

/**
 * The candles shown, with the lake's answer in place of every candle from `from` on. The answer holds all that the lake has from
 * then; newer candles than its last come from ticks, and stay.
 */
export function joinCandles(shown: readonly Candle[], fresh: readonly Candle[], from: string | null): readonly Candle[] {
  const [first, last] = [fresh[0], fresh.at(-1)];
  if (first === undefined || last === undefined) return shown;
  const from_ms = from === null ? Date.parse(first.time) : Date.parse(from);
  const last_ms = Date.parse(last.time);
  return [...shown.filter(({ time }) => Date.parse(time) < from_ms), ...fresh, ...shown.filter(({ time }) => Date.parse(time) > last_ms)];
}

/** Index of the first candle that is not as it was shown; the length of the shorter list where none differs. */
export function firstChange(shown: readonly Candle[], candles: readonly Candle[]): number {
  const length = Math.min(shown.length, candles.length);
  for (let index = 0; index < length; index += 1) {
    const [before, after] = [shown[index], candles[index]];
    if (before !== undefined && after !== undefined && !isSame(before, after)) return index;
  }
  return length;
}

function isSame(a: Candle, b: Candle): boolean {
  return a === b || (["time", "open", "high", "low", "close", "volume", "price_updates"] as const).every((name) => a[name] === b[name]);
}
