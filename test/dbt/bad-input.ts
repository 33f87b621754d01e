/**
 * The expected outcome of one element of a message: a rejection reason, `duplicate`, or columns with their silver
 * values.
 */
export type Outcome = string | Readonly<Record<string, string | null>>;

export interface Case {
  title: string;
  /**
   * The bytes received. In text, COIN is replaced by a coin unique to the case, SOURCE by its source, and NOW by the
   * ingestion time.
   */
  payload: string | Uint8Array;
  /** One for each element, in order; one for a message that is rejected whole. */
  outcomes: readonly Outcome[];
}

const MEBIBYTE = 1024 * 1024;

/** Replaces the member of the same name; a name without a value removes the member. */
function objectWith(members: readonly string[], changed: string): string {
  const name = /^"[^"]*"/.exec(changed)?.[0] ?? "";
  const others = members.filter((member) => !member.startsWith(name));
  return `{${(changed === name ? others : [...others, changed]).join(",")}}`;
}

const TICK = ['"product":"COIN"', '"price":"1.5"', '"time":"NOW"'];
const ELEMENT = ['"id":"COIN"', '"symbol":"coin"', '"name":"A coin"', '"current_price":1.5', '"last_updated":"NOW"'];
const tick = (changed: string) => objectWith(TICK, changed);
const element = (changed: string) => objectWith(ELEMENT, changed);

/** A body that is rejected whole. */
const body = (title: string, payload: string | Uint8Array, reason: string): Case => ({
  title,
  payload,
  outcomes: [reason],
});
const inTick = (changed: string, outcome: Outcome): Case => ({
  title: `tick: ${changed}`,
  payload: tick(changed),
  outcomes: [outcome],
});
const inPage = (changed: string, outcome: Outcome): Case => ({
  title: `page: ${changed}`,
  payload: `[${element(changed)}]`,
  outcomes: [outcome],
});
/** A price as text and as a number, in a tick and in a page. */
const price = (text: string, outcome: string): Case[] => {
  const found = /^[a-z]/.test(outcome) ? outcome : { price: outcome };
  return [
    inTick(`"price":"${text}"`, found),
    inTick(`"price":${text}`, found),
    inPage(`"current_price":${text}`, found),
  ];
};
/** A price as text only, because it is not a JSON number. */
const priceText = (text: string, outcome: string): Case =>
  inTick(`"price":"${text}"`, /^[a-z]/.test(outcome) ? outcome : { price: outcome });

const LARGE = '{"product":"large","price":"1.5","time":"2026-03-01T12:00:00Z"}';

