import { isoFromMicros } from "../../base/clock.ts";
import type { Alert, AlertEvent } from "../alert.ts";
import type { HealthView } from "../facade.ts";
import type { StoredRule } from "../rule.ts";
import { SubjectStates, type SubjectState } from "./states.ts";
import { openedAlert } from "./rule-evaluator.ts";

/** The silence or lag of one source or layer. */
interface HealthMeasurement {
  subject: string;
  /** Seconds silent or behind. */
  seconds: number;
  /**
   * The time at which the threshold was passed: the alert's time, and part of its id, so that a restart gives the same
   * alert.
   */
  since_us: number;
}

/** Evaluates one rule on sources or layers, at times that the caller chooses. */
export class HealthEvaluator {
  readonly rule: StoredRule;
  readonly states: SubjectStates;
  /** The silence of a source without any message counts from here. */
  readonly #started_us: number;

  constructor(rule: StoredRule, started_us: number, states: Iterable<[subject: string, state: SubjectState]> = []) {
    this.rule = rule;
    this.states = new SubjectStates(states);
    this.#started_us = started_us;
  }

  evaluate(view: HealthView, now_us: number): AlertEvent[] {
    return this.#measurements(view, now_us).flatMap((measurement) => {
      const { active } = this.states.get(measurement.subject);
      const event =
        active === null ? this.#open(measurement, now_us) : this.#continueOrEnd(active, measurement, now_us);
      return event === null ? [] : [event];
    });
  }

  /** Leaves out sources and layers without a measurement: their episodes do not change. */
  #measurements({ sources, layers }: HealthView, now_us: number): HealthMeasurement[] {
    const { condition } = this.rule;
    if (condition.kind === "lag") {
      return layers.flatMap(({ layer, seconds_behind }) =>
        layer !== condition.layer || seconds_behind === null
          ? []
          : [
              {
                subject: layer,
                seconds: seconds_behind,
                since_us: now_us - (seconds_behind - condition.seconds) * 1_000_000,
              },
            ],
      );
    }
    if (condition.kind !== "silent") return [];
    return sources.flatMap(({ source, state, heard_at_us }) => {
      if (state === "ended" || (condition.source !== "all" && condition.source !== source)) return [];
      // Silent before this process started, and without a message since: its alert stays open until a message arrives.
      if (heard_at_us === null && this.states.get(source).active !== null) return [];
      const heard_us = heard_at_us ?? this.#started_us;
      // The clock was set back: how long the source is silent is unknown.
      if (heard_us > now_us) return [];
      return [
        {
          subject: source,
          seconds: (now_us - heard_us) / 1_000_000,
          since_us: heard_us + condition.seconds * 1_000_000,
        },
      ];
    });
  }

  #open({ subject, seconds, since_us }: HealthMeasurement, now_us: number): AlertEvent | null {
    const { opened_at_us } = this.states.get(subject);
    if (seconds <= this.#threshold()) return null;
    if (opened_at_us !== null && now_us < opened_at_us + this.rule.cooldown_seconds * 1_000_000) return null;
    const at_us = Math.floor(since_us);
    const measure = Math.floor(seconds);
    const alert = openedAlert(this.rule, {
      subject,
      source: null,
      direction: null,
      value: null,
      reference: null,
      measure,
      at_us,
      now_us,
      coordinates: null,
    });
    this.states.change(subject, { active: alert, opened_at_us: at_us });
    return { event: "fired", alert };
  }

  #continueOrEnd(active: Alert, { subject, seconds }: HealthMeasurement, now_us: number): AlertEvent | null {
    const now = isoFromMicros(now_us);
    if (seconds > this.#threshold() * (1 - this.rule.hysteresis_percent / 100)) {
      const measure = Math.floor(seconds);
      if (measure > (active.worst_measure ?? 0))
        this.states.change(subject, { active: { ...active, worst_measure: measure, until_at: now } });
      return null;
    }
    this.states.change(subject, { active: null, ended_at_us: now_us });
    return { event: "recovered", alert: { ...active, state: "recovered", ended_by: "recovery", ended_at: now } };
  }

  #threshold(): number {
    const { condition } = this.rule;
    return "seconds" in condition ? condition.seconds : Infinity;
  }
}
