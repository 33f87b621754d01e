import { pick } from "./catalogue.ts";
import { amountText, eventBody, priceField, timeText, type EventBody, type SchemaVersion } from "./event-text.ts";
import { priced, type OrderEvent } from "./order.ts";

/** Why an element is not an event; the names for the rejected table. */
export const REJECTION_REASONS = [
  "invalid_json",
  "element_not_object",
  "missing_order_id",
  "unknown_event",
  "invalid_time",
  "future_event",
  "empty_items",
  "quantity_not_positive",
  "price_not_a_number",
  "total_mismatch",
] as const;
export type RejectionReason = (typeof REJECTION_REASONS)[number];

const YEAR_MS = 365 * 86_400_000;

/** An invalid element made from an event. Each has one fault only: every other check of it passes. */
export function faultyText(
  event: OrderEvent,
  version: SchemaVersion,
  reason: RejectionReason,
  draw: number,
): { text: string; is_cut: boolean } {
  const body = eventBody(event, version);
  const whole = (changed: unknown) => ({ text: JSON.stringify(changed), is_cut: false });
  switch (reason) {
    case "invalid_json":
      return draw < 0.5 ? { text: unbalanced(body), is_cut: true } : { text: invalidValue(body), is_cut: false };
    case "element_not_object":
      return whole(pick([null, true, 42, "order_created"], draw));
    case "missing_order_id":
      return whole({ ...body, order: { ...body.order, id: pick([undefined, null, ""], draw) } });
    case "unknown_event":
      return whole({ ...body, event: pick(["order_viewed", "ORDER_CREATED", "", null], draw) });
    case "invalid_time":
      return whole({ ...body, occurred_at: body.occurred_at.slice(0, -1) });
    case "future_event":
      // Years ahead, so that it is the future for a stream of the past too.
      return whole({ ...body, occurred_at: timeText(event.occurred_ms + Math.ceil(10 + draw * 10) * YEAR_MS) });
    case "empty_items":
      return whole(eventBody(withItems(event, []), version));
    case "quantity_not_positive":
      return whole(eventBody(withNegativeQuantity(event), version));
    case "price_not_a_number":
      return whole(withPrice(body, version, pick(["n/a", "19,99", true, null], draw)));
    case "total_mismatch": {
      const total = amountText(event.order.total_cents + 1 + Math.floor(draw * 500));
      return whole({ ...body, order: { ...body.order, total } });
    }
  }
}

/** Cut off where the writer stopped: somewhere after the start of the order. */
function unbalanced(body: EventBody): string {
  const text = JSON.stringify(body);
  return text.slice(0, text.indexOf('"store":') + '"store":'.length);
}

/** The text of a malformed element with balanced brackets: a value without quotes. */
function invalidValue(body: EventBody): string {
  return `{"event":${body.event},"event_id":${body.event_id}}`;
}

function withItems(event: OrderEvent, items: OrderEvent["order"]["items"]): OrderEvent {
  return { ...event, order: priced({ ...event.order, discount_cents: 0, items }) };
}

function withNegativeQuantity(event: OrderEvent): OrderEvent {
  const items = event.order.items.map((item, index) => (index === 0 ? { ...item, quantity: -item.quantity } : item));
  return withItems(event, items);
}

function withPrice(body: EventBody, version: SchemaVersion, price: unknown): EventBody {
  const items = body.order.items.map((item, index) => (index === 0 ? { ...item, [priceField(version)]: price } : item));
  return { ...body, order: { ...body.order, items } };
}