const BODIES: readonly Case[] = [
  body("an empty body", "", "empty_payload"),
  body("white space", " \r\n\t ", "empty_payload"),
  body("NUL bytes", "\0\0\0", "invalid_json"),
  body("half a page", `[${element('"x":1')},{"id":"COIN","curr`, "invalid_json"),
  body("an HTML error page", "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>", "invalid_json"),
  body("plain text of a proxy", "error code: 1015", "invalid_json"),
  body("two messages in one", `${tick('"x":1')}\n${tick('"x":2')}`, "invalid_json"),
  body("single quotes", "{'product':'COIN','price':'1.5','time':'NOW'}", "invalid_json"),
  body("a comment", `/* hello */ ${tick('"x":1')}`, "invalid_json"),
  // Invalid JSON that DuckDB's reader accepts.
  body("NaN", tick('"price":NaN'), "price_not_a_number"),
  body("Infinity", `[${element('"current_price":Infinity')}]`, "price_not_a_number"),
  body("a byte order mark", Buffer.from(`\ufeff${tick('"x":1')}`), "invalid_json"),
  body("half a surrogate pair, escaped", tick('"product":"\\ud83d"'), "invalid_json"),
  body("a NUL within a string, raw", tick('"product":"CO\0IN"'), "invalid_json"),
  body("a hundred thousand opening brackets", "[".repeat(100_000), "invalid_json"),
  body("a number", "42", "unrecognised_shape"),
  body("a string", '"bitcoin"', "unrecognised_shape"),
  body("true", "true", "unrecognised_shape"),
  body("null", "null", "unrecognised_shape"),
  body("an empty object", "{}", "unrecognised_shape"),
  body("an empty array", " [ ] ", "unrecognised_shape"),
  body(
    "an error as JSON",
    '{"status":{"error_code":429,"error_message":"You\'ve exceeded the Rate Limit."}}',
    "unrecognised_shape",
  ),
  body("an object of another kind", '{"type":"heartbeat","sequence":90}', "not_a_trade"),
  body("bytes that are not UTF-8", Buffer.from([0x5b, 0xc3, 0x28, 0x5d]), "not_utf8"),
  body("half a surrogate pair, encoded", Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), "not_utf8"),
  body("an overlong encoding", Buffer.from([0x22, 0xc0, 0xaf, 0x22]), "not_utf8"),
  body("UTF-16", Buffer.from(`\ufeff${tick('"x":1')}`, "utf16le"), "not_utf8"),
  body("gzip", Buffer.from("1f8b08000000000000038b8e050029bb4c0d02000000", "hex"), "not_utf8"),
  body("10 MB of a page", `[${element('"x":1')}${" ".repeat(10 * MEBIBYTE)}]`, "payload_too_large"),
  body("10 MB of nonsense", "x".repeat(10 * MEBIBYTE), "payload_too_large"),
  body("10 MB that are not UTF-8", Buffer.alloc(10 * MEBIBYTE, 0xff), "not_utf8"),
  body("three hundred thousand values", `[${"{},".repeat(300_000)}{}]`, "payload_too_large"),
  {
    title: "a message of the maximum size",
    payload: LARGE.padEnd(4 * MEBIBYTE),
    outcomes: [{ price: "1.500000000000000000000000" }],
  },
  body("a message one byte above the maximum size", LARGE.padEnd(4 * MEBIBYTE + 1), "payload_too_large"),
  {
    title: "a page with values of every type",
    payload: `[1,"x",null,true,[],{},[${element('"x":1')}],${element('"x":1')}]`,
    outcomes: [...Array(5).fill("element_not_object"), "missing_id", "element_not_object", { crypto_id: "COIN" }],
  },
  {
    title: "a thousand nested arrays",
    payload: `${"[".repeat(1000)}${"]".repeat(1000)}`,
    outcomes: ["element_not_object"],
  },
  {
    title: "an unknown field with five hundred levels",
    payload: tick(`"extra":${'{"a":'.repeat(500)}1${"}".repeat(500)}`),
    outcomes: [{ price: "1.500000000000000000000000" }],
  },
  {
    title: "a page with a coin twice",
    payload: `[${element('"x":1')},${element('"current_price":2')}]`,
    outcomes: [{ price: "1.500000000000000000000000" }, "duplicate"],
  },
  {
    title: "white space around a tick",
    payload: `\n\t ${tick('"x":1')} \r\n`,
    outcomes: [{ price: "1.500000000000000000000000" }],
  },
];

const PRICES: readonly Case[] = [
  ...price("64123.123456789012345678", "64123.123456789012345678000000"),
  ...price("0.000000001", "0.000000001000000000000000"),
  ...price("0.000000000000000001", "0.000000000000000001000000"),
  ...price("1.12345678901234567890123456789", "1.123456789012345678901235"),
  ...price("1e3", "1000.000000000000000000000000"),
  ...price("15E-10", "0.000000001500000000000000"),
  ...price("1.5e+2", "150.000000000000000000000000"),
  ...price("1000000000", "1000000000.000000000000000000000000"),
  ...price("1000000000.000000000000000001", "price_out_of_range"),
  ...price("123456789012345678901234567890", "price_out_of_range"),
  ...price("1e400", "price_out_of_range"),
  ...price("3.2e-20", "0.000000000000000000032000"),
  ...price("1e-24", "0.000000000000000000000001"),
  ...price("1e-25", "price_out_of_range"),
  ...price("0", "price_not_positive"),
  ...price("-0", "price_not_positive"),
  ...price("0e5", "price_not_positive"),
  ...price("-1", "price_not_positive"),
  ...price("-1e-30", "price_not_positive"),
  ...price("-1e400", "price_not_positive"),
  ...price("true", "price_not_a_number"),
  priceText(" 1.5 ", "1.500000000000000000000000"),
  priceText("+1.5", "1.500000000000000000000000"),
  priceText("007", "7.000000000000000000000000"),
  priceText(".5", "0.500000000000000000000000"),
  ...["", " ", "free", "1,000", "1_000", "0x10", "1.5.1", "1e", "NaN", "Infinity", "inf", "١٢", "1/2", "$1"].map(
    (text) => priceText(text, "price_not_a_number"),
  ),
  inTick('"price":null', "missing_price"),
  inTick('"price"', "missing_price"),
  inPage('"current_price":null', "missing_price"),
  inPage('"current_price"', "missing_price"),
  inTick('"price":{"usd":1}', "price_not_a_number"),
  inTick('"price":[1.5]', "price_not_a_number"),
  inTick('"price":"1","price":"2"', { price: "1.000000000000000000000000" }),
];

