import { z } from "@hono/zod-openapi";
import { alertSchema, deliverySchema, type Alert } from "../../alert/alert.ts";
import { newRuleSchema, ruleSchema, storedRuleSchema, type Rule, type StoredRule } from "../../alert/rule.ts";
import { Count, pageOf, Time } from "./values.ts";

/** Schemas of rules and alerts, from `src/alert/`: the store, the API and the command line share them. */
export const AlertItem = alertSchema;
export const AlertDetail = alertSchema.extend({ deliveries: z.array(deliverySchema) });
export const Alerts = pageOf(AlertItem);
export const RuleItem = storedRuleSchema;
export const Rules = pageOf(RuleItem);
export const NewRule = newRuleSchema;
export const ReplacedRule = ruleSchema;

/** The event `alert`: fired, recovered, or ended because the rule was edited or deleted. */
export const AlertEvent = z.object({ event: z.enum(["fired", "recovered", "ended"]), alert: AlertItem });

/** A sink without its secrets: `target` is a host, a program or a file. */
export const Sink = z
  .object({ id: z.string(), kind: z.enum(["page", "webhook", "slack", "command", "file"]), target: z.string() })
  .openapi("Sink");
export const Sinks = pageOf(Sink).openapi("Sinks");

/** Bounds in event time: `from` is inclusive, `to` exclusive. */
export const BackTestRequest = z.strictObject({
  from: Time.optional(),
  to: Time.optional(),
  limit: z.int().min(1).max(1_000).optional(),
});

export const BackTest = z.object({
  rule: ruleSchema,
  from: z.string().nullable(),
  to: z.string().nullable(),
  ticks: Count,
  subjects: Count,
  /** Number of alerts that would have fired; `alerts` lists the first of them. */
  fired: Count,
  alerts: z.array(AlertItem),
});

export type { Alert, Rule, StoredRule };
export type AlertDetail = z.infer<typeof AlertDetail>;
export type Sink = z.infer<typeof Sink>;
export type Alerts = z.infer<typeof Alerts>;
export type Rules = z.infer<typeof Rules>;
export type AlertEvent = z.infer<typeof AlertEvent>;
export type BackTest = z.infer<typeof BackTest>;
