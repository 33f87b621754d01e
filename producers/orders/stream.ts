import { uniform } from "../simulated/random.ts";
import { eventBody, type SchemaVersion } from "./event-text.ts";
import { faultyText, REJECTION_REASONS, type RejectionReason } from "./faults.ts";
import {
  cancelledOrder,
  placedOrder,
  updatedOrder,
  type EventKind,
  type OrderAddress,
  type OrderEvent,
} from "./order.ts";

/** The parameters that determine a stream completely: equal parameters yield equal bytes. */
export interface StreamOptions {
  seed: number;
  /** The start of slot 0, in ms since 1970-01-01 UTC. */
  start_ms: number;
  /** The stream is written slot by slot. */
  slot_ms: number;
  /** The mean number of orders placed in a slot; 1 to 500. */
  orders_per_slot: number;
  /** Events written from this slot on are in version 2 of the schema; Infinity for version 1 only. */
  version_2_from_slot: number;
  rates: Rates;
}

/** Shares from 0 to 1. */
export interface Rates {
  /** Of events that are invalid. */
  invalid: number;
  /** Of orders that are updated. */
  updated: number;
  /** Of orders that are cancelled. */
  cancelled: number;
  /** Of orders that are written up to `MAX_LATE_MS` after they occurred. */
  late: number;
  /** Of valid events that are written twice. */
  duplicated: number;
}

export const DEFAULT_RATES: Rates = { invalid: 0.02, updated: 0.05, cancelled: 0.02, late: 0.01, duplicated: 0.01 };

export const MAX_LATE_MS = 36 * 3_600_000;
const MAX_ORDERS = 500;

/** One element of a file, with what is expected of it. */
export interface Element {
  text: string;
  /** Null for an invalid element. */
  event: OrderEvent | null;
  reason: RejectionReason | null;
  /** The text ends early: only a line end separates it from the next element. */
  is_cut: boolean;
}

/** An event of an order, and the slots in which it is written. */
interface Delivery {
  address: OrderAddress;
  kind: EventKind;
  /** One slot, or two for a duplicate. */
  slots: readonly number[];
}

const STREAM = {
  orders: 141,
  placed: 142,
  is_late: 143,
  late: 144,
  is_updated: 145,
  is_cancelled: 146,
  delay: 147,
  is_swapped: 148,
  is_tied: 149,
  is_duplicated: 150,
  duplicate_slot: 151,
  is_invalid: 152,
  fault: 153,
  fault_detail: 154,
  position: 155,
  run: 156,
} as const;

const KIND_NUMBERS: Record<EventKind, number> = { order_created: 0, order_updated: 1, order_cancelled: 2 };

/** An update or cancellation follows within so many slots, and so does a duplicate. */
const MAX_DELAY_SLOTS = 12;
/** A cancellation after an update after the order, a swapped creation, and then a duplicate. */
const LOOK_BACK_SLOTS = 3 * MAX_DELAY_SLOTS + 2;
/** Of updated orders whose creation is written after the update. */
const SWAPPED_SHARE = 0.1;
/** Of updates and cancellations at the very time of the creation. */
const TIED_SHARE = 0.05;
/** Orders by the hour of the day, UTC, relative to the mean. */
const HOURLY = [4, 3, 2, 2, 3, 5, 8, 11, 13, 14, 14, 15, 16, 15, 14, 13, 13, 14, 15, 16, 14, 11, 8, 6].map(
  (n) => n / 10.4,
);

/** The events of a shop, slot by slot. Any slot can be computed independently. */
export class OrderStream {
  readonly options: StreamOptions;
  /** Distinguishes the ids of streams with other seeds and starts. */
  readonly run: string;
  /** The deliveries of the orders placed in recent slots, by slot; slots are mostly read one after another. */
  readonly #deliveries = new Map<number, readonly Delivery[]>();