const NAMES: readonly Case[] = [
  inTick('"product"', "missing_id"),
  inTick('"product":null', "missing_id"),
  inTick('"product":""', "missing_id"),
  inTick('"product":"  "', "missing_id"),
  inPage('"id":null', "missing_id"),
  inPage('"id"', "missing_id"),
  inTick('"product":42', { crypto_id: "42" }),
  inTick('"product":" BTC-Usd "', { crypto_id: "btc-usd", symbol: "BTC-USD" }),
  inTick(`"product":"'; drop table gold.dim_time; --"`, { crypto_id: "'; drop table gold.dim_time; --" }),
  inTick('"product":"ビットコイン \\ud83d\\ude80"', { crypto_id: "ビットコイン 🚀" }),
  inPage('"symbol":null', { crypto_id: "COIN", symbol: "COIN" }),
  inPage('"symbol":7', { crypto_id: "COIN", symbol: "7" }),
  inPage('"name":null', { crypto_id: "COIN" }),
];

const TIMES: readonly Case[] = [
  inTick('"time"', "missing_time"),
  inTick('"time":null', "missing_time"),
  inPage('"last_updated":null', "missing_time"),
  ...['""', '"yesterday"', '"2026-02-30T00:00:00Z"', '"infinity"', "true", "{}", "17723664001234567890"].map((text) =>
    inTick(`"time":${text}`, "invalid_time"),
  ),
  inTick('"time":"2026-03-01T11:55:00.000000Z"', { price_at: "2026-03-01 11:55:00+00" }),
  inTick('"time":"2026-03-01T11:54:59.999999Z"', "late_event"),
  inTick('"time":1772366400', { price_at: "2026-03-01 12:00:00+00" }),
  inTick('"time":"1772366400123"', { price_at: "2026-03-01 12:00:00.123+00" }),
  inTick('"time":1772366400123456', { price_at: "2026-03-01 12:00:00.123456+00" }),
  inTick('"time":"1772366400123456789"', { price_at: "2026-03-01 12:00:00.123456+00" }),
  inTick('"time":"1970-01-01T00:00:00Z"', "time_before_2009"),
  inTick('"time":"0001-01-01T00:00:00Z"', "time_before_2009"),
  inTick('"time":"2008-12-31T23:59:59.999999Z"', "time_before_2009"),
  inTick('"time":1230767999', "time_before_2009"),
  inTick('"time":0', "time_before_2009"),
  inTick('"time":"2009-01-01T00:00:00Z"', "late_event"),
  inTick('"time":"2026-03-01T12:05:00.000000Z"', { price_at: "2026-03-01 12:05:00+00" }),
  inTick('"time":"2026-03-01T12:05:00.000001Z"', "future_event"),
  inTick('"time":"9999-12-31T23:59:59Z"', "future_event"),
  inTick('"time":"2026-03-01T17:30:00.123456+05:30"', { price_at: "2026-03-01 12:00:00.123456+00" }),
  inTick('"time":"2026-03-01 12:00:00"', { price_at: "2026-03-01 12:00:00+00" }),
];

