import { isoFromMicros } from "../../base/clock.ts";
import type { Tick } from "../../pipeline/definition.ts";
import { alertId, type Alert, type AlertEvent, type Direction } from "../alert.ts";
import { messageFor, thresholdOf, type Finding } from "../message.ts";
import type { StoredRule } from "../rule.ts";
import { textOf } from "./decimal.ts";
import type { ConditionEvaluator, Evaluation } from "./condition.ts";
import { conditionEvaluatorFor } from "./condition-evaluators.ts";
import { SubjectStates, type SubjectState } from "./states.ts";
import type { Arrival, SubjectHistory } from "../window/subject-history.ts";

/**
 * Evaluates one rule on all its subjects. An episode opens at the first tick on which the condition holds, and ends at
 * the first tick, in event order, on which it no longer does. It causes one alert for any number of ticks.
 *
 * A late tick is evaluated with the window before it in event order. It may open an episode, so that the order of
 * arrival hides no fall. It does not end an episode, because newer ticks describe the present. A late tick from before
 * the end of the last episode belongs to that episode.
 */
export class RuleEvaluator {
  readonly rule: StoredRule;
  readonly states: SubjectStates;
  readonly #createConditionEvaluator: () => ConditionEvaluator;
  readonly #condition_evaluators = new Map<string, ConditionEvaluator>();

  private constructor(rule: StoredRule, states: SubjectStates, createConditionEvaluator: () => ConditionEvaluator) {
    this.rule = rule;
    this.states = states;
    this.#createConditionEvaluator = createConditionEvaluator;
  }

  /** Null for rules that ticks do not decide. */
  static over(rule: StoredRule, states: Iterable<[subject: string, state: SubjectState]> = []): RuleEvaluator | null {
    const createConditionEvaluator = conditionEvaluatorFor(rule.condition, rule.hysteresis_percent);
    return createConditionEvaluator === null
      ? null
      : new RuleEvaluator(rule, new SubjectStates(states), createConditionEvaluator);
  }

  evaluate(tick: Tick, arrival: Arrival, history: SubjectHistory, now_us: number): AlertEvent[] {
    const { subject } = tick;
    let condition_evaluator = this.#condition_evaluators.get(subject);
    if (condition_evaluator === undefined)
      this.#condition_evaluators.set(subject, (condition_evaluator = this.#createConditionEvaluator()));
    const state = this.states.get(subject);
    const { evaluations, evaluator_state } = condition_evaluator.evaluate(
      tick,
      arrival,
      history,
      state.evaluator_state,
    );
    if (evaluator_state !== state.evaluator_state) this.states.change(subject, { evaluator_state });
    // No episode opens and none is open: the fast path of most ticks.
    if (state.active === null && !evaluations.some(({ is_opening }) => is_opening)) return [];
    const events: AlertEvent[] = [];
    const ended = this.#continueOrEnd(tick, arrival, evaluations);
    if (ended !== null) events.push({ event: "recovered", alert: ended });
    const opened = this.#open(tick, arrival, evaluations, now_us);
    if (opened !== null) events.push({ event: "fired", alert: opened });
    return events;
  }

  /** Adds the tick to the open episode, or ends it. */
  #continueOrEnd(tick: Tick, arrival: Arrival, evaluations: readonly Evaluation[]): Alert | null {
    const { active } = this.states.get(tick.subject);
    if (active === null) return null;
    const evaluation = evaluations.find(({ direction }) => direction === active.direction);
    if (evaluation === undefined) return null;
    if (evaluation.is_held) {
      this.states.change(tick.subject, { active: prolonged(active, tick, evaluation) });
      return null;
    }
    if (!evaluation.is_back || arrival !== "newest") return null;
    this.states.change(tick.subject, { active: null, ended_at_us: tick.at_us });
    return { ...active, state: "recovered", ended_by: "recovery", ended_at: isoFromMicros(tick.at_us) };
  }

  #open(tick: Tick, arrival: Arrival, evaluations: readonly Evaluation[], now_us: number): Alert | null {
    const { active, ended_at_us, opened_at_us } = this.states.get(tick.subject);
    const evaluation = evaluations.find(({ is_opening }) => is_opening);
    if (active !== null || evaluation === undefined) return null;
    // A late tick with the time of the episode's end counts as part of that episode.
    if (ended_at_us !== null && (tick.at_us < ended_at_us || (arrival === "late" && tick.at_us === ended_at_us)))
      return null;
    if (opened_at_us !== null && tick.at_us < opened_at_us + this.rule.cooldown_seconds * 1_000_000) return null;
    const opened = openedAlert(this.rule, {
      ...evaluation,
      subject: tick.subject,
      source: tick.source,
      value: tick.value,
      at_us: tick.at_us,
      now_us,
      coordinates: { partition: tick.partition, offset: tick.offset, element_index: tick.element_index },
    });
    this.states.change(tick.subject, { active: opened, opened_at_us: tick.at_us });
    return opened;
  }
}

export interface Opening extends Finding {
  source: string | null;
  at_us: number;
  now_us: number;
  coordinates: Alert["coordinates"];
  direction: Direction | null;
}

export function openedAlert(rule: StoredRule, opening: Opening): Alert {
  const { subject, direction, value, reference, measure, at_us, coordinates } = opening;
  const place =
    coordinates === null
      ? String(at_us)
      : `${coordinates.partition}/${coordinates.offset}/${coordinates.element_index}`;
  const value_text = value === null ? null : textOf(value);
  return {
    id: alertId(rule, subject, direction, place),
    rule_id: rule.id,
    rule_name: rule.name,
    severity: rule.severity,
    kind: rule.condition.kind,
    subject,
    source: opening.source,
    direction,
    message: messageFor(rule, opening),
    state: "active",
    ended_by: null,
    opened_at: isoFromMicros(at_us),
    ended_at: null,
    fired_at: isoFromMicros(opening.now_us),
    value: value_text,
    reference: reference === null ? null : textOf(reference),
    measure,
    threshold: thresholdOf(rule.condition),
    worst_value: value_text,
    worst_measure: measure,
    until_at: isoFromMicros(at_us),
    ticks: coordinates === null ? 0 : 1,
    coordinates,
  };
}

function prolonged(alert: Alert, tick: Tick, { measure }: Evaluation): Alert {
  const at = isoFromMicros(tick.at_us);
  const is_worse = measure !== null && measure > (alert.worst_measure ?? -Infinity);
  return {
    ...alert,
    ticks: alert.ticks + 1,
    until_at: at > alert.until_at ? at : alert.until_at,
    worst_measure: is_worse ? measure : alert.worst_measure,
    worst_value: is_worse ? textOf(tick.value) : alert.worst_value,
  };
}
