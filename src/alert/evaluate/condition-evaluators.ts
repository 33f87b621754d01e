import type { Condition } from "../rule.ts";
import type { Spans } from "../window/subject-history.ts";
import { changeEvaluator } from "./change.ts";
import type { ConditionEvaluator } from "./condition.ts";
import { crossingEvaluator } from "./crossing.ts";
import { volatilityEvaluator } from "./volatility.ts";
import { volumeFallEvaluator } from "./volume-fall.ts";
import { volumeEvaluator } from "./volume.ts";

/**
 * Null for conditions that ticks do not decide: conditions on sources and layers depend on the clock, those on jobs on
 * reports.
 */
export function conditionEvaluatorFor(
  condition: Condition,
  hysteresis_percent: number,
): (() => ConditionEvaluator) | null {
  switch (condition.kind) {
    case "change":
      return () => changeEvaluator(condition, hysteresis_percent);
    case "crosses":
      return () => crossingEvaluator(condition, hysteresis_percent);
    case "volume_spike":
      return () => volumeEvaluator(condition, hysteresis_percent);
    case "volume_fall":
      return () => volumeFallEvaluator(condition, hysteresis_percent);
    case "volatility":
      return () => volatilityEvaluator(condition, hysteresis_percent);
    case "silent":
    case "lag":
    case "failed":
      return null;
  }
}

export function spansOf(condition: Condition): Spans {
  switch (condition.kind) {
    case "change":
      return { prices_us: condition.window_minutes * 60_000_000, minutes: null };
    case "volume_spike":
      return { prices_us: null, minutes: condition.window_minutes * (condition.baseline_windows + 1) };
    case "volume_fall":
      // One more than the windows: the running minute does not count.
      return { prices_us: null, minutes: condition.window_minutes * (condition.baseline_windows + 1) + 1 };
    case "volatility":
      return { prices_us: null, minutes: condition.window_minutes + 2 };
    case "crosses":
    case "silent":
    case "lag":
    case "failed":
      return { prices_us: null, minutes: null };
  }
}