/** An invalid value beside a valid price becomes null; the price is accepted. */
const COMPANY: readonly Case[] = [
  inPage('"market_cap":null', { market_cap: null, dropped_figures: null }),
  inPage('"market_cap":"much"', { market_cap: null, dropped_figures: "market_cap" }),
  inPage('"market_cap":-1', { market_cap: null, dropped_figures: "market_cap" }),
  inPage('"market_cap":123456789012345678901234567890', {
    market_cap: "123456789012345678901234567890.00000000",
    dropped_figures: null,
  }),
  inPage('"market_cap":1e30', { market_cap: null, dropped_figures: "market_cap" }),
  inPage('"market_cap":1337', { market_cap: "1337.00000000" }),
  inPage('"total_volume":"15.25"', { volume_24h: "15.25000000" }),
  inPage('"total_volume":{}', { volume_24h: null, dropped_figures: "volume_24h" }),
  inPage('"current_price":1.23456789e-20', { price: "0.000000000000000000012346", dropped_figures: "price_digits" }),
  inPage('"market_cap_rank":"first"', { price: "1.500000000000000000000000" }),
  inPage('"market_cap_rank":99999999999', { price: "1.500000000000000000000000" }),
  inTick('"volume":"2"', { traded_volume: "2.00000000", traded_volume_usd: "3.000000000000000000" }),
  inTick('"volume":-2', { traded_volume: null, traded_volume_usd: null }),
  inTick('"volume":99999999999999999999', {
    traded_volume: "99999999999999999999.00000000",
    traded_volume_usd: null,
    dropped_figures: "traded_volume_usd",
  }),
  inTick('"sentiment":{"votes":[1,2],"price":"9"}', { price: "1.500000000000000000000000" }),
  inTick('"note":"\\"price\\": 3"', { price: "1.500000000000000000000000" }),
];

const NOW_MS = 1_772_366_400_000;
const AGG_TRADE = ['"e":"aggTrade"', '"s":"COIN"', '"a":7', '"p":"1.5"', '"q":"2"', `"T":${NOW_MS}`];
const MATCH = ['"type":"match"', '"product_id":"COIN"', '"trade_id":7', '"price":"1.5"', '"size":"2"', '"time":"NOW"'];
const TRADE = ['"symbol":"COIN"', '"price":1.5', '"qty":2', '"trade_id":7', '"timestamp":"NOW"'];
const inAggTrade = (changed: string, outcome: Outcome): Case => ({
  title: `aggTrade: ${changed}`,
  payload: `{"stream":"x","data":${objectWith(AGG_TRADE, changed)}}`,
  outcomes: [outcome],
});
const inMatch = (changed: string, outcome: Outcome): Case => ({
  title: `match: ${changed}`,
  payload: objectWith(MATCH, changed),
  outcomes: [outcome],
});
const trades = (list: string) => `{"channel":"trade","type":"update","data":[${list}]}`;
const inTrade = (changed: string, outcome: Outcome): Case => ({
  title: `trade: ${changed}`,
  payload: trades(objectWith(TRADE, changed)),
  outcomes: [outcome],
});
const envelope = (route: string, content: string) => `{"product":"COIN","backfill":"${route}","body":${content}}`;
const row = (values: string) => envelope("Trades", `{"error":[],"result":{"X":[[${values}]],"last":"1"}}`);
const inRow = (values: string, outcome: Outcome): Case => ({
  title: `row: ${values}`,
  payload: row(values),
  outcomes: [outcome],
});

