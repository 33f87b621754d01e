import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import type { LogRecord } from "../../src/log/log.ts";
import { openSqliteLog } from "../../src/log/sqlite/log.ts";
import { coinlake, startCoinlake, temporaryFolder, type Finished } from "../support/coinlake.ts";
import { CoingeckoServer, PAGE } from "../producers/coingecko-server.ts";
import { ExchangeServer } from "../producers/exchange-server.ts";
import { EXCHANGES, pageOf } from "../producers/exchange-run.ts";
import type { ExchangeKind } from "../producers/exchange-messages.ts";
import { eventually } from "../support/eventually.ts";

const TOPIC = "crypto.prices.raw";
const PATIENCE_MS = 90_000;

describe("start with live sources", () => {
  const folder = temporaryFolder();
  const kinds = Object.keys(EXCHANGES) as ExchangeKind[];
  const exchanges = new Map<ExchangeKind, ExchangeServer>();
  let polled: CoingeckoServer;
  let env: Record<string, string>;
  let running: { child: { kill(signal: NodeJS.Signals): boolean }; finished: Promise<Finished> } | null = null;

  before(async () => {
    polled = await CoingeckoServer.start();
    polled.otherwise = { do: "answer", body: PAGE };
    env = { COINGECKO_BASE_URL: polled.base_url };
    for (const kind of kinds) {
      const server = await ExchangeServer.start(kind, { heartbeat_ms: 100 });
      exchanges.set(kind, server);
      Object.assign(env, server.environment(EXCHANGES[kind].products));
    }
  });
  afterEach(async () => {
    running?.child.kill("SIGKILL");
    await running?.finished;
    running = null;
  });
  after(async () => {
    await polled.stop();
    for (const server of exchanges.values()) await server.stop();
    folder.remove();
  });

  const serverOf = (kind: ExchangeKind): ExchangeServer => exchanges.get(kind) ?? assert.fail();

  /** Trades every product once more; every subscriber receives the trades. */
  function tradeEverywhere(): void {
    for (const kind of kinds) for (const product of EXCHANGES[kind].products) serverOf(kind).trade(product);
  }

  async function untilLog(data: string, holds: (records: LogRecord[]) => boolean): Promise<LogRecord[]> {
    let records: LogRecord[] = [];
    const read = async (): Promise<LogRecord[] | null> => {
      records = await recordsIn(join(data, "live", "log.db"));
      return holds(records) ? records : null;
    };
    return eventually(read, {
      what: () => `the records that the log should hold; it has ${records.length}`,
      timeout_ms: PATIENCE_MS,
      interval_ms: 50,
    });
  }

  test("runs all in one lake, continues if one dies, and fetches after a restart what it missed", async () => {
    const data = join(folder.path, "all");
    const start = (...args: string[]) =>
      (running = startCoinlake(["start", "--data", data, "--catalog-port", "0", "--port", "0", ...args], env));
    const first = start();
    const subscribed = (): boolean =>
      kinds.every((kind) => EXCHANGES[kind].products.every((product) => serverOf(kind).isSubscribed(product)));
    await untilLog(data, subscribed);
    tradeEverywhere();
    await untilLog(data, (records) => new Set(records.map(({ source }) => source)).size === kinds.length + 1);
    await serverOf("kraken").kill();
    tradeEverywhere();
    await untilLog(data, (records) => records.filter(({ source }) => source === "coinbase").length >= 6);
    first.child.kill("SIGINT");
    const { code, stderr } = await first.finished;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Kraken: .*DISCONNECTED/);

    tradeEverywhere();
    await serverOf("kraken").listen();
    start("--source", "coinbase,kraken");
    await untilLog(data, () =>
      ["coinbase", "kraken"].every((kind) =>
        EXCHANGES[kind as ExchangeKind].products.every((product) =>
          serverOf(kind as ExchangeKind).isSubscribed(product),
        ),
      ),
    );
    tradeEverywhere();
    const isWhole = (records: LogRecord[]): boolean =>
      (["coinbase", "kraken"] as const).every((kind) =>
        EXCHANGES[kind].products.every((product) => idsIn(records, kind, product).size >= 4),
      );
    const records = await untilLog(data, isWhole);
    for (const kind of ["coinbase", "kraken"] as const) {
      for (const product of EXCHANGES[kind].products) {
        assert.deepEqual(
          idsIn(records, kind, product),
          new Set((serverOf(kind).trades.get(product) ?? []).map(({ id }) => id)),
          product,
        );
      }
    }
    running?.child.kill("SIGINT");
    assert.equal((await running?.finished)?.code, 0);
    running = null;
    const verified = await coinlake(["verify", "--json", "--data", data]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  });

  test("an address that is neither encrypted nor local is rejected before any request is sent", async () => {
    const { code, stderr } = await coinlake(
      ["start", "--data", join(folder.path, "rejected"), "--source", "kraken", "--catalog-port", "0", "--port", "0"],
      {
        COINLAKE_KRAKEN_WS_URL: "ws://feed.example.com",
      },
    );
    assert.equal(code, 2);
    assert.match(stderr, /INVALID_ADDRESS/);
    assert.match(stderr, /COINLAKE_KRAKEN_WS_URL/);
    assert.ok(!existsSync(join(folder.path, "rejected", "live")));
  });
});

function idsIn(records: readonly LogRecord[], kind: ExchangeKind, product: string): Set<number> {
  const { protocol } = EXCHANGES[kind];
  const texts = records
    .filter(({ source, key }) => source === kind && key === product)
    .map(({ payload }) => Buffer.from(payload).toString("utf8"));
  return new Set(
    texts.flatMap((text) => {
      const page = pageOf(text);
      if (page !== null) {
        const read = protocol.rest.read(page.body);
        return read !== null && "ids" in read ? [...read.ids] : [];
      }
      const message = protocol.read(text);
      return message.kind === "trades" ? message.trades.map(({ id }) => id) : [];
    }),
  );
}

/** Empty while the log or its topic does not exist. */
async function recordsIn(log_file: string): Promise<LogRecord[]> {
  if (!existsSync(log_file)) return [];
  const log = openSqliteLog({ file: log_file });
  try {
    const bounds = await log.bounds(TOPIC).catch(() => []);
    const records: LogRecord[] = [];
    for (const { partition, begin, end } of bounds) {
      for (let next = begin; next < end;) {
        const some = await log.read(TOPIC, partition, next, { max_records: 10_000, max_bytes: 1e8 });
        if (some.length === 0) break;
        records.push(...some);
        next += some.length;
      }
    }
    return records;
  } finally {
    await log.close();
  }
}
