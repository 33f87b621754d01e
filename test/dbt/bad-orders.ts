/** The outcome of an event: a rejection reason, or the total of an accepted order. */
export interface OrderCase {
  title: string;
  payload: string | Uint8Array;
  outcome: string;
}

const MEMBERS = {
  event: '"order_created"',
  occurred_at: '"2026-03-01T12:00:00Z"',
} as const;
const ORDER = {
  store: '"oslo"',
  currency: '"USD"',
  status: '"placed"',
  placed_at: '"2026-03-01T12:00:00Z"',
  customer: '{"id":"c"}',
  total: '"0.2"',
} as const;
const ITEM = { product_id: '"p"', quantity: "2", unit_price: '"0.1"' } as const;

type Changed = Readonly<Record<string, string | null>>;

let cases = 0;

/** A valid event with changed members, as JSON texts; null removes one. */
function event({
  event: of_event,
  order,
  item,
  items,
}: Partial<Record<"event" | "order" | "item", Changed>> & { items?: string }): string {
  const number = (cases += 1);
  const lines = items ?? `[${object({ ...ITEM, ...item })}]`;
  const of_order = object({ id: `"bad-${number}"`, ...ORDER, items: lines, ...order });
  return object({ event_id: `"bad-${number}"`, ...MEMBERS, order: of_order, ...of_event });
}

function object(members: Changed): string {
  return `{${Object.entries(members)
    .flatMap(([name, value]) => (value === null ? [] : [`"${name}":${value}`]))
    .join(",")}}`;
}

const inEvent = (name: string, value: string | null, outcome: string): OrderCase => ({
  title: `${name}: ${value}`,
  payload: event({ event: { [name]: value } }),
  outcome,
});
const inOrder = (name: string, value: string | null, outcome: string, more: Changed = {}): OrderCase => ({
  title: `order.${name}: ${value}`,
  payload: event({ order: { [name]: value, ...more } }),
  outcome,
});
const inItem = (changed: Changed, outcome: string, order: Changed = {}): OrderCase => ({
  title: `an item with ${JSON.stringify(changed)}`,
  payload: event({ item: changed, order }),
  outcome,
});
const inItems = (items: string, outcome: string, order: Changed = {}): OrderCase => ({
  title: `items: ${items.slice(0, 60)}`,
  payload: event({ items, order }),
  outcome,
});
const whole = (title: string, payload: string | Uint8Array, outcome: string): OrderCase => ({
  title,
  payload,
  outcome,
});

