export type ExchangeKind = "binance" | "coinbase" | "kraken";

export interface KnownTrade {
  product: string;
  id: number;
  price: string;
  quantity: string;
  at_us: number;
}

/** An exchange's message formats, according to its recordings and documentation. Prices are inserted as text. */
export interface ExchangeDialect {
  /** Messages of the trades; several trades per message if the exchange does so. */
  messages(trades: readonly KnownTrade[]): string[];
  /** Messages after a subscription, besides its answer: the previous trade, if the exchange sends it. */
  welcome(newest: KnownTrade | undefined): string[];
  heartbeats(newest: ReadonlyMap<string, number>): string[];
  /** The responses to a client's message, and the client's subscriptions after it. */
  hear(
    message: string,
    subscribed: readonly string[],
    isKnown: (product: string) => boolean,
  ): { answers: string[]; subscribed: string[] };
  /** Products that the URL itself subscribes. */
  inAddress(url: URL): string[];
  /** The product and the body of a REST response, or null if the path is not a trade route. */
  rest(url: URL, tradesOf: (product: string) => readonly KnownTrade[]): string | null;
  ws_path: string;
}

const iso = (at_us: number): string =>
  `${new Date(at_us / 1000).toISOString().slice(0, -1)}${String(at_us % 1000).padStart(3, "0")}Z`;
const number = (text: string | null, otherwise: number): number => (text === null ? otherwise : Number(text));

const binance: ExchangeDialect = {
  ws_path: "",
  messages: (trades) =>
    trades.map((trade) => `{"stream":"${trade.product.toLowerCase()}@aggTrade","data":${aggTrade(trade, true)}}`),
  welcome: () => [],
  heartbeats: () => [],
  hear(message, subscribed) {
    const { method, id } = JSON.parse(message) as { method?: string; id?: number };
    const streams = subscribed.map((product) => `${product.toLowerCase()}@aggTrade`);
    const answer =
      method === "LIST_SUBSCRIPTIONS"
        ? { result: streams, id }
        : { error: { code: 2, msg: "Invalid request: unknown variant" }, id };
    return { answers: [JSON.stringify(answer)], subscribed: [...subscribed] };
  },
  inAddress: (url) =>
    url.pathname === "/stream"
      ? (url.searchParams.get("streams") ?? "")
          .split("/")
          .flatMap((stream) => (stream.endsWith("@aggTrade") ? [stream.slice(0, -9).toUpperCase()] : []))
      : [],
  rest(url, tradesOf) {
    if (url.pathname === "/api/v3/ping") return "{}";
    if (url.pathname !== "/api/v3/aggTrades") return null;
    const from_id = number(url.searchParams.get("fromId"), 0);
    const found = tradesOf(url.searchParams.get("symbol") ?? "").filter(({ id }) => id >= from_id);
    return `[${found
      .slice(0, Math.min(1000, number(url.searchParams.get("limit"), 500)))
      .map((trade) => aggTrade(trade, false))
      .join(",")}]`;
  },
};

function aggTrade({ product, id, price, quantity, at_us }: KnownTrade, is_event: boolean): string {
  const at_ms = Math.floor(at_us / 1000);
  const event = is_event ? `"e":"aggTrade","E":${at_ms},"s":"${product}",` : "";
  return (
    `{${event}"a":${id},"p":"${price}","q":"${quantity}",` +
    `"f":${id * 2},"l":${id * 2 + 1},"T":${at_ms},"m":${id % 2 === 0},"M":true}`
  );
}

const coinbase: ExchangeDialect = {
  ws_path: "",
  messages: (trades) => trades.map((trade) => match("match", trade)),
  welcome: (newest) => (newest === undefined ? [] : [match("last_match", newest)]),
  heartbeats: (newest) =>
    [...newest].map(
      ([product, id]) =>
        `{"type":"heartbeat","last_trade_id":${id},"product_id":"${product}",` +
        `"sequence":${id * 3},"time":"${iso(Date.now() * 1000)}"}`,
    ),
  hear(message, subscribed, isKnown) {
    const { product_ids = [], channels = [] } = JSON.parse(message) as { product_ids?: string[]; channels?: string[] };
    if (!product_ids.every(isKnown))
      return {
        answers: ['{"type":"error","message":"Failed to subscribe","reason":"Invalid product ID provided"}'],
        subscribed: [...subscribed],
      };
    const all = [...new Set([...subscribed, ...product_ids])];
    return {
      answers: [
        JSON.stringify({ type: "subscriptions", channels: channels.map((name) => ({ name, product_ids: all })) }),
      ],
      subscribed: all,
    };
  },
  inAddress: () => [],
  rest(url, tradesOf) {
    if (url.pathname === "/time") return '{"iso":"2025-10-10T12:00:00.000Z","epoch":1760097600.0}';
    const [, product] = /^\/products\/([^/]+)\/trades$/.exec(url.pathname) ?? [];
    if (product === undefined) return null;
    const after = number(url.searchParams.get("after"), Infinity);
    const found = tradesOf(product)
      .filter(({ id }) => id < after)
      .slice(-Math.min(1000, number(url.searchParams.get("limit"), 1000)));
    const row = ({ id, price, quantity, at_us }: KnownTrade): string =>
      `{"trade_id":${id},"side":"buy","size":"${quantity}","price":"${price}","time":"${iso(at_us)}"}`;
    return `[${found.toReversed().map(row).join(",")}]`;
  },
};

