import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { binance, binanceProtocol } from "../../producers/binance.ts";
import { coinbase, coinbaseProtocol } from "../../producers/coinbase.ts";
import { checkedAddress } from "../../producers/exchange/addresses.ts";
import { exchange, settingNames } from "../../producers/exchange/exchange.ts";
import type { ExchangeProtocol, ExchangeMessage } from "../../producers/exchange/protocol.ts";
import { krakenProtocol } from "../../producers/kraken.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { collect } from "../producer/collect.ts";

/** Messages from the exchanges' documentation or from recordings. */
const MESSAGES: [
  title: string,
  read: (message: string) => ExchangeMessage,
  message: string,
  message: ExchangeMessage,
][] = [
  [
    "Binance trade in a combined stream",
    binanceProtocol.read,
    '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1672515782136,"s":"BTCUSDT","a":12345,' +
      '"p":"0.001","q":"100","f":100,"l":105,"T":1672515782136,"m":true,"M":true}}',
    { kind: "trades", trades: [{ product: "BTCUSDT", id: 12345, cursor: null }] },
  ],
  [
    "Binance trade alone",
    binanceProtocol.read,
    '{"e":"aggTrade","E":1,"s":"BNBBTC","a":1,"p":"0.001","q":"100","f":1,"l":1,"T":1,"m":true,"M":true}',
    { kind: "trades", trades: [{ product: "BNBBTC", id: 1, cursor: null }] },
  ],
  [
    "Binance list of subscriptions",
    binanceProtocol.read,
    '{"result":["btcusdt@aggTrade","ethusdt@depth"],"id":1}',
    { kind: "subscribed", products: ["BTCUSDT"] },
  ],
  [
    "Binance error",
    binanceProtocol.read,
    '{"error":{"code":2,"msg":"Invalid request"},"id":1}',
    { kind: "rejected", products: null, reason: "Invalid request" },
  ],
  [
    "Binance error in older form",
    binanceProtocol.read,
    '{"code":2,"msg":"Invalid request: too many parameters","id":1}',
    { kind: "rejected", products: null, reason: "Invalid request: too many parameters" },
  ],
  ["Binance shutdown", binanceProtocol.read, '{"e":"serverShutdown","E":1770123456789}', { kind: "closing" }],
  [
    "Binance shutdown in a combined stream",
    binanceProtocol.read,
    '{"stream":"!","data":{"e":"serverShutdown","E":1770123456789}}',
    { kind: "closing" },
  ],
  [
    "Binance book ticker",
    binanceProtocol.read,
    '{"stream":"nknusdt@bookTicker","data":{"u":499869768,"s":"NKNUSDT","b":"0.35","B":"6","a":"0.35","A":"3"}}',
    { kind: "unknown" },
  ],
  [
    "Binance id beyond exact doubles",
    binanceProtocol.read,
    '{"e":"aggTrade","s":"X","a":9007199254740993}',
    { kind: "unknown" },
  ],
  [
    "Coinbase match",
    coinbaseProtocol.read,
    '{"type":"match","trade_id":10,"sequence":50,"maker_order_id":"a","taker_order_id":"b",' +
      '"time":"2014-11-07T08:19:27.028459Z","product_id":"BTC-USD","size":"5.23512","price":"400.23","side":"sell"}',
    { kind: "trades", trades: [{ product: "BTC-USD", id: 10, cursor: null }] },
  ],
  [
    "Coinbase last match",
    coinbaseProtocol.read,
    '{"type":"last_match","trade_id":881613,"product_id":"BAND-GBP","price":"14.7775"}',
    { kind: "trades", trades: [{ product: "BAND-GBP", id: 881613, cursor: null }] },
  ],
  [
    "Coinbase heartbeat",
    coinbaseProtocol.read,
    '{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}',
    { kind: "announced", product: "BTC-USD", last_id: 20 },
  ],
  [
    "Coinbase heartbeat without a trade",
    coinbaseProtocol.read,
    '{"type":"heartbeat","sequence":90,"last_trade_id":0,"product_id":"BTC-USD"}',
    { kind: "alive" },
  ],
  [
    "Coinbase subscriptions",
    coinbaseProtocol.read,
    '{"type":"subscriptions","channels":[{"name":"heartbeat","product_ids":["A-USD"]},' +
      '{"name":"matches","product_ids":["BTC-USD","ETH-USD"]}]}',
    { kind: "subscribed", products: ["BTC-USD", "ETH-USD"] },
  ],
  [
    "Coinbase error",
    coinbaseProtocol.read,
    '{"type":"error","message":"Failed to subscribe","reason":"Invalid product ID provided"}',
    { kind: "rejected", products: null, reason: "Failed to subscribe: Invalid product ID provided" },
  ],
  [
    "Coinbase ticker",
    coinbaseProtocol.read,
    '{"type":"ticker","trade_id":20153558,"product_id":"BTC-USD","price":"4388.01"}',
    { kind: "unknown" },
  ],
  [
    "Kraken update of two trades",
    krakenProtocol.read,
    '{"channel":"trade","type":"update","data":[' +
      '{"symbol":"MATIC/USD","side":"sell","price":0.5117,"qty":40.0,"ord_type":"market",' +
      '"trade_id":4665906,"timestamp":"2023-09-25T07:49:37.708706Z"},' +
      '{"symbol":"MATIC/USD","side":"sell","price":0.5117,"qty":40.0,"ord_type":"market",' +
      '"trade_id":4665907,"timestamp":"2023-09-25T07:49:37.708706123Z"}]}',
    {
      kind: "trades",
      trades: [
        { product: "MATIC/USD", id: 4665906, cursor: "1695628177708705000" },
        { product: "MATIC/USD", id: 4665907, cursor: "1695628177708705000" },
      ],
    },
  ],
  ["Kraken heartbeat", krakenProtocol.read, '{"channel":"heartbeat"}', { kind: "alive" }],
  [
    "Kraken status",
    krakenProtocol.read,
    '{"channel":"status","type":"update","data":[{"api_version":"v2","connection_id":12393906104898154338,' +
      '"system":"online","version":"2.0.4"}]}',
    { kind: "alive" },
  ],
  [
    "Kraken answer",
    krakenProtocol.read,
    '{"method":"subscribe","result":{"channel":"trade","snapshot":false,"symbol":"BTC/USD"},' +
      '"success":true,"time_in":"x","time_out":"y"}',
    { kind: "subscribed", products: ["BTC/USD"] },
  ],
  [
    "Kraken rejection",
    krakenProtocol.read,
    '{"error":"Currency pair not supported XBT/USD","method":"subscribe",' +
      '"success":false,"symbol":"XBT/USD","time_in":"x","time_out":"y"}',
    { kind: "rejected", products: ["XBT/USD"], reason: "Currency pair not supported XBT/USD" },
  ],
  [
    "Kraken rejection of every product",
    krakenProtocol.read,
    '{"error":"Malformed request","method":"error","success":false}',
    { kind: "rejected", products: null, reason: "Malformed request" },
  ],
  [
    "Kraken v1 array",
    krakenProtocol.read,
    '[993,[["354.11","0.8","1.5","s","l",""]],"trade","XMR/USD"]',
    { kind: "unknown" },
  ],
  ["text that is not JSON", krakenProtocol.read, "pong", { kind: "unknown" }],
];
for (const [title, read, message, expected] of MESSAGES) {
  test(`${title} is read as ${expected.kind}`, () => assert.deepEqual(read(message), expected));
}

