import type { RejectionReason } from "./faults.ts";
import { EVENT_KINDS, type EventKind, type OrderEvent } from "./order.ts";
import type { Element } from "./stream.ts";

/** The newest state of an order, as far as sales depend on it. */
export interface OrderState {
  kind: EventKind;
  event_id: string;
  occurred_ms: number;
  id: string;
  store: string;
  placed_ms: number;
  total_cents: number;
}

/** The expected outcome of a stream of elements, for tests to compare with the actual outcome. */
export interface Truth {
  elements: number;
  /** The first valid event of each id, in the order written. */
  accepted: OrderEvent[];
  /** Valid events whose id was written before. */
  duplicates: number;
  rejected: Map<RejectionReason, number>;
  /** The newest state of each order, by order id. */
  orders: ReadonlyMap<string, OrderState>;
  /** Total sales in cents by the minute of the order (ms since 1970); minutes without sales are absent. */
  sales_per_minute: Map<number, bigint>;
}

const MINUTE_MS = 60_000;

/**
 * Computes the outcome element by element, in memory that grows with the number of orders and not with their size. The
 * newest state of an order is that of its last event by time, then by kind (created, updated, cancelled), then by id:
 * the order of arrival does not matter.
 */
export class OutcomeOfOrders {
  elements = 0;
  accepted = 0;
  duplicates = 0;
  readonly rejected = new Map<RejectionReason, number>();
  readonly orders = new Map<string, OrderState>();
  readonly #seen = new Set<string>();

  /** Whether the element is accepted: a valid event whose id was not written before. */
  add({ event, reason }: Element): boolean {
    this.elements += 1;
    if (reason !== null) this.rejected.set(reason, (this.rejected.get(reason) ?? 0) + 1);
    if (event === null) return false;
    if (this.#seen.has(event.event_id)) {
      this.duplicates += 1;
      return false;
    }
    this.#seen.add(event.event_id);
    this.accepted += 1;
    const state = stateOf(event);
    const known = this.orders.get(state.id);
    if (known === undefined || isAfter(state, known)) this.orders.set(state.id, state);
    return true;
  }

  /** Cents by the minute of the order. A cancelled order has no sales; minutes without sales are absent. */
  salesPerMinute(): Map<number, bigint> {
    const sales_per_minute = new Map<number, bigint>();
    for (const { kind, placed_ms, total_cents } of this.orders.values()) {
      if (kind === "order_cancelled") continue;
      const minute_ms = Math.floor(placed_ms / MINUTE_MS) * MINUTE_MS;
      sales_per_minute.set(minute_ms, (sales_per_minute.get(minute_ms) ?? 0n) + BigInt(total_cents));
    }
    return sales_per_minute;
  }
}

/** The outcome of elements in the order written. */
export function truthOf(elements: Iterable<Element>): Truth {
  const outcome = new OutcomeOfOrders();
  const accepted: OrderEvent[] = [];
  for (const element of elements) if (outcome.add(element) && element.event !== null) accepted.push(element.event);
  return {
    elements: outcome.elements,
    accepted,
    duplicates: outcome.duplicates,
    rejected: outcome.rejected,
    orders: outcome.orders,
    sales_per_minute: outcome.salesPerMinute(),
  };
}

function stateOf({ kind, event_id, occurred_ms, order }: OrderEvent): OrderState {
  const { id, store, placed_ms, total_cents } = order;
  return { kind, event_id, occurred_ms, id, store, placed_ms, total_cents };
}

function isAfter(a: OrderState, b: OrderState): boolean {
  if (a.occurred_ms !== b.occurred_ms) return a.occurred_ms > b.occurred_ms;
  const by_kind = EVENT_KINDS.indexOf(a.kind) - EVENT_KINDS.indexOf(b.kind);
  return by_kind === 0 ? a.event_id > b.event_id : by_kind > 0;
}
