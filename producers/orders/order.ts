import { uniform } from "../simulated/random.ts";
import {
  CUSTOMERS,
  customerAt,
  pick,
  productAt,
  PRODUCTS,
  STORES,
  zipf,
  type Customer,
  type Product,
} from "./catalogue.ts";

/** Events in the order in which they apply to an order at one time. */
export const EVENT_KINDS = ["order_created", "order_updated", "order_cancelled"] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

const CHANNELS = ["web", "app", "shop"] as const;
export type Status = "placed" | "paid" | "shipped" | "cancelled";

export interface Item extends Product {
  quantity: number;
}

/** The state of an order after an event. Amounts are in cents. */
export interface Order {
  id: string;
  store: string;
  channel: string;
  status: Status;
  placed_ms: number;
  customer: Customer;
  items: readonly Item[];
  discount_cents: number;
  shipping_cents: number;
  total_cents: number;
}

export interface OrderEvent {
  kind: EventKind;
  event_id: string;
  occurred_ms: number;
  order: Order;
}

/** An order by its address: the slot in which it is placed, and its number in the slot. */
export interface OrderAddress {
  slot: number;
  number: number;
}

const STREAM = {
  customer: 121,
  products: 122,
  quantity: 123,
  items: 124,
  discount: 125,
  store: 126,
  channel: 127,
  update: 128,
} as const;

const MAX_ITEMS = 4;
const FREE_SHIPPING_FROM_CENTS = 5_000;
const SHIPPING_CENTS = 490;

/** Draws that belong to one order. */
function drawsOf(seed: number, { slot, number }: OrderAddress) {
  return (stream: number, detail = 0): number => uniform(seed, stream, slot, number * 16 + detail);
}

/** The order when it is placed. */
export function placedOrder(seed: number, address: OrderAddress, id: string, placed_ms: number): Order {
  const draw = drawsOf(seed, address);
  const count = 1 + Math.floor(draw(STREAM.items) ** 2 * MAX_ITEMS);
  const first = zipf(PRODUCTS, draw(STREAM.products));
  const items = Array.from({ length: count }, (_, index): Item => {
    // A step prime to the number of products: the items of an order differ.
    const product = productAt(seed, (first + index * 37) % PRODUCTS, placed_ms);
    return { ...product, quantity: 1 + Math.floor(draw(STREAM.quantity, index) ** 3 * 5) };
  });
  const discount_share = draw(STREAM.discount) < 0.15 ? pick([0.05, 0.1, 0.2], draw(STREAM.discount, 1)) : 0;
  return priced({
    id,
    store: pick(STORES, draw(STREAM.store)),
    channel: pick(CHANNELS, draw(STREAM.channel)),
    status: "placed",
    placed_ms,
    customer: customerAt(seed, zipf(CUSTOMERS, draw(STREAM.customer)), placed_ms),
    items,
    discount_cents: Math.floor(sumOf(items) * discount_share),
  });
}

/** The order after its update: paid, shipped, or with another quantity. */
export function updatedOrder(seed: number, address: OrderAddress, order: Order, at_ms: number): Order {
  const share = drawsOf(seed, address)(STREAM.update);
  const current = { ...order, customer: customerOf(seed, order, at_ms) };
  if (share < 0.6) return { ...current, status: share < 0.35 ? "paid" : "shipped" };
  const items = order.items.map((item, index) => (index === 0 ? { ...item, quantity: item.quantity + 1 } : item));
  return priced({ ...current, items });
}

export function cancelledOrder(seed: number, order: Order, at_ms: number): Order {
  return { ...order, customer: customerOf(seed, order, at_ms), status: "cancelled" };
}

function customerOf(seed: number, { customer }: Order, at_ms: number): Customer {
  return customerAt(seed, Number(customer.id.slice("cus_".length)) - 1, at_ms);
}

/** The order with shipping and total for its items. */
export function priced(order: Omit<Order, "shipping_cents" | "total_cents">): Order {
  const sum_cents = sumOf(order.items);
  const shipping_cents = sum_cents >= FREE_SHIPPING_FROM_CENTS ? 0 : SHIPPING_CENTS;
  return { ...order, shipping_cents, total_cents: sum_cents - order.discount_cents + shipping_cents };
}

function sumOf(items: readonly Item[]): number {
  return items.reduce((sum, { quantity, price_cents }) => sum + quantity * price_cents, 0);
}
