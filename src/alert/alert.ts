import { createHash } from "node:crypto";
import { z } from "zod";
import { CONDITION_KINDS, severitySchema } from "./rule.ts";

const time = z.iso.datetime({ precision: 6 });
const decimal = z.string().describe("a decimal as text");

export const deliverySchema = z.strictObject({
  sink: z.string(),
  event: z.enum(["fired", "recovered"]),
  state: z.enum(["waiting", "sent", "failed"]),
  attempts: z.number().int(),
  next_attempt_at: time.nullable(),
  sent_at: time.nullable(),
  last_error: z.string().nullable(),
});

/**
 * One episode of one rule on one subject: from the first tick on which the condition holds to the first on which it no
 * longer does.
 */
export const alertSchema = z.strictObject({
  id: z
    .string()
    .describe("the same however often the ticks are judged: made of rule, subject and the place of the first tick"),
  rule_id: z.string(),
  rule_name: z.string().describe("as it was when it fired"),
  severity: severitySchema,
  kind: z.enum(CONDITION_KINDS),
  subject: z.string().describe("a subject of the ticks; the source for silent, the layer for lag, the job for failed"),
  source: z.string().nullable().describe("of the first tick"),
  direction: z.enum(["fall", "rise", "above", "below"]).nullable(),
  message: z.string(),
  state: z.enum(["active", "recovered"]),
  ended_by: z.enum(["recovery", "rule_changed", "rule_deleted"]).nullable(),
  opened_at: time.describe("event time of the first tick"),
  ended_at: time.nullable().describe("event time of the tick that ended it"),
  fired_at: time.describe("when it was judged and made durable, by this machine's clock"),
  value: decimal.nullable().describe("the first tick's value"),
  reference: decimal.nullable().describe("what it was measured against: the highest, the lowest, the level, the mean"),
  measure: z.number().nullable().describe("per cent, times or seconds, as the rule's kind has it"),
  threshold: z.number().nullable(),
  worst_value: decimal.nullable().describe("the value at the greatest measure so far"),
  worst_measure: z.number().nullable(),
  until_at: time.describe("event time of the last tick that held"),
  ticks: z.number().int().describe("ticks that held so far"),
  coordinates: z
    .strictObject({ partition: z.number().int(), offset: z.number().int(), element_index: z.number().int() })
    .nullable()
    .describe("the first tick's place in the log"),
});

export type Alert = z.output<typeof alertSchema>;
export type Delivery = z.output<typeof deliverySchema>;
export type Direction = NonNullable<Alert["direction"]>;

/** An event for listeners and sinks, sent after it is durable. */
export interface AlertEvent {
  /** ended: closed because its rule was edited or deleted. Sinks do not receive it. */
  event: "fired" | "recovered" | "ended";
  alert: Alert;
}

/** Deterministic: after a crash the same tick gives the same id again, and the store holds each id once. */
export function alertId(
  rule: { id: string; revision: number; created_at: string },
  subject: string,
  direction: Direction | null,
  place: string,
): string {
  const hash = createHash("sha256").update(
    JSON.stringify([rule.id, rule.created_at, rule.revision, subject, direction, place]),
  );
  return `${rule.id}-${hash.digest("hex").slice(0, 20)}`;
}
