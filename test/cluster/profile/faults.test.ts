import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { isRunning } from "../../../src/services/machine/process.ts";
import type { ServiceName } from "../../../src/services/service.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { QuerySession } from "../../../src/duckdb/session.ts";
import { openLake, type OpenLake } from "../../../src/lake/open.ts";
import { findLake } from "../../../src/lake/lake.ts";
import { openKafkaLog, type KafkaLog } from "../../../src/log/kafka/log.ts";
import { BRONZE_CONSUMER } from "../../../src/pipeline/definition.ts";
import { coinlake, startCoinlake } from "../../support/coinlake.ts";
import { BRONZE, MODELS, TOPIC } from "../../dbt/lake.ts";
import { pythonReport } from "../../support/python-report.ts";
import { Servers } from "../servers.ts";
import { differencesBetween } from "./compare.ts";
import { writeMarket } from "./market.ts";

const SERVICES: readonly ServiceName[] = ["kafka", "minio", "postgres", "hive", "spark"];
/** Longer than every request timeout (30 s), so the failure is reported and the request retried. */
const AWAY_MS: Partial<Record<ServiceName, number>> = { kafka: 35_000, hive: 35_000 };
let servers: Servers;
let market: string;
let market_records: number;

before(async () => {
  servers = await Servers.startNew(...SERVICES);
  market = join(servers.data, "market.jsonl");
  market_records = await writeMarket(market, 23);
});
after(async () => {
  await servers?.leave();
});

const start = (...options: string[]): string[] => [
  "start",
  "--source",
  `replay:${market}`,
  "--catalog-port",
  "0",
  "--data",
  servers.data,
  ...options,
];

async function recordsIn(log: KafkaLog): Promise<number> {
  const bounds = await log.bounds(TOPIC).catch(() => []);
  // Includes pruned records.
  return bounds.reduce((sum, { end }) => sum + end, 0);
}

test("killing every service and the pipeline during ingestion, two for long, loses and doubles no record", async () => {
  const log = await openKafkaLog({ brokers: [servers.environment["COINLAKE_KAFKA_BROKERS"]!] });
  // 200 minutes of a market in 400 seconds.
  const slowly = start("--profile", "cluster", "--speed", "30", "--port", "0");
  let running = startCoinlake(slowly);
  const ended: string[] = [];
  const watch = (run: typeof running) =>
    void run.finished.then(
      ({ signal, code, stderr }) => signal !== "SIGKILL" && ended.push(`${code} ${signal}: ${stderr.slice(-2_000)}`),
    );
  watch(running);
  const untilMore = async (than: number, records: number) => {
    assert.ok(than + records <= market_records, "the market is too short");
    while ((await recordsIn(log)) < than + records) {
      assert.deepEqual(ended, [], "the pipeline ended by itself");
      await systemClock.wait(100);
    }
  };
  const untilCarried = async () => {
    const ends = await log.bounds(TOPIC);
    while ((await log.lag(TOPIC, BRONZE_CONSUMER)).some(({ partition, next }) => (next ?? 0) < ends[partition]!.end)) {
      assert.deepEqual(ended, [], "the pipeline ended by itself");
      await systemClock.wait(500);
    }
  };
  await untilMore(0, 50);
  for (const part of SERVICES) {
    const before = await recordsIn(log);
    const state = servers.services.get(part)!;
    process.kill(state.pid, "SIGKILL");
    while (isRunning(state)) await systemClock.wait(20);
    await systemClock.wait(AWAY_MS[part] ?? 0);
    await servers.up();
    await untilMore(before, 25);
  }
  // Built by the process that ran through all faults.
  await untilCarried();
  running.child.kill("SIGKILL");
  await running.finished;
  running = startCoinlake(slowly);
  watch(running);
  await untilMore(await recordsIn(log), 25);
  running.child.kill("SIGINT");
  // 130: an increment on Spark that outlasted the time for stopping was cut off, which is as safe as a kill.
  const stopped = await running.finished;
  assert.ok(stopped.code === 0 || stopped.code === 130, stopped.stderr);
  await log.close();
  await servers.stop();
  await servers.up();

  const drained = await coinlake(start("--profile", "cluster", "--speed", "max", "--until-drained"));
  assert.equal(drained.code, 0, drained.stderr);
  const reference = await coinlake(start("--speed", "max", "--until-drained"));
  assert.equal(reference.code, 0, reference.stderr);
  const verified = await coinlake(["verify", "--data", servers.data, "--lake", "cluster-replay-market"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const lakes = await Promise.all(
    ["replay-market", "cluster-replay-market"].map((name) =>
      openLake(findLake(servers.data, name), { env: servers.environment }),
    ),
  );
  try {
    assert.deepEqual(await goldDifferences(lakes[0]!, lakes[1]!), []);
    assert.deepEqual(await readByPyIceberg(lakes[1]!), await readByDuckDB(lakes[1]!));
  } finally {
    for (const lake of lakes) await lake.close();
  }
});

interface Read {
  rows: Record<string, number>;
  /** Whether bronze has each offset of the topic once. */
  is_exact: boolean;
}

async function readByPyIceberg({ server }: OpenLake): Promise<Read> {
  const script = fileURLToPath(new URL("read_lake.py", import.meta.url));
  return JSON.parse(await pythonReport(script, [server.url, TOPIC, BRONZE, ...MODELS], servers.environment)) as Read;
}

async function readByDuckDB(lake: OpenLake): Promise<Read> {
  const session = await QuerySession.open(lake);
  try {
    const counts = [BRONZE, ...MODELS].map(
      async (table) => [table, Number(await session.figure(`select count(*) from ${table}`))] as const,
    );
    return { rows: Object.fromEntries(await Promise.all(counts)), is_exact: true };
  } finally {
    session.close();
  }
}

/**
 * A producer that is killed after its records' acknowledgement and before its position's yields those records again:
 * the log then has them twice, at other offsets, and silver counts them as duplicates.
 */
async function goldDifferences(one: OpenLake, other: OpenLake) {
  const differences = await differencesBetween(one, other, ["log_topic", "log_partition", "log_offset"]);
  return differences.filter(
    ({ table }) =>
      !["silver.crypto_price_duplicates", "silver.crypto_prices_rejected", "silver.crypto_listings"].includes(table),
  );
}
