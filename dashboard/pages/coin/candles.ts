import type { Candle } from "../../../pipelines/crypto/api/schemas.ts";
import type { SourceEvent } from "../../../src/serve/schemas/events.ts";

/** Pure functions that refresh a chart: which candles to request, and how to merge the response. */

/** Late ticks may change this many candles before the newest one. */
const UNSETTLED = 11;

/** Event time to refresh from: the newest candle that the API has returned, less those that may still change. */
export function refreshFrom(answered: string, step_s: number): string {
  return new Date(Date.parse(answered) - UNSETTLED * step_s * 1000).toISOString();
}

/**
 * Event time to refresh all candles shown from, as far back as one response of `max` candles reaches. A filled gap may
 * change any of them.
 */
export function refreshAllFrom(shown: readonly Candle[], step_s: number, max: number): string | null {
  const [first, last] = [shown[0], shown.at(-1)];
  if (first === undefined || last === undefined) return null;
  return new Date(Math.max(Date.parse(first.time), Date.parse(last.time) - (max - 1) * step_s * 1000)).toISOString();
}

/** A key of a source's gaps that changes when candles may change; null for a source without gaps. */
export function gapsSeen({ gaps, missed }: Pick<SourceEvent, "gaps" | "missed">): string | null {
  return gaps.length === 0 && missed.filled === 0 ? null : JSON.stringify([gaps, missed.filled]);
}

/**
 * Merges a response into the candles shown: it replaces every candle from `from` on. Candles newer than its last one
 * come from ticks and are kept.
 */
export function joinCandles(
  shown: readonly Candle[],
  fresh: readonly Candle[],
  from: string | null,
): readonly Candle[] {
  const [first, last] = [fresh[0], fresh.at(-1)];
  if (first === undefined || last === undefined) return shown;
  const from_ms = from === null ? Date.parse(first.time) : Date.parse(from);
  const last_ms = Date.parse(last.time);
  return [
    ...shown.filter(({ time }) => Date.parse(time) < from_ms),
    ...fresh,
    ...shown.filter(({ time }) => Date.parse(time) > last_ms),
  ];
}
