import { CURRENCY } from "./catalogue.ts";
import type { Item, OrderEvent } from "./order.ts";

/** Version 2 renames the items' price, splits the customer's name and adds the channel. */
export type SchemaVersion = 1 | 2;

/** An event as the object that is sent; faults change it. */
export interface EventBody {
  event: string;
  event_id: string;
  schema_version?: 2;
  occurred_at: string;
  order: Record<string, unknown> & { items: Record<string, unknown>[] };
}

/** The fields of an event in a version of the schema. */
export function eventBody({ kind, event_id, occurred_ms, order }: OrderEvent, version: SchemaVersion): EventBody {
  const { first_name, last_name, id, ...contact } = order.customer;
  const names = version === 1 ? { name: `${first_name} ${last_name}` } : { first_name, last_name };
  return {
    event: kind,
    event_id,
    ...(version === 2 && { schema_version: 2 }),
    occurred_at: timeText(occurred_ms),
    order: {
      id: order.id,
      store: order.store,
      ...(version === 2 && { channel: order.channel }),
      currency: CURRENCY,
      status: order.status,
      placed_at: timeText(order.placed_ms),
      customer: { id, ...names, ...contact },
      items: order.items.map((item) => itemBody(item, version)),
      discount: amountText(order.discount_cents),
      shipping: amountText(order.shipping_cents),
      total: amountText(order.total_cents),
    },
  };
}

function itemBody({ product_id, name, category, quantity, price_cents }: Item, version: SchemaVersion) {
  return { product_id, name, category, quantity, [priceField(version)]: amountText(price_cents) };
}

export function priceField(version: SchemaVersion): "unit_price" | "price" {
  return version === 1 ? "unit_price" : "price";
}

/** Cents as a decimal with two places: 4488 is "44.88". */
export function amountText(cents: number): string {
  const digits = String(Math.abs(cents)).padStart(3, "0");
  return `${cents < 0 ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** ISO 8601 in UTC with milliseconds. */
export function timeText(at_ms: number): string {
  return new Date(at_ms).toISOString();
}
