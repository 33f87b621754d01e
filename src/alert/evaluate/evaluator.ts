import type { Tick } from "../../pipeline/definition.ts";
import type { AlertEvent } from "../alert.ts";
import type { StoredRule } from "../rule.ts";
import { spansOf } from "./condition-evaluators.ts";
import { MINUTE_US } from "../window/minute-history.ts";
import { SubjectHistory, type Spans } from "../window/subject-history.ts";
import type { RuleEvaluator } from "./rule-evaluator.ts";

/** After this many ticks, histories of subjects without a tick in the longest window are removed. */
const SWEEP_TICKS = 50_000;

export interface EvaluatedTick {
  events: AlertEvent[];
  is_historic: boolean;
}

/**
 * Evaluates all rules on a stream of ticks in log order. It has no side effects: the same ticks after the same states
 * give the same events, independent of ticks before the windows. That makes a restart exact.
 */
export class AlertEvaluator {
  readonly spans: Spans;
  readonly #lateness_us: number;
  readonly #evaluators: readonly RuleEvaluator[];
  readonly #histories: Map<string, SubjectHistory>;
  readonly #by_subject = new Map<string, RuleEvaluator[]>();
  #newest_us = -Infinity;
  #ticks_to_sweep = SWEEP_TICKS;

  /**
   * `lateness_s` is the pipeline's (`AlertsDefinition`). Takes over the histories of a previous evaluator, whose
   * windows must cover the rules (`holds`).
   */
  constructor(evaluators: readonly RuleEvaluator[], lateness_s: number, before: AlertEvaluator | null = null) {
    this.#lateness_us = lateness_s * 1e6;
    this.#evaluators = evaluators;
    this.spans = longest(evaluators.map(({ rule }) => rule));
    this.#histories = before === null ? new Map<string, SubjectHistory>() : before.#histories;
    this.#newest_us = before === null ? -Infinity : before.#newest_us;
  }

  /**
   * The time span before the newest tick that must be loaded at a restart: the windows, and twice the lateness, since
   * the next tick may be late and the newest one early.
   */
  get history_us(): number {
    const { prices_us, minutes } = this.spans;
    return Math.max(prices_us ?? 0, (minutes ?? 0) * MINUTE_US) + 2 * this.#lateness_us;
  }

  /** Whether the histories cover the windows of those rules. */
  holds(rules: readonly StoredRule[]): boolean {
    const wanted = longest(rules);
    return (wanted.prices_us ?? 0) <= (this.spans.prices_us ?? 0) && (wanted.minutes ?? 0) <= (this.spans.minutes ?? 0);
  }

  /** Adds a tick that was evaluated before to the histories. */
  learn(tick: Tick): void {
    this.#historyOf(tick.subject).take(tick, this.spans);
    this.#newest_us = Math.max(this.#newest_us, tick.at_us);
  }

  evaluate(tick: Tick, now_us: number): EvaluatedTick {
    const history = this.#historyOf(tick.subject);
    const arrival = history.take(tick, this.spans);
    this.#newest_us = Math.max(this.#newest_us, tick.at_us);
    this.#sweep();
    if (arrival === "historic") return { events: [], is_historic: true };
    const events: AlertEvent[] = [];
    for (const evaluator of this.#evaluatorsOf(tick.subject))
      events.push(...evaluator.evaluate(tick, arrival, history, now_us));
    return { events, is_historic: false };
  }

  #historyOf(subject: string): SubjectHistory {
    let history = this.#histories.get(subject);
    if (history === undefined) this.#histories.set(subject, (history = new SubjectHistory(this.#lateness_us)));
    return history;
  }

  #evaluatorsOf(subject: string): readonly RuleEvaluator[] {
    let matching = this.#by_subject.get(subject);
    if (matching === undefined) {
      matching = this.#evaluators.filter(({ rule }) => rule.subjects === "all" || rule.subjects.includes(subject));
      this.#by_subject.set(subject, matching);
    }
    return matching;
  }

  #sweep(): void {
    this.#ticks_to_sweep -= 1;
    if (this.#ticks_to_sweep > 0) return;
    this.#ticks_to_sweep = SWEEP_TICKS;
    const oldest_us = this.#newest_us - this.history_us;
    for (const [subject, { newest_us }] of this.#histories) if (newest_us < oldest_us) this.#histories.delete(subject);
  }
}

function longest(rules: readonly Pick<StoredRule, "condition">[]): Spans {
  const spans = rules.map(({ condition }) => spansOf(condition));
  const most = (values: (number | null)[]) => values.reduce((a, b) => (b === null ? a : Math.max(a ?? 0, b)), null);
  return {
    prices_us: most(spans.map(({ prices_us }) => prices_us)),
    minutes: most(spans.map(({ minutes }) => minutes)),
  };
}
