import { hasPassed } from "../base/pacing.ts";
import type { AlertEvent } from "./alert.ts";
import type { HealthEvaluator } from "./evaluate/health-evaluator.ts";
import type { RuleEvaluator } from "./evaluate/rule-evaluator.ts";
import { coversOffsets, type LogOffsets } from "../log/offsets.ts";
import type { AlertStore } from "./sqlite/store.ts";

/**
 * Commit interval of progress without an alert. After a restart the engine evaluates the ticks since the last commit
 * again.
 */
const COMMIT_INTERVAL_MS = 1_000;

/** The evaluated offsets, and the events that the store commits with them in one transaction. */
export class EvaluationProgress {
  /** Next offset by `<topic>/<partition>`, in memory; the committed ones may be a second behind. */
  readonly offsets: Record<string, number>;
  #events: AlertEvent[] = [];
  #has_changes = false;
  #committed_us = -Infinity;

  constructor(committed: LogOffsets) {
    this.offsets = { ...committed };
  }

  /** Whether offsets, states or events are not committed yet. */
  get has_changes(): boolean {
    return this.#has_changes;
  }

  covers(offsets: LogOffsets): boolean {
    return coversOffsets(this.offsets, offsets);
  }

  advanceTo(offsets: LogOffsets): void {
    for (const [name, next] of Object.entries(offsets)) {
      if (next <= (this.offsets[name] ?? 0)) continue;
      this.offsets[name] = next;
      this.#has_changes = true;
    }
  }

  addEvents(events: readonly AlertEvent[]): void {
    if (events.length > 0) this.#events.push(...events);
  }

  markStatesChanged(): void {
    this.#has_changes = true;
  }

  /** An event is committed at once, because its listeners wait for it; offsets alone at their interval. */
  isCommitDue(now_us: number): boolean {
    if (this.#events.length > 0) return true;
    return this.#has_changes && hasPassed(now_us - this.#committed_us, COMMIT_INTERVAL_MS);
  }

  /** Commits offsets, events and the evaluators' changed states. Returns the events that the store accepted. */
  async commit(
    store: AlertStore,
    evaluators: readonly (RuleEvaluator | HealthEvaluator)[],
    now_us: number,
  ): Promise<AlertEvent[]> {
    const states = evaluators.flatMap(({ rule, states: own }) =>
      [...own.changes()].map(([subject, state]) => ({ rule, subject, state })),
    );
    const accepted = await store.commit({ events: this.#events, states, next: this.offsets, now_us });
    for (const { states: own } of evaluators) own.madeDurable();
    this.#events = [];
    this.#has_changes = false;
    this.#committed_us = now_us;
    return accepted;
  }
}
