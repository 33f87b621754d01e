/** A second implementation of the rules for order events, from the texts alone. */

export interface Judged {
  accepted: string[];
  duplicates: number;
  rejected: Record<string, number>;
  /** Cents by minute, as `2026-01-31T12:00`. */
  sales: Record<string, bigint>;
}

interface Item {
  quantity: number;
  unit_price?: unknown;
  price?: unknown;
}

interface Body {
  event: string;
  event_id: string;
  schema_version?: number;
  occurred_at: string;
  order: {
    id: unknown;
    placed_at: string;
    items: Item[];
    discount: string;
    shipping: string;
    total: string;
    channel?: string;
    customer: Record<string, string>;
  };
}

const KINDS = ["order_created", "order_updated", "order_cancelled"];
const AMOUNT = /^-?\d+\.\d\d$/;
const DAY_MS = 86_400_000;

const centsOf = (amount: string): bigint => BigInt(amount.replace(".", ""));

function priceOf(body: Body, item: Item): unknown {
  return body.schema_version === 2 ? item.price : item.unit_price;
}

/** The reason of an invalid text, or the event. `written_ms` is a time after everything that is valid. */
function judgeOne(text: string, written_ms: number): string | Body {
  let body: Body;
  try {
    body = JSON.parse(text) as Body;
  } catch {
    return "invalid_json";
  }
  if (typeof body !== "object" || body === null) return "element_not_object";
  const { event, occurred_at, order } = body;
  if (typeof order.id !== "string" || order.id === "") return "missing_order_id";
  if (!KINDS.includes(event)) return "unknown_event";
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(occurred_at)) return "invalid_time";
  if (Date.parse(occurred_at) > written_ms + DAY_MS / 2) return "future_event";
  if (order.items.length === 0) return "empty_items";
  if (order.items.some(({ quantity }) => quantity <= 0)) return "quantity_not_positive";
  const prices = order.items.map((item) => priceOf(body, item));
  if (prices.some((price) => typeof price !== "string" || !AMOUNT.test(price))) return "price_not_a_number";
  const sum = order.items.reduce(
    (cents, item) => cents + BigInt(item.quantity) * centsOf(String(priceOf(body, item))),
    0n,
  );
  const total = sum - centsOf(order.discount) + centsOf(order.shipping);
  return total === centsOf(order.total) ? body : "total_mismatch";
}

export function judge(texts: Iterable<string>, written_ms: number): Judged {
  const judged: Judged = { accepted: [], duplicates: 0, rejected: {}, sales: {} };
  const seen = new Set<string>();
  const newest = new Map<unknown, Body>();
  const keyOf = ({ occurred_at, event, event_id }: Body): string =>
    `${occurred_at} ${KINDS.indexOf(event)} ${event_id}`;
  for (const text of texts) {
    const body = judgeOne(text, written_ms);
    if (typeof body === "string") judged.rejected[body] = (judged.rejected[body] ?? 0) + 1;
    else if (seen.has(body.event_id)) judged.duplicates += 1;
    else {
      seen.add(body.event_id);
      judged.accepted.push(body.event_id);
      const known = newest.get(body.order.id);
      if (known === undefined || keyOf(known) < keyOf(body)) newest.set(body.order.id, body);
    }
  }
  for (const { event, order } of newest.values()) {
    if (event === "order_cancelled") continue;
    const minute = order.placed_at.slice(0, 16);
    judged.sales[minute] = (judged.sales[minute] ?? 0n) + centsOf(order.total);
  }
  return judged;
}
