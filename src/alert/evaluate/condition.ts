import type { Tick } from "../../pipeline/definition.ts";
import type { Direction } from "../alert.ts";
import type { Condition } from "../rule.ts";
import { changeEvaluator } from "./change.ts";
import { crossingEvaluator } from "./crossing.ts";
import type { Arrival, Spans, SubjectHistory } from "../window/subject-history.ts";
import { volatilityEvaluator } from "./volatility.ts";
import { volumeEvaluator } from "./volume.ts";

/** Whether a condition holds at a tick, in one direction where it has two. */
export interface Evaluation {
  direction: Direction | null;
  /** Strictly beyond the threshold. */
  is_held: boolean;
  /** Whether an episode may begin here: held, and for a crossing, that the tick before was not beyond. */
  is_opening: boolean;
  /** Back inside the threshold by the hysteresis: an episode ends. */
  is_back: boolean;
  /** Per cent, times or null, as the rule's kind has it; worked out only where it is held. */
  measure: number | null;
  /** What the value was measured against, in units of a tick's value. */
  reference: bigint | null;
}

/** What a condition_evaluator must remember of a subject that no window gives back after a restart; JSON. */
export type EvaluatorState = Record<string, number>;

/** Reads one rule's condition on one subject. `evaluator_state` is its own to change; a new object says that it must be made durable. */
export interface ConditionEvaluator {
  evaluate(
    tick: Tick,
    arrival: Arrival,
    history: SubjectHistory,
    evaluator_state: EvaluatorState,
  ): { evaluations: readonly Evaluation[]; evaluator_state: EvaluatorState };
}

/** Null for conditions that no tick decides: on sources and layers a clock does, on jobs their reports do. */
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
