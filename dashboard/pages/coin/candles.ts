import type { Candle } from "../../../pipelines/crypto/api/schemas.ts";
import type { SourceEvent } from "../../../src/serve/schemas/events.ts";

/** Pure parts of a chart that is kept fresh: what to ask for, and how to join the answer. */

/** Late ticks may still change this many candles before the newest one. */
const UNSETTLED = 11;

/** Event time to refresh from: the newest candle that the lake has answered, less those that may still change. */
export function refreshFrom(answered: string, step_s: number): string {
  return new Date(Date.parse(answered) - UNSETTLED * step_s * 1000).toISOString();
}

/**
 * Event time to refresh all that is shown from, as far back as one answer of `max` candles reaches: where a gap was filled, any of them may
 * have changed.
 */
export function refreshAllFrom(shown: readonly Candle[], step_s: number, max: number): string | null {
  const [first, last] = [shown[0], shown.at(-1)];
  if (first === undefined || last === undefined) return null;
  return new Date(Math.max(Date.parse(first.time), Date.parse(last.time) - (max - 1) * step_s * 1000)).toISOString();
}

/** A source's gaps as far as they change candles; null for a source without any. */
export function gapsSeen({ gaps, missed }: Pick<SourceEvent, "gaps" | "missed">): string | null {
  return gaps.length === 0 && missed.filled === 0 ? null : JSON.stringify([gaps, missed.filled]);
}

/**
 * The candles shown, with the lake's answer in place of every candle from `from` on. The answer holds all that the lake has from
 * then; newer candles than its last come from ticks, and stay.
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
