import type { RejectionReason } from "./faults.ts";
import { EVENT_KINDS, type OrderEvent } from "./order.ts";
import type { Element } from "./stream.ts";

/** The expected outcome of a stream of elements, for tests to compare with the actual outcome. */
export interface Truth {
  elements: number;
  /** The first valid event of each id, in the order written. */
  accepted: OrderEvent[];
  /** Valid events whose id was written before. */
  duplicates: number;
  rejected: Map<RejectionReason, number>;
  /** The newest state of each order, by order id. */
  orders: Map<string, OrderEvent>;
  /** Total sales in cents by the minute of the order (ms since 1970); minutes without sales are absent. */
  sales_per_minute: Map<number, bigint>;
}

const MINUTE_MS = 60_000;

/**
 * The outcome of elements in the order written. The newest state of an order is that of its last event by time, then by
 * kind (created, updated, cancelled), then by id: the order of arrival does not matter. A cancelled order has no sales.
 */
export function truthOf(elements: Iterable<Element>): Truth {
  const truth: Truth = {
    elements: 0,
    accepted: [],
    duplicates: 0,
    rejected: new Map(),
    orders: new Map(),
    sales_per_minute: new Map(),
  };
  const seen = new Set<string>();
  for (const { event, reason } of elements) {
    truth.elements += 1;
    if (reason !== null) truth.rejected.set(reason, (truth.rejected.get(reason) ?? 0) + 1);
    else if (event !== null && seen.has(event.event_id)) truth.duplicates += 1;
    else if (event !== null) {
      seen.add(event.event_id);
      truth.accepted.push(event);
    }
  }
  for (const event of truth.accepted) {
    const known = truth.orders.get(event.order.id);
    if (known === undefined || isAfter(event, known)) truth.orders.set(event.order.id, event);
  }
  for (const { kind, order } of truth.orders.values()) {
    if (kind === "order_cancelled") continue;
    const minute_ms = Math.floor(order.placed_ms / MINUTE_MS) * MINUTE_MS;
    const sales = truth.sales_per_minute.get(minute_ms) ?? 0n;
    truth.sales_per_minute.set(minute_ms, sales + BigInt(order.total_cents));
  }
  return truth;
}

function isAfter(a: OrderEvent, b: OrderEvent): boolean {
  if (a.occurred_ms !== b.occurred_ms) return a.occurred_ms > b.occurred_ms;
  const by_kind = EVENT_KINDS.indexOf(a.kind) - EVENT_KINDS.indexOf(b.kind);
  return by_kind === 0 ? a.event_id > b.event_id : by_kind > 0;
}
