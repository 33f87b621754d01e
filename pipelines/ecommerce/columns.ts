import type { LiveDefinition } from "../../src/pipeline/definition.ts";

/** Roles of the columns of silver.order_events. */
export const columns: LiveDefinition["columns"] = {
  subject: "store",
  source: "source",
  at: "occurred_at",
  date: "occurred_date",
  identity: "identity",
  // Orders have no consecutive numbers: every event is looked up by its id.
  number: "event_number",
  product: "product",
  value: "total",
  amount: "placed_amount",
};