  constructor(options: StreamOptions) {
    checkOptions(options);
    this.options = options;
    const { seed, start_ms } = options;
    const share = uniform(seed, STREAM.run, Math.floor(start_ms / 1000), start_ms % 1000);
    this.run = Math.floor(share * 36 ** 6)
      .toString(36)
      .padStart(6, "0");
  }

  /** The elements that are written in a slot, in no order of time. Empty before slot 0. */
  elements(slot: number): Element[] {
    const written: { position: number; element: Element }[] = [];
    for (let placed = Math.max(0, slot - LOOK_BACK_SLOTS); placed <= slot; placed += 1) {
      for (const delivery of this.#deliveriesOf(placed)) {
        for (const [copy, at] of delivery.slots.entries()) {
          if (at !== slot) continue;
          const position = this.#draw(STREAM.position, delivery.address, KIND_NUMBERS[delivery.kind] * 2 + copy);
          written.push({ position, element: this.#element(delivery, slot) });
        }
      }
    }
    return written.sort((a, b) => a.position - b.position).map(({ element }) => element);
  }

  #deliveriesOf(slot: number): readonly Delivery[] {
    const known = this.#deliveries.get(slot);
    if (known !== undefined) return known;
    const deliveries = Array.from({ length: this.#orders(slot) }, (_, number) =>
      this.#schedule({ slot, number }),
    ).flat();
    this.#deliveries.set(slot, deliveries);
    for (const old of this.#deliveries.keys()) if (old < slot - LOOK_BACK_SLOTS) this.#deliveries.delete(old);
    return deliveries;
  }

  #orders(slot: number): number {
    const { seed, start_ms, slot_ms, orders_per_slot } = this.options;
    const hourly = HOURLY[new Date(start_ms + slot * slot_ms).getUTCHours()] ?? 1;
    const share = 0.5 + uniform(seed, STREAM.orders, slot);
    return Math.min(MAX_ORDERS, Math.max(1, Math.round(orders_per_slot * hourly * share)));
  }

  #schedule(address: OrderAddress): Delivery[] {
    const { rates } = this.options;
    const { slot } = address;
    const update = this.#draw(STREAM.is_updated, address) < rates.updated ? slot + this.#delay(address, 0) : null;
    const is_cancelled = this.#draw(STREAM.is_cancelled, address) < rates.cancelled;
    const is_swapped = update !== null && this.#draw(STREAM.is_swapped, address) < SWAPPED_SHARE;
    const deliveries: Delivery[] = [this.#delivery(address, "order_created", is_swapped ? update + 1 : slot)];
    if (update !== null) deliveries.push(this.#delivery(address, "order_updated", update));
    if (is_cancelled) {
      deliveries.push(this.#delivery(address, "order_cancelled", (update ?? slot) + this.#delay(address, 1)));
    }
    return deliveries;
  }

  #delay(address: OrderAddress, detail: number): number {
    return 1 + Math.floor(this.#draw(STREAM.delay, address, detail) * MAX_DELAY_SLOTS);
  }

  #delivery(address: OrderAddress, kind: EventKind, slot: number): Delivery {
    const number = KIND_NUMBERS[kind];
    const is_duplicated =
      this.#reason(address, kind) === null &&
      this.#draw(STREAM.is_duplicated, address, number) < this.options.rates.duplicated;
    if (!is_duplicated) return { address, kind, slots: [slot] };
    // Half of the duplicates are in the slot of the original.
    const distance = Math.max(0, this.#draw(STREAM.duplicate_slot, address, number) * 2 - 1);
    return { address, kind, slots: [slot, slot + Math.ceil(distance * MAX_DELAY_SLOTS)] };
  }

  /** The fault of an event; null for a valid one. */
  #reason(address: OrderAddress, kind: EventKind): RejectionReason | null {
    const number = KIND_NUMBERS[kind];
    if (this.#draw(STREAM.is_invalid, address, number) >= this.options.rates.invalid) return null;
    const share = this.#draw(STREAM.fault, address, number);
    return REJECTION_REASONS[Math.floor(share * REJECTION_REASONS.length)] ?? null;
  }

  #element({ address, kind }: Delivery, slot: number): Element {
    const event = this.#event(address, kind);
    const version: SchemaVersion = slot >= this.options.version_2_from_slot ? 2 : 1;
    const reason = this.#reason(address, kind);
    if (reason === null) return { text: JSON.stringify(eventBody(event, version)), event, reason, is_cut: false };
    const detail = this.#draw(STREAM.fault_detail, address, KIND_NUMBERS[kind]);
    return { ...faultyText(event, version, reason, detail), event: null, reason };
  }

  #event(address: OrderAddress, kind: EventKind): OrderEvent {
    const { seed, slot_ms, start_ms } = this.options;
    const id = `${this.run}-${address.slot.toString(36)}-${address.number}`;
    const is_late = this.#draw(STREAM.is_late, address) < this.options.rates.late;
    const late_ms = is_late ? Math.floor(this.#draw(STREAM.late, address) * MAX_LATE_MS) : 0;
    const placed_ms =
      start_ms + address.slot * slot_ms + Math.floor(this.#draw(STREAM.placed, address) * slot_ms) - late_ms;
    const placed = placedOrder(seed, address, `ord_${id}`, placed_ms);
    const event_id = `evt_${id}-${KIND_NUMBERS[kind]}`;
    if (kind === "order_created") return { kind, event_id, occurred_ms: placed_ms, order: placed };
    const updated_ms = this.#followUp(address, placed_ms, 0);
    const is_updated = this.#draw(STREAM.is_updated, address) < this.options.rates.updated;
    const updated = is_updated ? updatedOrder(seed, address, placed, updated_ms) : placed;
    if (kind === "order_updated") return { kind, event_id, occurred_ms: updated_ms, order: updated };
    const cancelled_ms = this.#followUp(address, is_updated ? updated_ms : placed_ms, 1);
    return { kind, event_id, occurred_ms: cancelled_ms, order: cancelledOrder(seed, updated, cancelled_ms) };
  }

  /** The time of an update or cancellation: within its delay after the event before, or at the same time. */
  #followUp(address: OrderAddress, after_ms: number, detail: number): number {
    if (this.#draw(STREAM.is_tied, address, detail) < TIED_SHARE) return after_ms;
    return after_ms + (this.#delay(address, detail) - 1) * this.options.slot_ms;
  }

  #draw(stream: number, { slot, number }: OrderAddress, detail = 0): number {
    return uniform(this.options.seed, stream, slot, number * 16 + detail);
  }
}

/** The elements without a text that ends early at the end, where a reader would wait for the rest. */
export function withWholeEnd(elements: readonly Element[]): Element[] {
  const last = elements.at(-1);
  if (last?.is_cut !== true) return [...elements];
  return [...elements.slice(0, -1), { ...last, is_cut: false, text: CLOSED_MALFORMED }];
}

/** Malformed, with balanced brackets. */
const CLOSED_MALFORMED = '{"event":order_created}';

/** Throws a RangeError for options out of bounds. */
export function checkOptions({
  slot_ms,
  orders_per_slot,
  rates,
}: Pick<StreamOptions, "slot_ms" | "orders_per_slot" | "rates">): void {
  if (!(slot_ms >= 100)) throw new RangeError(`slot_ms is at least 100; got ${slot_ms}`);
  if (!(orders_per_slot >= 1 && orders_per_slot <= MAX_ORDERS)) {
    throw new RangeError(`orders_per_slot is from 1 to ${MAX_ORDERS}; got ${orders_per_slot}`);
  }
  for (const [name, rate] of Object.entries(rates)) {
    if (!(rate >= 0 && rate <= 1)) throw new RangeError(`the rate ${name} is from 0 to 1; got ${rate}`);
  }
}
