import { isoFromMicros } from "../../base/clock.ts";
import type { AlertEvent } from "../alert.ts";
import type { StoredRule } from "../rule.ts";
import { UNTOUCHED, type SubjectState } from "./states.ts";
import { openedAlert } from "./rule-evaluator.ts";

/** The result of an external job, such as a scheduled run or a backup. */
export interface JobReport {
  job: string;
  /** Null where the job succeeded. */
  failure: string | null;
}

export function isAbout({ condition }: StoredRule, { job }: JobReport): boolean {
  return condition.kind === "failed" && (condition.job === "all" || condition.job === job);
}

/**
 * One episode lasts from a job's first failure to its next success, with any number of failures in between. A pure
 * function: the caller stores the state together with the event.
 */
export function evaluateReport(
  rule: StoredRule,
  before: SubjectState | null,
  { job, failure }: JobReport,
  now_us: number,
): { event: AlertEvent | null; state: SubjectState } {
  const state = before ?? UNTOUCHED;
  const { active, opened_at_us } = state;
  const now = isoFromMicros(now_us);
  if (failure === null) {
    if (active === null) return { event: null, state };
    return {
      event: { event: "recovered", alert: { ...active, state: "recovered", ended_by: "recovery", ended_at: now } },
      state: { ...state, active: null, ended_at_us: now_us },
    };
  }
  if (active !== null) return { event: null, state: { ...state, active: { ...active, until_at: now } } };
  if (opened_at_us !== null && now_us < opened_at_us + rule.cooldown_seconds * 1_000_000) return { event: null, state };
  const alert = openedAlert(rule, {
    subject: job,
    source: null,
    direction: null,
    value: null,
    reference: null,
    measure: null,
    failure,
    at_us: now_us,
    now_us,
    coordinates: null,
  });
  return { event: { event: "fired", alert }, state: { ...state, active: alert, opened_at_us: now_us } };
}
