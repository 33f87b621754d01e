import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { krakenProtocol } from "../../producers/kraken.ts";
import { openReplay } from "../../producers/replay.ts";
import { isoFromMicros } from "../../src/base/clock.ts";
import { marketData, skipWithout } from "../support/market-data.ts";
import { collect, textOf } from "../producer/collect.ts";
import { krakenSessionAsV2 } from "./kraken-v1.ts";

let folder: string;
before(async () => void (folder = await mkdtemp(join(tmpdir(), "coinlake-replay-"))));
after(async () => await rm(folder, { recursive: true, force: true }));

async function replay(content: string | Uint8Array, options: { position?: string; name?: string } = {}) {
  const file = join(folder, options.name ?? "session.txt");
  await writeFile(file, content);
  return await collect(await openReplay({ file, speed: "max" }), { position: options.position ?? null });
}

const SESSION = `wss://ws-feed.exchange.coinbase.com <-> 1618677816.8434298
wss://ws-feed.exchange.coinbase.com <- 1618677817.020616: {"type":"subscribe"}
1618677817.061845: {"type":"subscriptions","channels":[]}
1618677817.0797625: {"type":"match","trade_id":1,"product_id":"BTC-USD","price":"1.10"}
no line of a session
1618677817: {"type": "match" , "product_id":"ETH-USD"}

wss://stream.binance.com:9443/stream?streams=nknusdt@aggTrade <-> 1633998511.159679
1633998512.9: {"stream":"nknusdt@aggTrade","data":{"e":"aggTrade","s":"NKNUSDT"}}
1633998513.1234564: {"s":"BNBUSDT","p":"1"}
wss://ws.kraken.com/v2 <-> 1633998514
1633998514.000001: [993,[["354.11","0.8","1.5","s","l",""]],"trade","XMR/USD"]
1633998514.000002: {"channel":"trade","data":[{"symbol":"BTC/USD"}]}
1633998514.000003: {not json
wss://elsewhere.example.com/feed <-> 1633998515
1633998515.5: hello
`;

test("server messages are replayed byte for byte, with the source, the product and the recorded time", async () => {
  const { records } = await replay(SESSION);
  assert.deepEqual(
    records.map((record) => [record.source, record.key, isoFromMicros(record.ingested_at_us), textOf(record)]),
    [
      ["coinbase", "coinbase", "2021-04-17T16:43:37.061845Z", '{"type":"subscriptions","channels":[]}'],
      [
        "coinbase",
        "BTC-USD",
        "2021-04-17T16:43:37.079763Z",
        '{"type":"match","trade_id":1,"product_id":"BTC-USD","price":"1.10"}',
      ],
      ["replay", "unreadable", "2021-04-17T16:43:37.079763Z", "no line of a session"],
      ["coinbase", "ETH-USD", "2021-04-17T16:43:37.000000Z", '{"type": "match" , "product_id":"ETH-USD"}'],
      [
        "binance",
        "NKNUSDT",
        "2021-10-12T00:28:32.900000Z",
        '{"stream":"nknusdt@aggTrade","data":{"e":"aggTrade","s":"NKNUSDT"}}',
      ],
      ["binance", "BNBUSDT", "2021-10-12T00:28:33.123456Z", '{"s":"BNBUSDT","p":"1"}'],
      [
        "kraken",
        "XMR/USD",
        "2021-10-12T00:28:34.000001Z",
        '[993,[["354.11","0.8","1.5","s","l",""]],"trade","XMR/USD"]',
      ],
      ["kraken", "BTC/USD", "2021-10-12T00:28:34.000002Z", '{"channel":"trade","data":[{"symbol":"BTC/USD"}]}'],
      ["kraken", "kraken", "2021-10-12T00:28:34.000003Z", "{not json"],
      ["elsewhere.example.com", "elsewhere.example.com", "2021-10-12T00:28:35.500000Z", "hello"],
    ],
  );
});

test("a replay of a session resumes after any record, and each record keeps its source", async () => {
  const { records: whole } = await replay(SESSION);
  for (const [stop] of whole.entries()) {
    const { records: rest } = await replay(gzipSync(SESSION), {
      position: JSON.stringify({ records: stop }),
      name: "session.txt.gz",
    });
    assert.deepEqual(rest, whole.slice(stop));
  }
});

for (const source of ["coinbase", "binance", "kraken"]) {
  const name = `${source}-websocket.txt.gz`;
  test(`the recorded session of ${source} is replayed completely`, { skip: skipWithout(name) }, async () => {
    const compressed = await readFile(marketData(name) ?? "");
    const sent = gunzipSync(compressed)
      .toString("utf8")
      .split("\n")
      .filter((line) => /^\d/.test(line));
    const { records } = await replay(compressed, { name });
    assert.deepEqual(
      records.map(textOf),
      sent.map((line) => line.slice(line.indexOf(": ") + 2)),
    );
    assert.deepEqual(new Set(records.map((record) => record.source)), new Set([source]));
    const off_by_us = records.map(({ ingested_at_us }, index) =>
      Math.abs(ingested_at_us - Number(sent[index]?.split(":")[0]) * 1e6),
    );
    assert.ok(Math.max(...off_by_us) <= 1, "each at its recorded time");
  });
}

test(
  "the live source's protocol reads Kraken's recording, rewritten as v2",
  { skip: skipWithout("kraken-websocket.txt.gz") },
  async () => {
    const session = gunzipSync(await readFile(marketData("kraken-websocket.txt.gz") ?? "")).toString("utf8");
    const { records } = await replay(krakenSessionAsV2(session));
    const messages = records.map((record) => krakenProtocol.read(textOf(record)));
    const trades = messages.flatMap((one) => (one.kind === "trades" ? one.trades : []));
    assert.deepEqual(new Set(messages.map(({ kind }) => kind)), new Set(["alive", "trades"]));
    assert.equal(messages.filter(({ kind }) => kind === "trades").length, session.match(/\]\],"trade","/g)?.length);
    assert.deepEqual(trades[0], { product: "XMR/USD", id: 1, cursor: "1618678142557534000" });
    assert.deepEqual(new Set(trades.map(({ product }) => product)), new Set(["XMR/USD", "SC/EUR"]));
  },
);

test("a session's times may be counts of any unit from seconds on, but of one only, and none before 2009", async () => {
  const session = (...times: string[]): string =>
    ["wss://ws.kraken.com/v2 <-> 1633998514", ...times.map((time) => `${time}: {}`)].join("\n");
  const SAME = ["1633998514.000002", "1633998514000.002", "1633998514000002", "1633998514000002000"];
  for (const time of SAME) {
    const { records } = await replay(session(time));
    assert.deepEqual(
      records.map(({ ingested_at_us }) => isoFromMicros(ingested_at_us)),
      ["2021-10-12T00:28:34.000002Z"],
    );
  }
  await assert.rejects(replay(session(...SAME.slice(1, 3))), { code: "TIME_UNITS_MIXED", message: /line 2 .*line 3 / });
  await assert.rejects(replay(session(SAME[0]!, "0.5")), { code: "TIME_OUT_OF_RANGE", message: /^Line 3 / });
});
