import type { Condition } from "../rule.ts";
import { millionthsOf, unitsOf } from "./decimal.ts";
import type { ConditionEvaluator, EvaluatorState, Evaluation } from "./condition.ts";

type Crosses = Extract<Condition, { kind: "crosses" }>;

const WHOLE = 100_000_000n;

/**
 * A crossing needs two consecutive ticks in event order: the first is not beyond the level, the second is. The first
 * tick of a rule therefore never crosses the level, and neither does a late tick, which has no predecessor.
 */
export function crossingEvaluator({ direction, level }: Crosses, hysteresis_percent: number): ConditionEvaluator {
  const limit = unitsOf(level);
  const margin = millionthsOf(hysteresis_percent);

  return {
    evaluate({ value }, arrival, _history, evaluator_state) {
      const beyond = { above: value > limit, below: value < limit };
      const back = {
        above: value * WHOLE <= limit * (WHOLE - margin),
        below: value * WHOLE >= limit * (WHOLE + margin),
      };
      const evaluations: Evaluation[] = (["above", "below"] as const)
        .filter((side) => direction === "either" || direction === side)
        .map((side) => ({
          direction: side,
          is_held: beyond[side],
          is_opening: beyond[side] && arrival === "newest" && evaluator_state[side] === 0,
          is_back: back[side],
          measure: null,
          reference: limit,
        }));
      return {
        evaluations,
        evaluator_state: arrival === "newest" ? stateAfter(evaluator_state, beyond) : evaluator_state,
      };
    },
  };
}

/** 1 where the last tick was beyond the level, 0 where it was not. */
function stateAfter(
  evaluator_state: EvaluatorState,
  { above, below }: { above: boolean; below: boolean },
): EvaluatorState {
  const [is_above, is_below] = [Number(above), Number(below)];
  return evaluator_state["above"] === is_above && evaluator_state["below"] === is_below
    ? evaluator_state
    : { above: is_above, below: is_below };
}
