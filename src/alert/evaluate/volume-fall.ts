import type { Condition } from "../rule.ts";
import { millionthsOf, ratioOf } from "./decimal.ts";
import type { ConditionEvaluator } from "./condition.ts";
import { sumsAt } from "./volume.ts";

type VolumeFall = Extract<Condition, { kind: "volume_fall" }>;

/** 100 per cent in millionths, the unit of thresholds. */
const WHOLE = 100_000_000n;

/**
 * Compares the amount of the last ended minutes with the mean of the baseline windows before. The running minute does
 * not count: it is always below a full one. The sums therefore change, and with them the evaluation, when a tick opens
 * a new minute or belongs to an earlier one. With an empty window in the baseline the condition does not hold, as for a
 * spike.
 */
export function volumeFallEvaluator(
  { window_minutes, percent, baseline_windows }: VolumeFall,
  hysteresis_percent: number,
): ConditionEvaluator {
  const windows = BigInt(baseline_windows);
  const threshold = millionthsOf(percent);
  const back = WHOLE - millionthsOf(hysteresis_percent);
  let sums = { version: -1, window: 0n, baseline: 0n, is_known: false };

  return {
    evaluate(_tick, _arrival, { minutes }, evaluator_state) {
      if (sums.version !== minutes.version)
        sums = sumsAt(minutes, { first: minutes.newest - window_minutes, window_minutes, baseline_windows });
      const { baseline, is_known } = sums;
      const missing = baseline - sums.window * windows;
      const is_held = is_known && missing * WHOLE >= baseline * threshold;
      const is_back = back === WHOLE ? !is_held : missing * WHOLE * WHOLE <= baseline * threshold * back;
      const measure = is_held ? ratioOf(missing * 100n, baseline) : null;
      return {
        evaluations: [
          { direction: null, is_held, is_opening: is_held, is_back, measure, reference: baseline / windows },
        ],
        evaluator_state,
      };
    },
  };
}