/** Events that are odd, absurd or wrong, each with its outcome, which every engine must give. */
export const ORDER_CASES: readonly OrderCase[] = [
  // messages
  whole("an empty record", "", "empty_payload"),
  whole("white space", " \t\r\n", "empty_payload"),
  whole("bytes that are not UTF-8", Buffer.from([0xff, 0xfe, 0x7b]), "not_utf8"),
  whole("half an event", event({}).slice(0, 60), "invalid_json"),
  whole("an event and a half", `${event({})}{"event"`, "invalid_json"),
  whole("single quotes", event({}).replaceAll('"', "'"), "invalid_json"),
  whole("a number", "42", "element_not_object"),
  whole("a list", `[${event({})}]`, "element_not_object"),
  whole("an empty object", "{}", "unknown_event"),
  whole("an envelope without events", '{"file":"a.json","first_element":0,"elements":[]}', "unknown_event"),
  whole(
    "an envelope whose events are not a list",
    '{"file":"a.json","first_element":0,"elements":{"a":1}}',
    "unknown_event",
  ),
  whole(
    "a malformed part of a file",
    '{"file":"a.json","first_element":3,"malformed":"{\\"event\\":","reason":"cut"}',
    "invalid_json",
  ),
  whole("half an envelope", '{"file":"a.json","first_element":3,"malformed":"x"', "invalid_json"),
  whole("an order with a member called elements", event({ order: { elements: "[1,2]" } }), "0.2000"),

  // events
  inEvent("event", null, "unknown_event"),
  inEvent("event", '"order_viewed"', "unknown_event"),
  inEvent("event", "7", "unknown_event"),
  inEvent("event_id", null, "missing_event_id"),
  inEvent("event_id", '"  "', "missing_event_id"),
  inEvent("event_id", '"caf\\u00e9 \\ud83d\\ude00"', "0.2000"),
  inEvent("event_id", '"half \\ud83d"', "invalid_json"),
  inEvent("occurred_at", null, "missing_time"),
  inEvent("occurred_at", '"2026-03-01T12:00:00"', "invalid_time"),
  inEvent("occurred_at", '"2026-03-01"', "invalid_time"),
  inEvent("occurred_at", '"2026-02-30T12:00:00Z"', "invalid_time"),
  inEvent("occurred_at", '"2026-03-01T25:00:00Z"', "invalid_time"),
  inEvent("occurred_at", '"infinity"', "invalid_time"),
  inEvent("occurred_at", "1772366400", "invalid_time"),
  inEvent("occurred_at", '"2026-03-01T13:00:00.123456+01:00"', "0.2000"),
  inEvent("occurred_at", '"9999-12-31T23:59:59Z"', "future_event"),
  inEvent("order", "null", "missing_order_id"),
  inEvent("order", '"an order"', "missing_order_id"),

  // orders
  inOrder("id", "null", "missing_order_id"),
  inOrder("id", "12", "0.2000"),
  inOrder("store", '""', "missing_store"),
  inOrder("customer", null, "missing_customer"),
  inOrder("customer", '"c"', "missing_customer"),
  inOrder("customer", '{"id":"c","name":null,"first_name":"Ada"}', "0.2000"),
  inOrder("placed_at", '"1999-01-01T00:00:00Z"', "time_before_2009"),
  inOrder("placed_at", '"2026-03-01T12:00:01Z"', "placed_after_event"),
  inOrder("currency", "null", "unknown_currency"),
  inOrder("currency", '"EUR"', "unknown_currency"),
  inOrder("currency", '" usd "', "0.2000"),
  inOrder("status", "null", "0.2000"),
  inOrder("discount", '"0.1"', "0.1000", { total: '"0.1"' }),
  inOrder("discount", "1e-1", "amount_not_a_number"),
  inOrder("shipping", '"free"', "amount_not_a_number"),
  inOrder("total", null, "amount_not_a_number"),
  inOrder("total", "0.2", "0.2000"),
  inOrder("total", "0.20000", "0.2000"),
  inOrder("total", '"0.20001"', "amount_not_a_number"),
  inOrder("total", '"0.3"', "total_mismatch"),
  inOrder("total", '"99999999999999"', "amount_out_of_range"),
  inOrder("total", '"999999999999999"', "amount_not_a_number"),

  // lines
  inItems("[]", "empty_items"),
  inItems("null", "empty_items"),
  inItems('"none"', "empty_items"),
  inItem({ product_id: null }, "missing_product"),
  inItem({ quantity: '"two"' }, "quantity_not_a_number"),
  inItem({ quantity: "2.5" }, "quantity_not_a_number"),
  inItem({ quantity: "0" }, "quantity_not_positive"),
  inItem({ quantity: '" 2 "' }, "0.2000"),
  inItem({ unit_price: "true" }, "price_not_a_number"),
  inItem({ unit_price: null }, "price_not_a_number"),
  inItem({ unit_price: '"1e2"' }, "price_out_of_range"),
  inItem({ unit_price: '"0.10001"' }, "price_out_of_range"),
  inItem({ unit_price: '"-0.1"' }, "price_negative"),
  inItem({ unit_price: '"7"', price: '"0.1"' }, "0.2000"),
  inItem({ unit_price: "0.10" }, "0.2000"),
  inItem({ name: '"Quote \\" and \\\\ and \\u0041"', category: '"\\t tab"' }, "0.2000"),
  inItem({ quantity: "999999999", unit_price: '"99999999999999"' }, "amount_out_of_range"),
  inItem({ quantity: "999999999", unit_price: '"1"' }, "999999999.0000", { total: '"999999999"' }),
  inItems(
    `[${[0, 1, 2].map((number) => `{"product_id":"p${number}","quantity":999999999,"unit_price":0}`).join(",")}]`,
    "amount_out_of_range",
    { total: '"0"' },
  ),
  inItems(
    '[{"product_id":"p","quantity":1,"unit_price":"0.1"},{"product_id":"p","quantity":1,"unit_price":"0.1"}]',
    "0.2000",
  ),
];
