import type { Tick } from "../../pipeline/definition.ts";
import type { Direction } from "../alert.ts";
import type { Arrival, SubjectHistory } from "../window/subject-history.ts";

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
