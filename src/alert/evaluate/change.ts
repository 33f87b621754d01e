import type { Tick } from "../../pipeline/definition.ts";
import type { Condition } from "../rule.ts";
import { millionthsOf, ratioOf } from "./decimal.ts";
import type { ConditionEvaluator, Evaluation } from "./condition.ts";

type Change = Extract<Condition, { kind: "change" }>;

/** 100 per cent in millionths, the unit of thresholds. */
const WHOLE = 100_000_000n;

/**
 * Compares a tick with the highest (lowest) value of the window that ends with it, in integers: `(highest - value) *
 * 100 > highest * percent`, with percent in millionths. Nothing is rounded, so a fall of exactly that many per cent
 * does not fire.
 */
export function changeEvaluator(
  { direction, percent, window_minutes }: Change,
  hysteresis_percent: number,
): ConditionEvaluator {
  const window_us = window_minutes * 60_000_000;
  const threshold = millionthsOf(percent);
  const back = WHOLE - millionthsOf(hysteresis_percent);

  const judge = (direction_read: "fall" | "rise", distance: bigint, reference: bigint): Evaluation => {
    const scaled = distance * WHOLE;
    const limit = reference * threshold;
    const is_held = scaled > limit;
    const is_back = back === WHOLE ? !is_held : scaled * WHOLE <= limit * back;
    return {
      direction: direction_read,
      is_held,
      is_opening: is_held,
      is_back,
      measure: is_held ? ratioOf(distance * 100n, reference) : null,
      reference,
    };
  };

  return {
    evaluate(tick: Tick, _arrival, { prices }, evaluator_state) {
      const evaluations: Evaluation[] = [];
      if (direction !== "rise") {
        const highest = prices.highest(tick, window_us) ?? tick.value;
        evaluations.push(judge("fall", highest - tick.value, highest));
      }
      if (direction !== "fall") {
        const lowest = prices.lowest(tick, window_us) ?? tick.value;
        evaluations.push(judge("rise", tick.value - lowest, lowest));
      }
      return { evaluations, evaluator_state };
    },
  };
}
