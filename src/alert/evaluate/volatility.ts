import type { Condition } from "../rule.ts";
import type { ConditionEvaluator } from "./condition.ts";

type Volatility = Extract<Condition, { kind: "volatility" }>;

/**
 * The sample standard deviation of the one-minute log returns of the last complete minutes, in per cent and in floating
 * point. Only consecutive minutes have a return. Where less than half of the window has one, the condition does not
 * hold.
 */
export function volatilityEvaluator(
  { window_minutes, percent }: Volatility,
  hysteresis_percent: number,
): ConditionEvaluator {
  const least = Math.max(2, Math.ceil(window_minutes / 2));
  const back = percent * (1 - hysteresis_percent / 100);
  let settled: { version: number; measure: number | null } = { version: -1, measure: null };

  return {
    evaluate(_tick, _arrival, { minutes }, evaluator_state) {
      if (settled.version !== minutes.version) {
        const returns = minutes.logReturns(minutes.newest - window_minutes, window_minutes);
        settled = { version: minutes.version, measure: returns.length < least ? null : 100 * sampleDeviation(returns) };
      }
      const { measure } = settled;
      const is_held = measure !== null && measure > percent;
      const evaluation = {
        direction: null,
        is_held,
        is_opening: is_held,
        is_back: (measure ?? 0) <= back,
        measure: is_held ? measure : null,
        reference: null,
      };
      return { evaluations: [evaluation], evaluator_state };
    },
  };
}

function sampleDeviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}
