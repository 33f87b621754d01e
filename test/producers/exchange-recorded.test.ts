import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { microsFromIso } from "../../src/base/instant.ts";
import { marketData, skipWithout } from "../support/market-data.ts";
import { textOf } from "../producer/collect.ts";
import type { KnownTrade } from "./exchange-messages.ts";
import { ExchangeRun, FAST, pageOf, until } from "./exchange-run.ts";
import { ExchangeServer } from "./exchange-server.ts";

const RECORDING = "coinbase-websocket.txt.gz";

/** The messages of the recording's server, in order, with their trades. */
function recorded(): { text: string; trade: KnownTrade | null }[] {
  const lines = gunzipSync(readFileSync(marketData(RECORDING) ?? ""))
    .toString("utf8")
    .split("\n");
  return lines
    .filter((line) => /^\d/.test(line))
    .map((line) => {
      const text = line.slice(line.indexOf(": ") + 2);
      const { type, product_id, trade_id, price, size, time } = JSON.parse(text) as Record<string, string> & {
        trade_id: number;
      };
      const is_trade = type === "match" || type === "last_match";
      return {
        text,
        trade: is_trade
          ? {
              product: product_id ?? "",
              id: trade_id,
              price: price ?? "",
              quantity: size ?? "",
              at_us: microsFromIso(time ?? "") ?? 0,
            }
          : null,
      };
    });
}

test(
  "a recorded session with repeated disconnects yields every trade, and exactly the missed ones are reported",
  { skip: skipWithout(RECORDING) },
  async () => {
    const session = recorded();
    const products = [...new Set(session.flatMap(({ trade }) => trade?.product ?? []))];
    const server = await ExchangeServer.start("coinbase", { heartbeat_ms: 20 });
    const run = new ExchangeRun(server, {
      products,
      connection: { ...FAST.connection, max_message_bytes: 1024 * 1024 },
    });
    const isSubscribed = (): boolean => products.every((product) => server.isSubscribed(product));
    try {
      await until(isSubscribed, "a connection");
      let trades = 0;
      let outage = 0;
      const sent: string[] = [];
      for (const [index, { text, trade }] of session.entries()) {
        if (trade !== null) {
          server.trades.set(trade.product, [...(server.trades.get(trade.product) ?? []), trade]);
          trades += 1;
          // After the first ten trades, one per product, every eighth trade message ends the connection before it is
          // sent.
          if (trades > 12 && trades % 8 === 0) outage = 3;
        }
        if (outage > 0) {
          // A clean close, so that earlier messages arrive: only then are the missed trades known.
          if (outage === 3) server.close();
          if (trade !== null) outage -= 1;
          if (outage > 0 || trade !== null) continue;
        }
        await until(isSubscribed, "a connection");
        server.send(text);
        sent.push(text);
        if (index % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await until(isSubscribed, "a connection");
      const whole = (): boolean =>
        products.every((product) => run.ids(product).all.length === server.trades.get(product)?.length);
      await until(() => whole() && run.status.missed.open === 0, "every recorded trade");
      const missed = products.flatMap((product) => {
        const { streamed } = run.ids(product);
        return (server.trades.get(product) ?? []).filter(({ id }) => !streamed.includes(id));
      });
      assert.ok(missed.length >= 10, `${missed.length} were missed`);
      assert.deepEqual(run.status.missed, { open: 0, filled: missed.length, lost: 0 });
      const reported = run
        .gaps("filled")
        .flatMap(([product, first_id, last_id]) =>
          Array.from({ length: last_id - first_id + 1 }, (_, number) => `${product} ${first_id + number}`),
        );
      assert.deepEqual(new Set(reported), new Set(missed.map(({ product, id }) => `${product} ${id}`)));
      const kept = run.records.map(textOf).filter((text) => pageOf(text) === null);
      const isNoTrade = (text: string): boolean => /"type":"(?:ticker|l2update|snapshot)"/.test(text);
      assert.ok(sent.filter(isNoTrade).length > 5_000);
      assert.ok(
        kept.filter(isNoTrade).join("\n") === sent.filter(isNoTrade).join("\n"),
        "what is no trade is kept too, in order",
      );
    } finally {
      await run.stop();
      await server.stop();
    }
  },
);