test("REST paths request exactly the missing trades, and REST bodies yield ids, cursors and errors", () => {
  const asked = { product: "BTCUSDT", first_id: 5, last_id: 9, cursor: null };
  assert.equal(binanceProtocol.rest.path(asked), "/api/v3/aggTrades?symbol=BTCUSDT&fromId=5&limit=5");
  assert.equal(
    coinbaseProtocol.rest.path({ ...asked, product: "BTC-USD" }),
    "/products/BTC-USD/trades?limit=5&after=10",
  );
  assert.equal(
    krakenProtocol.rest.path({ ...asked, product: "DOGE/USD", cursor: "17" }),
    "/0/public/Trades?pair=XDGUSD&count=1000&since=17",
  );
  assert.equal(krakenProtocol.rest.path({ ...asked, product: "ETH/BTC" }), "/0/public/Trades?pair=ETHXBT&count=1000");
  assert.deepEqual(binanceProtocol.rest.read([{ a: 5, p: "1" }, { a: "x" }, 3]), { ids: [5], cursor: null });
  assert.deepEqual(coinbaseProtocol.rest.read([{ trade_id: 7 }, {}]), { ids: [7], cursor: null });
  const body = {
    error: [],
    result: {
      XXBTZUSD: [["30243.4", "0.34", 1688669597.8277369, "b", "m", "", 61044952]],
      last: "1688671969993150842",
    },
  };
  assert.deepEqual(krakenProtocol.rest.read(body), { ids: [61044952], cursor: "1688671969993150842" });
  assert.deepEqual(krakenProtocol.rest.read({ error: ["EAPI:Rate limit exceeded"] }), {
    error: "EAPI:Rate limit exceeded",
    is_rate_limit: true,
  });
  assert.deepEqual(krakenProtocol.rest.read({ error: ["EQuery:Unknown asset pair"] }), {
    error: "EQuery:Unknown asset pair",
    is_rate_limit: false,
  });
  for (const { rest } of [binanceProtocol, coinbaseProtocol, krakenProtocol])
    for (const other of [null, {}, "x", 1]) assert.equal(rest.read(other), null);
});

