import type { Tick } from "../../pipeline/definition.ts";
import type { Direction } from "../alert.ts";
import type { Condition } from "../rule.ts";
import { changeEvaluator } from "./change.ts";
import { crossingEvaluator } from "./crossing.ts";
import type { Arrival, Spans, SubjectHistory } from "../window/subject-history.ts";
import { volatilityEvaluator } from "./volatility.ts";
import { volumeEvaluator } from "./volume.ts";

/** The state of a condition at a tick, for one direction. */
export interface Evaluation {
  direction: Direction | null;
  /** Strictly beyond the threshold. */
  is_held: boolean;
  /** Whether an episode may start: the condition holds, and for a crossing the tick before was not beyond the level. */
  is_opening: boolean;
  /** The value is back inside the threshold by the hysteresis: an open episode ends. */
  is_back: boolean;
  /** Per cent, a factor or null, by the kind of rule; computed only where the condition holds. */
  measure: number | null;
  /** The value that the tick was compared with, in units of a tick's value. */
  reference: bigint | null;
}

/** The state of a condition evaluator for one subject that the windows do not restore after a restart; JSON. */
export type EvaluatorState = Record<string, number>;

/** Evaluates one rule's condition on one subject. It returns a new state object where the state must be stored. */
export interface ConditionEvaluator {
  evaluate(
    tick: Tick,
    arrival: Arrival,
    history: SubjectHistory,
    evaluator_state: EvaluatorState,
  ): { evaluations: readonly Evaluation[]; evaluator_state: EvaluatorState };
}

/**
 * Null for conditions that ticks do not decide: the clock decides those on sources and layers, reports those on jobs.
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
    case "volatility":
      return { prices_us: null, minutes: condition.window_minutes + 2 };
    case "crosses":
    case "silent":
    case "lag":
    case "failed":
      return { prices_us: null, minutes: null };
  }
}
