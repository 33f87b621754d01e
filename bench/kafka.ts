import { join } from "node:path";
import { readSetting } from "../src/base/settings.ts";
import { openKafkaLog } from "../src/log/kafka/log.ts";
import type { Log } from "../src/log/log.ts";
import { openSqliteLog } from "../src/log/sqlite/log.ts";
import type { SourceRecord } from "../src/producer/producer.ts";
import { percentile } from "./percentile.ts";
import { withCluster } from "./with-cluster.ts";

const TOPIC = "bench";
const PARTITIONS = 4;
const BATCH_RECORDS = 250;
const BATCHES = 2_000;
const WARM_UP = 100;
const SIDE_BY_SIDE = 8;
const COINS = 250;
const READ = { max_records: 2048, max_bytes: 1024 * 1024 };

export interface LogFigures {
  append_p50_ms: number;
  append_p99_ms: number;
  appends_per_s: number;
  /** Rate of concurrent producers that each wait for their own append. */
  appends_side_by_side_per_s: number;
  read_records_per_s: number;
}

/**
 * Measures the same appends and reads on a log in Kafka and one in SQLite: messages of 170 bytes under 250 keys, each
 * with a producer position.
 */
export async function benchLogs(): Promise<{ kafka: LogFigures; sqlite: LogFigures }> {
  return withCluster(["kafka"], async ({ environment }, folder) => {
    const sqlite = await measure(openSqliteLog({ file: join(folder, "log.sqlite") }));
    const kafka = await measure(
      await openKafkaLog({ brokers: [readSetting("COINLAKE_KAFKA_BROKERS", environment) ?? ""] }),
    );
    return { kafka, sqlite };
  });
}

async function measure(log: Log): Promise<LogFigures> {
  try {
    await log.createTopic(TOPIC, PARTITIONS);
    for (let batch = 0; batch < WARM_UP; batch += 1) await append(log, batch);
    const times_ms: number[] = [];
    for (let batch = 0; batch < BATCHES; batch += 1) times_ms.push(await timed(() => append(log, batch)));
    const side_by_side_ms = await timed(async () => {
      await Promise.all(
        Array.from({ length: SIDE_BY_SIDE }, async (_, producer) => {
          for (let batch = 0; batch < BATCHES / SIDE_BY_SIDE; batch += 1) await append(log, batch, `bench ${producer}`);
        }),
      );
    });
    let records = 0;
    const read_ms = await timed(async () => {
      for (const { partition, begin, end } of await log.bounds(TOPIC)) {
        for (let offset = begin; offset < end;) {
          const count = (await log.read(TOPIC, partition, offset, READ)).length;
          offset += count;
          records += count;
        }
      }
    });
    return {
      append_p50_ms: percentile(times_ms, 0.5),
      append_p99_ms: percentile(times_ms, 0.99),
      appends_per_s: (BATCHES / times_ms.reduce((sum, ms) => sum + ms, 0)) * 1000,
      appends_side_by_side_per_s: (BATCHES / side_by_side_ms) * 1000,
      read_records_per_s: (records / read_ms) * 1000,
    };
  } finally {
    await log.close();
  }
}

function append(log: Log, batch: number, producer = "bench"): Promise<void> {
  const records = Array.from({ length: BATCH_RECORDS }, (_, i) => recordOf(batch * BATCH_RECORDS + i));
  return log.append(TOPIC, records, { producer, position: String(batch) });
}

function recordOf(number: number): SourceRecord {
  const key = `coin-${number % COINS}`;
  return {
    key,
    source: "bench",
    payload: Buffer.from(`{"coin":"${key}","number":${number},"price":"${number % 100_000}.12345678"}`.padEnd(170)),
    ingested_at_us: 1_760_000_000_000_000 + number,
  };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const started_ms = performance.now();
  await work();
  return performance.now() - started_ms;
}
