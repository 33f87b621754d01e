import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { Gap } from "../../src/producer/producer.ts";
import { textOf } from "../producer/collect.ts";
import { DIALECTS, type ExchangeKind, type KnownTrade } from "./exchange-messages.ts";
import { EXCHANGES, ExchangeRun, pageOf, until } from "./exchange-run.ts";
import { ExchangeServer } from "./exchange-server.ts";

const idsOf = (trades: readonly KnownTrade[] | undefined): number[] => (trades ?? []).map(({ id }) => id);

const without = (ids: readonly number[], others: readonly number[]): number[] =>
  ids.filter((id) => !others.includes(id));

/** Contiguous ranges of the numbers, as in reported gaps. */
function runsOf(product: string, ids: readonly number[]): [string, number, number][] {
  const runs: [string, number, number][] = [];
  for (const id of ids) {
    const last = runs.at(-1);
    if (last !== undefined && last[2] === id - 1) last[2] = id;
    else runs.push([product, id, id]);
  }
  return runs;
}

for (const kind of Object.keys(EXCHANGES) as ExchangeKind[]) {
  describe(kind, () => {
    const { products, protocol } = EXCHANGES[kind];
    const [main, second, third] = products;
    let server: ExchangeServer;
    const runs: ExchangeRun[] = [];

    beforeEach(async () => void (server = await ExchangeServer.start(kind, { heartbeat_ms: 20 })));
    afterEach(async () => {
      for (const run of runs.splice(0)) await run.stop();
      await server.stop();
    });

    function start(options: ConstructorParameters<typeof ExchangeRun>[1] = {}): ExchangeRun {
      const run = new ExchangeRun(server, options);
      runs.push(run);
      return run;
    }

    const known = (product: string): number[] => idsOf(server.trades.get(product));
    const hasAll = (run: ExchangeRun): boolean =>
      products.every((product) => run.ids(product).all.length >= known(product).length);
    const wholeIn = async (run: ExchangeRun): Promise<void> => {
      await until(() => hasAll(run), "every known trade is delivered");
      for (const product of products) assert.deepEqual(run.ids(product).all, known(product));
    };

    test("records every trade message byte for byte, in order, by product, and no transport message", async () => {
      const run = start();
      await run.connected(server);
      const before_us = Date.now() * 1000;
      const made: KnownTrade[] = [];
      for (let round = 0; round < 20; round += 1) {
        for (const product of products) made.push(server.trade(product));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await until(() => run.records.length >= made.length, "all are records");
      const sent = made.map((trade) => [trade.product, protocol.source, ...DIALECTS[kind].messages([trade])]);
      assert.deepEqual(
        run.records.map((record) => [record.key, record.source, textOf(record)]),
        sent,
      );
      assert.ok(
        run.records.every(({ ingested_at_us }) => ingested_at_us >= before_us && ingested_at_us <= Date.now() * 1000),
      );
      assert.deepEqual(run.status.missed, { open: 0, filled: 0, lost: 0 });
      assert.equal(run.status.state, "live");
    });

    test("records unknown messages unchanged: garbage, other shapes, invalid UTF-8", async () => {
      const run = start();
      await run.connected(server);
      const strange = [
        Buffer.from("<html>"),
        Buffer.from('{"type":"news","channel":"news"}'),
        Buffer.from([0xff, 0x00, 0x7b]),
        Buffer.from("[1,2]"),
        Buffer.from(""),
      ];
      for (const message of strange) server.send(message);
      server.trade(main);
      await until(() => run.records.length > strange.length, "all are records");
      assert.deepEqual(
        run.records.slice(0, strange.length).map(({ key, payload }) => [key, Buffer.from(payload)]),
        strange.map((message) => [protocol.source, message]),
      );
    });

    test("detects lost messages, fetches their trades over REST and reports exactly those", async () => {
      const run = start();
      await run.connected(server);
      const lost = new Map<string, number[]>(products.map((product) => [product, []]));
      for (let number = 0; number < 300; number += 1) {
        const product = products[number % 3] ?? main;
        const trade = server.make(product);
        const is_lost = number > 3 && number < 290 && (number % 17 < 4 || number % 23 === 0);
        if (is_lost) lost.get(product)?.push(trade.id);
        else server.deliver(trade);
      }
      await wholeIn(run);
      const expected = products
        .toSorted((a, b) => a.localeCompare(b))
        .flatMap((product) => runsOf(product, lost.get(product) ?? []));
      await until(() => run.status.missed.open === 0, "nothing is missing any more");
      assert.deepEqual(run.gaps("filled"), expected);
      assert.deepEqual(run.status.missed, { open: 0, filled: [...lost.values()].flat().length, lost: 0 });
      for (const product of products) {
        const { streamed } = run.ids(product);
        assert.deepEqual(
          streamed,
          known(product).filter((id) => !lost.get(product)?.includes(id)),
        );
      }
    });

    test("keeps the digits of a fetched page's body, and records its product and route", async () => {
      const run = start();
      await run.connected(server);
      server.trade(main);
      server.make(main, { price: "0.12345678901234567890" });
      server.trade(main);
      await wholeIn(run);
      const record = run.records.find((one) => pageOf(textOf(one)) !== null);
      assert.equal(record?.key, main);
      assert.equal(record?.source, protocol.source);
      assert.ok(textOf(record).startsWith(`{"product":"${main}","backfill":"${protocol.rest.backfill}","body":`));
      assert.ok(textOf(record).includes('"0.12345678901234567890"'));
    });

    test("reports no gap for duplicate and reordered messages", async () => {
      const run = start({
        gaps: { max_gap: 5_000, max_jump: 1_000_000, max_open: 200, max_recent: 100, max_saved: 20, settle_ms: 2_000 },
      });
      await run.connected(server);
      server.trade(main);
      const [a, b, c, d] = [1, 2, 3, 4].map(() => server.make(main)) as [
        KnownTrade,
        KnownTrade,
        KnownTrade,
        KnownTrade,
      ];
      for (const trade of [c, a, a, d, b, c, a]) server.deliver(trade);
      await until(() => run.records.length >= 8, "all are records");
      assert.deepEqual(run.ids(main).all, known(main));
      assert.deepEqual(run.status.gaps, []);
      assert.deepEqual(server.requests, []);
      const saved = JSON.parse(run.position ?? "") as { open: unknown[] };
      assert.deepEqual(saved.open, []);
    });

    test("closes a gap when all of its messages arrive late, and not before", async () => {
      const run = start();
      await run.connected(server);
      server.rest_commands.push(
        ...Array.from({ length: 500 }, () => ({ do: "answer", status: 500, body: "" }) as const),
      );
      server.trade(main);
      const late = [server.make(main), server.make(main), server.make(main)] as const;
      server.trade(main);
      await until(() => run.codes.includes("GAP_FOUND"), "the gap is found");
      assert.deepEqual(run.gaps("open"), runsOf(main, idsOf(late)));
      server.deliver(late[1]);
      await until(() => run.status.missed.open === 2, "one came");
      server.deliver(late[2], late[0]);
      await until(() => run.status.missed.open === 0, "all came");
      assert.deepEqual(run.gaps("filled"), runsOf(main, idsOf(late)));
      assert.deepEqual(run.status.missed, { open: 0, filled: 3, lost: 0 });
    });

    test("reconnects after a cut connection and fetches the trades missed meanwhile", async () => {
      const run = start();
      await run.connected(server);
      for (const product of products) server.trade(product);
      await until(() => run.records.length === 3, "the first came");
      server.cut();
      for (const product of products) server.make(product);
      await until(
        () => run.status.reconnects === 1 && products.every((product) => server.isSubscribed(product)),
        "it is back",
      );
      for (const product of products) server.trade(product);
      await wholeIn(run);
      assert.ok(run.codes.includes("DISCONNECTED"));
      assert.equal(run.status.state, "live");
    });

    test("loses no trade while the server is down, and reports the state failed meanwhile", async () => {
      const run = start();
      await run.connected(server);
      server.trade(main);
      await until(() => run.records.length === 1, "the first came");
      await server.kill();
      for (let number = 0; number < 1_500; number += 1) server.make(main);
      await until(() => run.status.state === "failed" && run.codes.includes("CONNECTION_REFUSED"), "it has failed");
      assert.match(run.status.message ?? "", /connection refused/);
      await server.listen();
      await until(() => run.status.state === "live" && server.isSubscribed(main), "it is back");
      server.trade(main);
      await wholeIn(run);
      const missed = without(known(main), run.ids(main).streamed);
      assert.ok(missed.length >= 1_499, "Coinbase repeats the newest, nobody more");
      const reported = run
        .gaps("filled")
        .flatMap(([, first_id, last_id]) =>
          Array.from({ length: last_id - first_id + 1 }, (_, number) => first_id + number),
        );
      assert.deepEqual(reported, missed);
    });

    test("fetches the trades missed during a restart, and those of gaps that were open before it", async () => {
      const first = start();
      await first.connected(server);
      server.rest_commands.push(
        ...Array.from({ length: 500 }, () => ({ do: "answer", status: 503, body: "" }) as const),
      );
      server.trade(main);
      server.make(main);
      server.trade(main);
      server.trade(second);
      await until(() => first.status.missed.open === 1, "a gap is open");
      server.trade(third);
      await until(() => first.ids(third).all.length === 1, "the position is behind the gap");
      await first.stop();
      assert.equal(first.status.state, "ended");
      for (const product of [main, main, second]) server.make(product);
      server.rest_commands.length = 0;

      const next = start({ position: first.position });
      await next.connected(server);
      for (const product of products) server.trade(product);
      const both = (product: string): number[] =>
        [...new Set([...first.ids(product).all, ...next.ids(product).all])].sort((a, b) => a - b);
      await until(
        () => products.every((product) => both(product).length >= known(product).length),
        "every known trade is delivered",
      );
      for (const product of products) assert.deepEqual(both(product), known(product));
      await until(() => next.status.missed.open === 0, "nothing is missing");
      const missed = products.flatMap((product) =>
        without(known(product), [...first.ids(product).streamed, ...next.ids(product).streamed]),
      );
      assert.ok(missed.length >= 2, "Coinbase repeats the newest of each product, nobody more");
      assert.deepEqual(next.status.missed, { open: 0, filled: missed.length, lost: 0 });
    });

    test("fetches the missed trades of a product that does not trade again", async () => {
      const run = start();
      await run.connected(server);
      for (const product of products) server.trade(product);
      await until(() => run.records.length === 3, "the first came");
      await server.kill();
      for (let number = 0; number < 5; number += 1) server.make(main);
      server.make(second);
      await server.listen();
      await wholeIn(run);
      assert.deepEqual(run.status.missed.lost, 0);
      await run.stop();
      const { id } = server.make(third);
      const next = start({ position: run.position });
      await until(() => next.ids(third).all.includes(id), "a restart fetches it as well");
    });

    test("requests no trade from before the first connection", async () => {
      for (let number = 0; number < 5; number += 1) server.make(main);
      const run = start();
      await run.connected(server);
      server.trade(main);
      await until(() => run.ids(main).all.includes(known(main).at(-1) ?? 0), "the trade came");
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.deepEqual(run.status.gaps, []);
      assert.deepEqual(server.requests, []);
    });

    test("reports trades that REST does not have as lost, with the reason, and fills the rest of the gap", async () => {
      const run = start();
      await run.connected(server);
      server.trade(main);
      const missed = Array.from({ length: 9 }, () => server.make(main));
      for (const trade of missed.slice(3, 5)) server.forgotten.add(trade);
      server.trade(main);
      await until(() => run.status.missed.lost === 2, "two are lost");
      await until(() => run.status.missed.open === 0, "the rest is filled");
      const ids = idsOf(missed);
      assert.deepEqual(run.gaps("lost"), runsOf(main, ids.slice(3, 5)));
      assert.deepEqual(run.gaps("filled"), [...runsOf(main, ids.slice(0, 3)), ...runsOf(main, ids.slice(5))]);
      assert.deepEqual(
        run.status.gaps.filter(({ state }) => state === "lost").map(({ reason }) => reason),
        ["it does not have them"],
      );
      assert.match(run.said("GAP_LOST")[0] ?? "", new RegExp(`${main}: 2 trades`));
      // Lost trades are remembered across restarts.
      server.trade(main);
      await until(() => run.ids(main).streamed.length === 3, "another came");
      const saved = JSON.parse(run.position ?? "") as { lost: Gap[]; lost_count: number };
      assert.deepEqual([saved.lost.length, saved.lost_count], [1, 2]);
    });

    test("keeps a gap open while REST fails, and fills it afterwards", async () => {
      // Long enough for each response on a busy machine: a late status would be a timeout.
      const run = start({ request_timeout_ms: 2_000 });
      await run.connected(server);
      server.rest_commands.push(
        { do: "answer", status: 500, body: "oops" },
        { do: "hang" },
        { do: "cut" },
        { do: "answer", status: 429, headers: { "retry-after": "0" }, body: "" },
        { do: "answer", status: 200, body: "{not json" },
        { do: "answer", status: 200, body: '{"error":["EGeneral:Too many requests"]}' },
      );
      server.trade(main);
      server.make(main);
      server.trade(main);
      await wholeIn(run);
      assert.deepEqual(run.status.missed, { open: 0, filled: 1, lost: 0 });
      for (const code of ["BAD_STATUS", "TIMED_OUT", "CONNECTION_LOST", "RATE_LIMITED"])
        assert.ok(run.codes.includes(code), code);
      assert.equal(
        run.records.filter((record) => pageOf(textOf(record)) !== null).length,
        1,
        "only answers that help are records",
      );
    });

    test("waits as long as a rate-limited REST response demands", async () => {
      const run = start();
      await run.connected(server);
      server.rest_commands.push({ do: "answer", status: 429, headers: { "retry-after": "7" }, body: "" });
      server.trade(main);
      server.make(main);
      server.trade(main);
      await until(() => run.codes.includes("RATE_LIMITED"), "it was reported");
      assert.match(run.said("RATE_LIMITED")[0] ?? "", /Retrying in 7 s\./);
      assert.equal(server.requests.length, 1);
    });

    test("reports the part of a gap beyond the size limit as lost at once, and fills the rest", async () => {
      const run = start({
        gaps: { max_gap: 100, max_jump: 1_000_000, max_open: 200, max_recent: 100, max_saved: 20, settle_ms: 60 },
      });
      await run.connected(server);
      server.trade(main);
      const ids = idsOf(Array.from({ length: 130 }, () => server.make(main)));
      server.trade(main);
      // With time cursors a page extends past the requested trades, and so includes the trades that were given up.
      const [asked, lost] = kind === "kraken" ? [ids.slice(0, 100), []] : [ids.slice(30), ids.slice(0, 30)];
      await until(() => run.status.missed.filled === 130 - lost.length, "the rest is filled");
      assert.deepEqual(run.gaps("lost"), runsOf(main, lost));
      assert.deepEqual(run.gaps("filled"), runsOf(main, asked));
      assert.deepEqual(run.status.missed, { open: 0, filled: 130 - lost.length, lost: lost.length });
      assert.match(run.said("GAP_LOST")[0] ?? "", /at most 100 trades of a gap are requested/);
    });

    test("replaces a connection that has become silent", async () => {
      const run = start({
        connection: { connect_timeout_ms: 2_000, silent_after_ms: 400, max_message_bytes: 64 * 1024 },
      });
      await run.connected(server);
      server.trade(main);
      await until(() => run.records.length === 1, "the first came");
      server.is_silent = true;
      server.make(main);
      await until(() => run.codes.includes("DISCONNECTED"), "silence is noticed");
      assert.match(run.said("DISCONNECTED")[0] ?? "", /no message for/);
      server.is_silent = false;
      await until(() => run.status.state === "live" && server.isSubscribed(main), "it is back");
      server.trade(main);
      await wholeIn(run);
    });

    test("keeps a quiet connection whose server answers pings", async () => {
      const run = start({
        connection: { connect_timeout_ms: 2_000, silent_after_ms: 400, max_message_bytes: 64 * 1024 },
      });
      await run.connected(server);
      const heard_at_us = run.status.heard_at_us ?? 0;
      await until(
        () => (run.status.heard_at_us ?? 0) - heard_at_us > 1_200_000,
        "a message arrived three silences later",
      );
      assert.deepEqual([run.status.reconnects, run.status.state], [0, "live"]);
    });

    test("replaces a connection before its lifetime ends and loses no message: the new one opens first", async () => {
      const run = start({ life_ms: 150 });
      await run.connected(server);
      const stopping = new AbortController();
      const trading = server.run({ products, per_second: 2_000, signal: stopping.signal });
      let fewest = Infinity;
      await until(() => {
        fewest = Math.min(fewest, server.clients);
        return run.status.reconnects >= 4;
      }, "four connections were replaced");
      stopping.abort();
      await trading;
      await wholeIn(run);
      for (const product of products)
        assert.deepEqual(run.ids(product).streamed, known(product), "the feed alone brought all");
      assert.deepEqual(run.status.gaps, []);
      assert.ok(fewest >= 1);
      assert.ok(!run.codes.includes("DISCONNECTED"));
    });

    test("retries a failed replacement while the old connection stays in use", async () => {
      const run = start({ life_ms: 300 });
      await run.connected(server);
      server.handshake_commands.push({ status: 503 }, { status: 503 }, { status: 503 });
      const stopping = new AbortController();
      const trading = server.run({ products, per_second: 500, signal: stopping.signal });
      await until(
        () => run.status.reconnects >= 1 && server.handshake_commands.length === 0,
        "it was replaced in the end",
      );
      stopping.abort();
      await trading;
      await wholeIn(run);
      assert.deepEqual(run.status.gaps, []);
    });

    test("reports a rejected product and continues with the others", async () => {
      server.unknown_products.add(second);
      const run = start();
      if (kind === "binance") return; // The source accepts any name and sends nothing for unknown ones.
      await until(() => run.codes.includes("CONNECTED"), "a connection");
      assert.equal(run.said("SUBSCRIPTION_REJECTED").length, 1);
      assert.match(run.said("SUBSCRIPTION_REJECTED")[0] ?? "", new RegExp(`the source rejected ${second}`));
      assert.match(run.status.message ?? "", new RegExp(second));
      for (const product of [main, third]) server.trade(product);
      await until(() => run.records.length === 2, "the others trade");
    });

    test("reports a failure and retries when every product is rejected", async () => {
      if (kind === "binance") return;
      for (const product of products) server.unknown_products.add(product);
      const run = start();
      await until(
        () => run.said("SUBSCRIPTION_REJECTED").length > 4 && run.status.state === "failed",
        "it was tried twice",
      );
      server.unknown_products.clear();
      await until(() => run.status.state === "live", "it is connected");
      // Products that were rejected on a connection are requested again on the next one.
      server.cut();
      await run.connected(server);
    });

    test("retries a rejected handshake after the delay that the server demands", async () => {
      server.handshake_commands.push({ status: 500 }, { status: 429, headers: { "retry-after": "2" } });
      const run = start();
      await until(() => run.codes.includes("RATE_LIMITED"), "it was asked to wait");
      assert.match(run.said("HANDSHAKE_REJECTED")[0] ?? "", /status 500/);
      assert.match(run.said("RATE_LIMITED")[0] ?? "", /Reconnecting in 2 s\./);
    });

    test("closes a connection whose subscriptions are not acknowledged in time", async () => {
      server.are_acks_withheld = true;
      const run = start({
        connection: { connect_timeout_ms: 150, silent_after_ms: 2_000, max_message_bytes: 64 * 1024 },
      });
      await until(() => run.codes.includes("TIMED_OUT"), "it was given up");
      server.are_acks_withheld = false;
      await run.connected(server);
    });

    test("closes the connection after an oversized message, and loses no trade", async () => {
      const run = start();
      await run.connected(server);
      server.trade(main);
      server.send("x".repeat(70_000));
      server.make(main);
      await until(() => run.said("DISCONNECTED").length === 1, "it was given up");
      assert.match(run.said("DISCONNECTED")[0] ?? "", /longer than/);
      await until(() => run.status.state === "live" && server.isSubscribed(main), "it is back");
      server.trade(main);
      await wholeIn(run);
    });

    test("applies back-pressure while nobody reads its batches: memory is bounded, and no trade is lost", async () => {
      const run = start({
        arrivals: { max_waiting: 500, max_waiting_bytes: 256 * 1024, max_taken: 100, max_taken_bytes: 64 * 1024 },
      });
      await run.connected(server);
      const go_on = Promise.withResolvers<void>();
      run.hold = go_on.promise;
      let sent_bytes = 0;
      const padding = "0".repeat(2_000);
      for (let number = 0; number < 20_000; number += 1) {
        const trade = server.trade(main, { price: `1.${padding}` });
        sent_bytes += trade.price.length;
        if (number % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
      const taken_bytes = sent_bytes - server.unsent_bytes;
      assert.ok(
        taken_bytes < 16 * 1024 * 1024,
        `${taken_bytes} bytes of ${sent_bytes} left the server: sockets' own buffers and ours`,
      );
      assert.ok(run.records.length <= 100);
      go_on.resolve();
      await wholeIn(run);
      assert.ok(Math.max(...run.batch_sizes) <= 100);
      assert.deepEqual(run.ids(main).streamed, known(main), "the feed alone brought all");
      assert.equal(run.status.reconnects, 0);
    });

    test("stops at once, closes its connection and keeps the position of the last yielded record", async () => {
      const run = start();
      await run.connected(server);
      for (let number = 0; number < 50; number += 1) server.trade(main);
      await until(() => run.records.length > 0, "something came");
      await run.stop();
      await until(() => server.clients === 0, "no connection is left");
      assert.equal(run.status.state, "ended");
      const { streamed } = run.ids(main);
      const saved = JSON.parse(run.position ?? "") as { products: Record<string, number[]> };
      assert.equal(saved.products[main]?.[0], streamed.at(-1), "the position is that of the last record");
    });

    test("passes a probe when the source answers, even with a rate limit, and fails it otherwise", async () => {
      const run = start();
      const never = new AbortController().signal;
      await run.producer.probe(never);
      server.rest_commands.push({ do: "answer", status: 429, body: "" });
      await run.producer.probe(never);
      server.rest_commands.push({ do: "answer", status: 500, body: "" });
      await assert.rejects(run.producer.probe(never), {
        code: "SOURCE_UNREACHABLE",
        message: /127\.0\.0\.1.*status 500/,
      });
      await server.kill();
      await assert.rejects(run.producer.probe(never), { code: "SOURCE_UNREACHABLE" });
    });
  });
}
