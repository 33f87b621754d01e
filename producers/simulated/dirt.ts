import { decimalText, exponentText } from "./decimal.ts";
import { timeText, type Market, type Quote } from "./market.ts";
import { uniform } from "./random.ts";

/** Why silver rejects an element; the reason names of the quarantine table. */
export type RejectionReason =
  | "not_utf8"
  | "empty_payload"
  | "invalid_json"
  | "unrecognised_shape"
  | "element_not_object"
  | "missing_id"
  | "missing_price"
  | "price_not_a_number"
  | "price_not_positive"
  | "price_out_of_range"
  | "missing_time"
  | "invalid_time"
  | "late_event"
  | "future_event";

/** One element of a page, and its injected errors other than its time. */
export interface Element {
  text: string;
  /** Null if the element does not identify a coin. */
  quote: Omit<Quote, "fields"> | null;
  reason: RejectionReason | null;
}

const STREAM = { element: 9, kind: 10, page: 11, page_kind: 12, detail: 13 } as const;

/** Silver accepts an event exactly this far from its ingestion, and rejects it if farther. */
export const TOLERANCE_US = 5 * 60 * 1_000_000;

const MINUTE_US = 60_000_000;

type Fault = (quote: Quote, ingested_at_us: number, draw: number) => Element[];

/** Every fault that an element may have, all equally likely. The result of a fault replaces the element. */
const FAULTS: readonly Fault[] = [
  wrong("missing_price", "current_price", "null"),
  wrong("missing_price", "current_price", null),
  wrong("price_not_a_number", "current_price", '"n/a"'),
  wrong("price_not_a_number", "current_price", "true"),
  wrong("price_not_positive", "current_price", "0"),
  (quote) => [{ ...changed(quote, { current_price: `-${quote.price}` }), reason: "price_not_positive" }],
  wrong("price_out_of_range", "current_price", "1000000000000"),
  wrong("price_out_of_range", "current_price", "0.0000000000000000000000000000004"),
  wrong("missing_id", "id", "null"),
  wrong("missing_id", "id", null),
  wrong("missing_time", "last_updated", null),
  wrong("missing_time", "last_updated", "null"),
  wrong("invalid_time", "last_updated", '"yesterday"'),
  () => [{ text: "null", quote: null, reason: "element_not_object" }],
  (quote) => [{ text: JSON.stringify(quote.coin_id), quote: null, reason: "element_not_object" }],
  (quote, ingested_at_us, draw) => [moved(quote, ingested_at_us - TOLERANCE_US - Math.ceil(1 + draw * 60) * MINUTE_US)],
  (quote, ingested_at_us, draw) => [moved(quote, ingested_at_us + TOLERANCE_US + Math.ceil(1 + draw * 60) * MINUTE_US)],
  // Silver accepts the results of the following faults, or the first element of a pair.
  (quote, ingested_at_us) => [moved(quote, ingested_at_us - TOLERANCE_US)],
  (quote) => [changed(quote, { current_price: `"${quote.price}"` })],
  (quote) => [changed(quote, { current_price: exponentText(quote.price) })],
  (quote) => [changed(quote, { sentiment: '{"votes":[1,2]}' })],
  (quote) => [
    {
      ...changed(quote, { market_cap: null, total_volume: null }),
      quote: { ...quote, market_cap: null, total_volume: null },
    },
  ],
  (quote) => [clean(quote), clean(quote)],
  (quote) => {
    const price = decimalText(Number(quote.price) * 1.01);
    return [clean(quote), { ...changed(quote, { current_price: price }), quote: { ...quote, price } }];
  },
];

/** The page of a step after faults of its elements, before faults of the whole page. */
export function dirtyElements(market: Market, step: number): Element[] {
  const { seed, dirt_rate } = market.options;
  return market.quotes(step).flatMap((quote, index) => {
    if (uniform(seed, STREAM.element, step, index) >= dirt_rate) return [clean(quote)];
    const fault =
      FAULTS[Math.floor(uniform(seed, STREAM.kind, step, index) * FAULTS.length)] ?? ((whole: Quote) => [clean(whole)]);
    return fault(quote, market.ingestedAt_us(step), uniform(seed, STREAM.detail, step, index));
  });
}

/** The response to a poll: the bytes, and either its elements or the reason why the whole page is unusable. */
export interface Page {
  payload: Uint8Array;
  elements: Element[];
  reason: RejectionReason | null;
}

type PageFault = (market: Market, step: number) => Page;

const PAGE_FAULTS: readonly PageFault[] = [
  // A cache between client and source answers with the previous poll.
  (market, step) => pageOf(dirtyElements(market, step - 1)),
  (market, step) => {
    const { payload } = pageOf(dirtyElements(market, step));
    return unusable(payload.subarray(0, Math.floor(payload.length * 0.6)), "invalid_json");
  },
  () => unusable(Buffer.from("<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"), "invalid_json"),
  (market, step) => {
    const { payload } = pageOf(dirtyElements(market, step));
    return unusable(Buffer.concat([payload, Buffer.from([0xc3, 0x28])]), "not_utf8");
  },
  () => unusable(new Uint8Array(0), "empty_payload"),
  () => unusable(Buffer.from("[]"), "unrecognised_shape"),
  () =>
    unusable(Buffer.from('{"status":{"error_code":429,"error_message":"Too many requests"}}'), "unrecognised_shape"),
];

export function pageAt(market: Market, step: number): Page {
  const { seed, dirt_rate } = market.options;
  if (uniform(seed, STREAM.page, step) >= dirt_rate) return pageOf(dirtyElements(market, step));
  const fault = PAGE_FAULTS[Math.floor(uniform(seed, STREAM.page_kind, step) * PAGE_FAULTS.length)];
  return fault === undefined ? pageOf(dirtyElements(market, step)) : fault(market, step);
}

function pageOf(elements: Element[]): Page {
  return { payload: Buffer.from(`[${elements.map(({ text }) => text).join(",")}]`), elements, reason: null };
}

function unusable(payload: Uint8Array, reason: RejectionReason): Page {
  return { payload, elements: [], reason };
}

function clean(quote: Quote): Element {
  return changed(quote, {});
}

/** The element with the JSON text of some fields replaced or added; null removes a field. */
function changed(quote: Quote, texts: Record<string, string | null>): Element {
  const fields = new Map<string, string | null>([...quote.fields, ...Object.entries(texts)]);
  const members = [...fields].flatMap(([name, text]) => (text === null ? [] : [`${JSON.stringify(name)}:${text}`]));
  return { text: `{${members.join(",")}}`, quote, reason: null };
}

function moved(quote: Quote, last_updated_us: number): Element {
  return { ...changed(quote, { last_updated: timeText(last_updated_us) }), quote: { ...quote, last_updated_us } };
}

function wrong(reason: RejectionReason, field: string, text: string | null): Fault {
  return (quote) => [{ ...changed(quote, { [field]: text }), reason }];
}
