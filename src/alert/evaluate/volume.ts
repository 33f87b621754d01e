import type { Condition } from "../rule.ts";
import { millionthsOf, ratioOf } from "./decimal.ts";
import type { ConditionEvaluator } from "./condition.ts";
import type { MinuteHistory } from "../window/minute-history.ts";

type VolumeSpike = Extract<Condition, { kind: "volume_spike" }>;

const MILLION = 1_000_000n;
const WHOLE = 100_000_000n;

/**
 * Compares the amount traded in the last minutes, the current one included, with the mean of the baseline windows
 * before. Minutes are calendar minutes, so the current window is a little shorter than a full one, and the rule can
 * only fire too late. With an empty window in the baseline the condition does not hold: the source sent no data then,
 * or the subject is hardly traded.
 */
export function volumeEvaluator(
  { window_minutes, times, baseline_windows }: VolumeSpike,
  hysteresis_percent: number,
): ConditionEvaluator {
  const windows = BigInt(baseline_windows);
  const threshold = BigInt(Math.round(times * 1_000_000));
  const back = WHOLE - millionthsOf(hysteresis_percent);
  /** Cached sums of the minutes before the current one, until one of them changes. */
  let settled = { version: -1, window: 0n, baseline: 0n, is_known: false };

  return {
    evaluate(_tick, _arrival, { minutes }, evaluator_state) {
      if (settled.version !== minutes.version) settled = settledAt(minutes, window_minutes, baseline_windows);
      const { baseline, is_known } = settled;
      const amount = settled.window + minutes.amount(minutes.newest, 1);
      const scaled = amount * windows * MILLION;
      const is_held = is_known && scaled > baseline * threshold;
      const is_back = back === WHOLE ? !is_held : scaled * WHOLE <= baseline * threshold * back;
      const measure = is_held ? ratioOf(amount * windows, baseline) : null;
      return {
        evaluations: [
          { direction: null, is_held, is_opening: is_held, is_back, measure, reference: baseline / windows },
        ],
        evaluator_state,
      };
    },
  };
}

function settledAt(minutes: MinuteHistory, window_minutes: number, baseline_windows: number) {
  const first = minutes.newest - window_minutes + 1;
  const sums = sumsAt(minutes, { first, window_minutes, baseline_windows });
  return { ...sums, window: minutes.amount(first, window_minutes - 1) };
}

/** Sums of the window that begins with the minute `first`, and of the baseline windows before it. */
export function sumsAt(
  minutes: MinuteHistory,
  { first, window_minutes, baseline_windows }: { first: number; window_minutes: number; baseline_windows: number },
) {
  const amounts = Array.from({ length: baseline_windows }, (_, index) =>
    minutes.amount(first - (index + 1) * window_minutes, window_minutes),
  );
  return {
    version: minutes.version,
    window: minutes.amount(first, window_minutes),
    baseline: amounts.reduce((sum, amount) => sum + amount, 0n),
    /** Every window of the baseline has an amount. */
    is_known: amounts.every((amount) => amount > 0n),
  };
}
