import type { LiveDefinition } from "../../src/pipeline/definition.ts";
import { eventOrder } from "../../src/pipeline/event-order.ts";

/** Roles of the columns of silver.crypto_price_updates. */
export const columns: LiveDefinition["columns"] = {
  subject: "crypto_id",
  source: "source",
  at: "price_at",
  date: "price_date",
  identity: "identity",
  former_identity: "former_identity",
  number: "trade_number",
  product: "product",
  value: "price",
  amount: "traded_volume_usd",
};

/** The order of price events, as SQL expressions over updates and facts; equals the dbt macro `event_order`. */
export const EVENT_ORDER: readonly string[] = eventOrder(columns);

/** The same order as one comparable value. */
export const EVENT_POSITION = `row(${EVENT_ORDER.join(", ")})`;
