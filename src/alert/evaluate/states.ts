import type { Alert } from "../alert.ts";
import type { EvaluatorState } from "./condition.ts";

/**
 * The state of a rule for one subject. The store commits it in one transaction with the alerts and the evaluated
 * offsets.
 */
export interface SubjectState {
  active: Alert | null;
  /** Event time of the tick that ended the last episode. Ticks that are not later belong to that episode. */
  ended_at_us: number | null;
  /** Event time at which the last episode opened, for the cooldown. */
  opened_at_us: number | null;
  evaluator_state: EvaluatorState;
}

export const UNTOUCHED: Readonly<SubjectState> = {
  active: null,
  ended_at_us: null,
  opened_at_us: null,
  evaluator_state: {},
};

/** The states of one rule by subject. Tracks which of them are not durable yet. */
export class SubjectStates {
  readonly #states = new Map<string, SubjectState>();
  readonly #changed = new Set<string>();

  constructor(states: Iterable<[subject: string, state: SubjectState]>) {
    for (const [subject, state] of states) this.#states.set(subject, { ...state });
  }

  get(subject: string): Readonly<SubjectState> {
    return this.#states.get(subject) ?? UNTOUCHED;
  }

  change(subject: string, change: Partial<SubjectState>): void {
    this.#states.set(subject, { ...this.get(subject), ...change });
    this.#changed.add(subject);
  }

  subjects(): Iterable<string> {
    return this.#states.keys();
  }

  /** The states that are not durable yet. */
  *changes(): Iterable<[subject: string, state: SubjectState]> {
    for (const subject of this.#changed) yield [subject, this.get(subject)];
  }

  get has_changes(): boolean {
    return this.#changed.size > 0;
  }

  madeDurable(): void {
    this.#changed.clear();
  }
}