test("products keep the exchange's spelling, and are percent-encoded in URLs", () => {
  const products = (protocol: ExchangeProtocol, given: string) => exchange(protocol, { products: [given] });
  const SPELLED: [ExchangeProtocol, string, string][] = [
    [binanceProtocol, "btcusdt", "BTCUSDT"],
    [binanceProtocol, "币安人生usdt", "币安人生USDT"],
    [coinbaseProtocol, "btc-usd", "BTC-USD"],
    [krakenProtocol, "AAPLx/USD", "AAPLx/USD"],
    [krakenProtocol, "btc/usd", "btc/usd"],
  ];
  for (const [protocol, given, spelled] of SPELLED) {
    assert.equal(protocol.spell(given), spelled);
    products(protocol, given);
  }
  const asked = { first_id: 5, last_id: 9, cursor: null };
  const encoded = encodeURIComponent("币安人生");
  assert.equal(
    binanceProtocol.socketUrl("ws://x", ["币安人生USDT", "BTCUSDT"]),
    `ws://x/stream?streams=${encoded}usdt@aggTrade/btcusdt@aggTrade`,
  );
  assert.equal(
    binanceProtocol.rest.path({ ...asked, product: "币安人生USDT" }),
    `/api/v3/aggTrades?symbol=${encoded}USDT&fromId=5&limit=5`,
  );
  assert.equal(
    krakenProtocol.rest.path({ ...asked, product: "AAPLx/USD" }),
    "/0/public/Trades?pair=AAPLxUSD&count=1000&asset_class=tokenized_asset",
  );
  assert.equal(
    krakenProtocol.subscription(["AAPLx/USD"]),
    '{"method":"subscribe","params":{"channel":"trade","symbol":["AAPLx/USD"],"snapshot":false}}',
  );
  for (const wrong of ["A/USDT", "BTC USDT", "BTC?USDT", "BTC&x=1", "BTC#"])
    assert.throws(() => products(binanceProtocol, wrong), { code: "INVALID_PRODUCTS" });
});

test("every default product is mapped to a coin", () => {
  const seed = readFileSync(join(projectFolder(), "dbt_crypto", "seeds", "crypto_products.csv"), "utf8");
  const mapped = new Set(seed.split("\n").map((line) => line.split(",").slice(0, 2).join(" ")));
  for (const { source, products } of [binanceProtocol, coinbaseProtocol, krakenProtocol]) {
    assert.deepEqual(
      products.filter((product) => !mapped.has(`${source} ${product}`)),
      [],
      source,
    );
    assert.equal(new Set(products).size, 20);
  }
});

test("addresses must be encrypted or local, without credentials or a query", () => {
  for (const address of ["wss://feed.example.com", "ws://127.0.0.1:9000", "ws://localhost:9", "ws://[::1]:9/v2/"])
    assert.equal(checkedAddress("X", address, "ws"), address.replace(/\/$/, ""));
  for (const address of [
    "ws://feed.example.com",
    "http://127.0.0.1",
    "wss://user:secret@feed.example.com",
    "wss://feed.example.com/?q",
    "feed.example.com",
    "",
    "ws://127.0.0.1.example.com",
    "ws://192.168.0.7",
  ]) {
    assert.throws(
      () => checkedAddress("COINLAKE_X_WS_URL", address, "ws"),
      { code: "INVALID_ADDRESS", message: /^Invalid COINLAKE_X_WS_URL: it must be a wss/ },
      address,
    );
  }
  assert.equal(checkedAddress("X", "https://api.example.com", "http"), "https://api.example.com");
  assert.throws(() => checkedAddress("X", "http://api.example.com", "http"), { code: "INVALID_ADDRESS" });
});

test("addresses and products come from the environment, and an error names the invalid value", () => {
  const { ws_url, products } = settingNames("binance");
  assert.equal(ws_url, "COINLAKE_BINANCE_WS_URL");
  const made = (env: NodeJS.ProcessEnv) => exchange(binanceProtocol, {}, env);
  assert.equal(made({ [products]: " btcusdt, ETHUSDT ,," }).id, "binance");
  assert.throws(() => made({ [ws_url]: "ws://feed.example.com" }), { code: "INVALID_ADDRESS" });
  assert.throws(() => made({ [products]: "BTC-USDT" }), { code: "INVALID_PRODUCTS", message: /"BTC-USDT"/ });
  assert.throws(() => made({ [products]: "," }), {
    code: "INVALID_PRODUCTS",
    message: /is empty: it must name at least one product/,
  });
  assert.throws(() => coinbase({ products: ["BTC-USD&x=1"] }), { code: "INVALID_PRODUCTS" });
});

test("an invalid stored position stops the source with an error and the state failed", async () => {
  for (const position of [
    "",
    "{}",
    "[1]",
    '{"products":{"A":["x"]},"open":[],"lost":[],"lost_count":0,"filled_count":0}',
  ]) {
    const source = binance({ ws_url: "ws://127.0.0.1:9", rest_url: "http://127.0.0.1:9" });
    await assert.rejects(collect(source, { position }), { code: "INVALID_POSITION" }, position);
    assert.equal(source.status?.().state, "failed");
  }
});
