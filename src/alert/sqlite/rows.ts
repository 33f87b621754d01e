import { isoFromMicros } from "../../base/clock.ts";
import type { Alert, Delivery } from "../alert.ts";
import type { SubjectState } from "../evaluate/states.ts";
import type { EvaluatorState } from "../evaluate/condition.ts";
import type { Rule, StoredRule } from "../rule.ts";

type Row = Record<string, unknown>;

/** A delivery in the outbox. */
export interface Pending {
  delivery_seq: number;
  event: "fired" | "recovered";
  sink_id: string;
  /** The alert at the time of the event. */
  alert: Alert;
  attempts: number;
  created_at_us: number;
  /** The note of an earlier attempt; null before the first. */
  resume: string | null;
}

export function ruleOf(row: Row): StoredRule {
  const rule = JSON.parse(String(row["body"])) as Rule;
  return {
    ...rule,
    revision: Number(row["revision"]),
    created_at: String(row["created_at"]),
    updated_at: String(row["updated_at"]),
  };
}

export function alertOf(row: Row): Alert {
  return JSON.parse(String(row["body"])) as Alert;
}

export function stateOf(row: Row): SubjectState {
  return {
    active: row["active_alert"] === null || row["body"] === null ? null : alertOf(row),
    ended_at_us: numberOrNull(row["ended_at_us"]),
    opened_at_us: numberOrNull(row["opened_at_us"]),
    evaluator_state: JSON.parse(String(row["memo"])) as EvaluatorState,
  };
}

export function deliveryOf(row: Row): Delivery {
  return {
    sink: String(row["sink_id"]),
    event: row["event"] as Delivery["event"],
    state: row["state"] as Delivery["state"],
    attempts: Number(row["attempts"]),
    next_attempt_at: timeOrNull(row["next_attempt_at_us"]),
    sent_at: timeOrNull(row["sent_at_us"]),
    last_error: row["last_error"] as string | null,
  };
}

export function pendingOf(row: Row): Pending {
  return {
    delivery_seq: Number(row["delivery_seq"]),
    event: row["event"] as Pending["event"],
    sink_id: String(row["sink_id"]),
    alert: alertOf(row),
    attempts: Number(row["attempts"]),
    created_at_us: Number(row["created_at_us"]),
    resume: row["resume"] as string | null,
  };
}

function numberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

function timeOrNull(value: unknown): string | null {
  const at_us = numberOrNull(value);
  return at_us === null ? null : isoFromMicros(at_us);
}
