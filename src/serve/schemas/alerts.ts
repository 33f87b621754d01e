import { z } from "@hono/zod-openapi";
import { Decimal, pageOf, Time } from "./values.ts";

export const Alert = z
  .object({
    id: z.string(),
    rule: z.string(),
    rule_name: z.string(),
    severity: z.enum(["info", "warning", "critical"]),
    /** A coin, a source, a layer: what the rule's condition speaks of. */
    subject: z.string(),
    source: z.string().nullable(),
    state: z.enum(["active", "recovered"]),
    /** One sentence. */
    message: z.string(),
    /** The measured figure when it fired, in the unit of the rule's condition. */
    value: Decimal.nullable(),
    fired_at: Time,
    recovered_at: Time.nullable(),
  })
  .openapi("Alert");

export const Alerts = pageOf(Alert).openapi("Alerts");

export type Alert = z.infer<typeof Alert>;
export type Alerts = z.infer<typeof Alerts>;