function match(type: string, { product, id, price, quantity, at_us }: KnownTrade): string {
  return (
    `{"type":"${type}","trade_id":${id},"maker_order_id":"f51a6a6d-3f1b-44f8-a4e6-0a5d0f7f3d11",` +
    `"taker_order_id":"0d9a5ee4-1dbb-4a47-8a55-fde2f9a6a0fd",` +
    `"side":"sell","size":"${quantity}","price":"${price}","product_id":"${product}",` +
    `"sequence":${id * 3},"time":"${iso(at_us)}"}`
  );
}

const kraken: ExchangeDialect = {
  ws_path: "/v2",
  messages(trades) {
    const rows = trades.map(
      ({ product, id, price, quantity, at_us }) =>
        `{"symbol":"${product}","side":"buy","price":${price},"qty":${quantity},` +
        `"ord_type":"market","trade_id":${id},"timestamp":"${iso(at_us)}"}`,
    );
    return rows.length === 0 ? [] : [`{"channel":"trade","type":"update","data":[${rows.join(",")}]}`];
  },
  welcome: () => [],
  heartbeats: () => ['{"channel":"heartbeat"}'],
  hear(message, subscribed, isKnown) {
    const { method, params } = JSON.parse(message) as { method?: string; params?: { symbol?: string[] } };
    if (method === "ping")
      return {
        answers: ['{"method":"pong","time_in":"2025-10-10T12:00:00.000000Z","time_out":"2025-10-10T12:00:00.000001Z"}'],
        subscribed: [...subscribed],
      };
    const asked = params?.symbol ?? [];
    const answers = asked.map((symbol) =>
      isKnown(symbol)
        ? `{"method":"subscribe","result":{"channel":"trade","snapshot":false,"symbol":"${symbol}"},` +
          `"success":true,"time_in":"2025-10-10T12:00:00.000000Z","time_out":"2025-10-10T12:00:00.000001Z"}`
        : `{"error":"Currency pair not supported ${symbol}","method":"subscribe",` +
          `"success":false,"symbol":"${symbol}",` +
          `"time_in":"2025-10-10T12:00:00.000000Z","time_out":"2025-10-10T12:00:00.000001Z"}`,
    );
    return {
      answers: [
        '{"channel":"status","type":"update","data":[{"api_version":"v2","connection_id":1,' +
          '"system":"online","version":"2.0.9"}]}',
        ...answers,
      ],
      subscribed: [...new Set([...subscribed, ...asked.filter(isKnown)])],
    };
  },
  inAddress: () => [],
  rest(url, tradesOf) {
    if (url.pathname === "/0/public/Time")
      return '{"error":[],"result":{"unixtime":1760097600,"rfc1123":"Fri, 10 Oct 25 12:00:00 +0000"}}';
    if (url.pathname !== "/0/public/Trades") return null;
    const pair = url.searchParams.get("pair") ?? "";
    const since_ns = BigInt(url.searchParams.get("since") ?? "0");
    const product = pair
      .replace(/^XBT/, "BTC")
      .replace(/^XDG/, "DOGE")
      .replace(/(USD)$/, "/$1");
    const found = tradesOf(product)
      .filter(({ at_us }) => BigInt(at_us) * 1000n > since_ns)
      .slice(0, Math.min(1000, number(url.searchParams.get("count"), 1000)));
    const row = ({ id, price, quantity, at_us }: KnownTrade): string =>
      `["${price}","${quantity}",${Math.floor(at_us / 1e6)}.${String(at_us % 1e6).padStart(6, "0")}1,"b","m","",${id}]`;
    const last_us = found.at(-1)?.at_us;
    const last = last_us === undefined ? since_ns : BigInt(last_us) * 1000n;
    return `{"error":[],"result":{"X${pair}":[${found.map(row).join(",")}],"last":"${last}"}}`;
  },
};

export const DIALECTS: Readonly<Record<ExchangeKind, ExchangeDialect>> = { binance, coinbase, kraken };
