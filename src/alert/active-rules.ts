import type { AlertEvent } from "./alert.ts";
import { AlertEvaluator } from "./evaluate/evaluator.ts";
import { HealthEvaluator } from "./evaluate/health-evaluator.ts";
import { RuleEvaluator } from "./evaluate/rule-evaluator.ts";
import type { StoredRule } from "./rule.ts";
import type { AlertStore } from "./sqlite/store.ts";

/** Returns an evaluator whose windows hold the ticks before the evaluated offsets; null where the signal aborted. */
export type LoadWindows = (evaluators: readonly RuleEvaluator[]) => Promise<AlertEvaluator | null>;

/** The evaluators of the enabled rules. A new or edited rule starts with the next tick. */
export class ActiveRules {
  readonly #store: AlertStore;
  readonly #started_us: number;
  readonly #lateness_s: number;
  #evaluators: readonly (RuleEvaluator | HealthEvaluator)[] = [];
  #alert_evaluator: AlertEvaluator;
  #is_loaded = false;

  /** `started_us`: from when the silence of a source without any message counts. */
  constructor(store: AlertStore, { started_us, lateness_s }: { started_us: number; lateness_s: number }) {
    this.#store = store;
    this.#started_us = started_us;
    this.#lateness_s = lateness_s;
    this.#alert_evaluator = new AlertEvaluator([], lateness_s);
  }

  get evaluators(): readonly (RuleEvaluator | HealthEvaluator)[] {
    return this.#evaluators;
  }

  /** The evaluator of every tick rule. */
  get alert_evaluator(): AlertEvaluator {
    return this.#alert_evaluator;
  }

  get health_evaluators(): readonly HealthEvaluator[] {
    return this.#evaluators.filter((evaluator) => evaluator instanceof HealthEvaluator);
  }

  /** Whether the enabled rules in the store are the ones in use, at the same revisions. */
  isCurrent(): boolean {
    const rules = this.#enabledRules();
    const keys = new Set(this.#evaluators.map(({ rule }) => keyOf(rule)));
    return this.#is_loaded && rules.length === keys.size && rules.every((rule) => keys.has(keyOf(rule)));
  }

  /**
   * Loads the enabled rules from the store. Call it only after the changed states of the present rules are committed.
   * Loads windows from the lake where the present ones do not reach far enough back. Returns the events of episodes
   * that ended with their rules.
   */
  async reload(loadWindows: LoadWindows): Promise<AlertEvent[]> {
    const known = new Map(this.#evaluators.map((evaluator) => [keyOf(evaluator.rule), evaluator]));
    const evaluators = this.#enabledRules().map((rule) => known.get(keyOf(rule)) ?? this.#evaluatorOf(rule));
    const on_ticks = evaluators.filter((evaluator) => evaluator instanceof RuleEvaluator);
    const covers_windows = this.#is_loaded && this.#alert_evaluator.holds(on_ticks.map(({ rule }) => rule));
    const alert_evaluator = covers_windows
      ? new AlertEvaluator(on_ticks, this.#lateness_s, this.#alert_evaluator)
      : await loadWindows(on_ticks);
    if (alert_evaluator === null) return [];
    const replaced = this.#evaluators.filter((evaluator) => !evaluators.includes(evaluator));
    this.#alert_evaluator = alert_evaluator;
    this.#evaluators = evaluators;
    this.#is_loaded = true;
    return replaced.flatMap((evaluator) => this.#endedWith(evaluator));
  }

  #enabledRules(): StoredRule[] {
    return this.#store.rules().filter(({ is_enabled }) => is_enabled);
  }

  #evaluatorOf(rule: StoredRule): RuleEvaluator | HealthEvaluator {
    const states = rule.condition.kind === "failed" ? [] : this.#store.states(rule.id);
    return RuleEvaluator.over(rule, states) ?? new HealthEvaluator(rule, this.#started_us, states);
  }

  /** The transaction that edited or deleted the rule also ended its active alerts. */
  #endedWith({ states }: RuleEvaluator | HealthEvaluator): AlertEvent[] {
    return [...states.subjects()].flatMap((subject): AlertEvent[] => {
      const { active } = states.get(subject);
      const alert = active === null ? null : this.#store.alert(active.id);
      return alert?.state === "recovered" ? [{ event: "ended", alert }] : [];
    });
  }
}

function keyOf({ id, revision, created_at }: StoredRule): string {
  return JSON.stringify([id, revision, created_at]);
}