const EXCHANGES: readonly Case[] = [
  inAggTrade('"x":1', {
    crypto_id: "SOURCE:COIN",
    product: "COIN",
    trade_number: "7",
    traded_volume_usd: "3.000000000000000000",
    price_at: "2026-03-01 12:00:00+00",
  }),
  inAggTrade('"p":0.123456789012345678', { price: "0.123456789012345678000000" }),
  inAggTrade('"p":"0"', "price_not_positive"),
  inAggTrade('"p"', "missing_price"),
  inAggTrade('"s":null', "missing_id"),
  inAggTrade('"a":"seven"', { trade_number: null, price: "1.500000000000000000000000" }),
  inAggTrade('"a":-7', { trade_number: null }),
  inAggTrade('"a":123456789012345678', { trade_number: "123456789012345678" }),
  inAggTrade('"a":12345678901234567890', { trade_number: null }),
  inAggTrade('"q":"-2"', { traded_volume: null, traded_volume_usd: null }),
  inAggTrade('"T"', "missing_time"),
  inAggTrade('"T":"2026-03-01T12:00:00Z"', { price_at: "2026-03-01 12:00:00+00" }),
  inAggTrade('"T":1e300', "invalid_time"),
  inAggTrade('"T":1e27', "invalid_time"),
  inAggTrade(`"T":${NOW_MS}123`, { price_at: "2026-03-01 12:00:00.000123+00" }),
  inAggTrade(`"T":${NOW_MS}123456`, { price_at: "2026-03-01 12:00:00.000123+00" }),
  inAggTrade(`"T":${NOW_MS / 1000}`, { price_at: "2026-03-01 12:00:00+00" }),
  inAggTrade('"e":"kline"', "not_a_trade"),
  body("a combined stream without data", '{"stream":"coinusdt@aggTrade"}', "not_a_trade"),
  body("half an aggTrade", `{"stream":"x","data":{${AGG_TRADE.slice(0, 4).join(",")}`, "invalid_json"),
  {
    title: "an aggTrade without its stream",
    payload: objectWith(AGG_TRADE, '"x":1'),
    outcomes: [{ product: "COIN", trade_number: "7" }],
  },
  inMatch('"x":1', { crypto_id: "SOURCE:COIN", product: "COIN", trade_number: "7", traded_volume: "2.00000000" }),
  inMatch('"type":"last_match"', { trade_number: "7" }),
  inMatch('"type":"ticker"', "not_a_trade"),
  inMatch('"type"', "missing_id"),
  inMatch('"product_id"', "missing_id"),
  inMatch('"price"', "missing_price"),
  inMatch('"time":"2026-03-01T11:54:59Z"', "late_event"),
  inTrade('"x":1', {
    crypto_id: "SOURCE:COIN",
    product: "COIN",
    trade_number: "7",
    price: "1.500000000000000000000000",
    traded_volume: "2.00000000",
  }),
  inTrade('"price":104235.123456789012345678', { price: "104235.123456789012345678000000" }),
  inTrade('"price":1e-9', { price: "0.000000001000000000000000" }),
  inTrade('"symbol"', "missing_id"),
  inTrade('"timestamp":null', "missing_time"),
  body("no trades", trades(""), "unrecognised_shape"),
  body("trades that are not a list", '{"channel":"trade","data":{"price":1}}', "unrecognised_shape"),
  body("half a list of trades", `{"channel":"trade","data":[${objectWith(TRADE, '"x":1')},{"sym`, "invalid_json"),
  {
    title: "a list of trades and other values",
    payload: trades(`5,${objectWith(TRADE, '"x":1')},null,[1],${objectWith(TRADE, '"x":2')}`),
    outcomes: ["element_not_object", { trade_number: "7" }, "element_not_object", "element_not_object", "duplicate"],
  },
  {
    title: "arrays of Kraken's earlier API",
    payload: '[993,[["354.11","0.89",1772366400.5,"s","l",""]],"trade","COIN"]',
    outcomes: Array(4).fill("element_not_object"),
  },
  body(
    "a response to a subscription",
    '{"method":"subscribe","result":{"channel":"trade","symbol":"COIN"},"success":true}',
    "not_a_trade",
  ),
  body("a heartbeat", '{"channel":"heartbeat"}', "not_a_trade"),
  {
    title: "a gap that is filled hours later",
    payload: envelope("aggTrades", '[{"a":7,"p":"1.5","q":"2","T":1772323200123}]'),
    outcomes: [{ product: "COIN", trade_number: "7", price_at: "2026-03-01 00:00:00.123+00" }],
  },
  {
    title: "a filled gap with a time in the future",
    payload: envelope("aggTrades", '[{"a":7,"p":"1.5","q":"2","T":1772370000000}]'),
    outcomes: ["future_event"],
  },
  {
    title: "a filled gap with invalid trades",
    payload: envelope(
      "trades",
      '[{"trade_id":7,"price":"1.5","time":"NOW"},{"trade_id":8,"price":"x","time":"NOW"},' +
        '{"trade_id":7,"price":"1.5","time":"NOW"},7]',
    ),
    outcomes: [{ trade_number: "7" }, "price_not_a_number", "duplicate", "element_not_object"],
  },
  body("an envelope with an empty list", envelope("trades", "[]"), "unrecognised_shape"),
  body("an envelope with an error", envelope("Trades", '{"error":["EAPI:Rate limit exceeded"]}'), "unrecognised_shape"),
  body("an envelope of another route", envelope("candles", "[1]"), "missing_price"),
  inRow('"1.5","2",1772323200.1234567,"b","m","",7', {
    product: "COIN",
    trade_number: "7",
    price: "1.500000000000000000000000",
    traded_volume: "2.00000000",
    price_at: "2026-03-01 00:00:00.123456+00",
  }),
  inRow('"1.5","2"', "missing_time"),
  inRow('"1.5","2","NOW"', { price_at: "2026-03-01 12:00:00+00" }),
  inRow('"1.5","2",1e24', "invalid_time"),
  inRow("", "missing_price"),
];

export const CASES: readonly Case[] = [...BODIES, ...PRICES, ...NAMES, ...TIMES, ...COMPANY, ...EXCHANGES];
