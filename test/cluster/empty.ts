import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Admin } from "@platformatic/kafka";
import { HiveStore } from "../../src/catalog/hive/store.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { ServiceName } from "../../src/services/service.ts";
import { checkpointFolder } from "../../src/services/definitions/spark.ts";
import { serviceFolder, readEnvironment, readRunning } from "../../src/services/state.ts";
import { SparkStreams } from "../../src/spark/streams.ts";
import { s3SettingsFrom } from "../../src/storage/s3/settings.ts";
import { S3Storage } from "../../src/storage/s3/storage.ts";

const DELETED_AT_ONCE = 32;
/** Kafka confirms the deletion of a topic some time before it is complete. */
const DELETED_TIMEOUT_MS = 30_000;
const LOOK_MS = 50;

/** Resets the running services of a cluster to the data of their first start; their caches remain warm. */
export async function emptyServers(folder: string): Promise<void> {
  const environment = readEnvironment(folder);
  const runs = (name: ServiceName): boolean => readRunning(folder, name) !== null;
  if (runs("spark")) await emptySpark(environment, checkpointFolder(serviceFolder(folder, "spark")));
  if (runs("hive")) await emptyHive(environment);
  if (runs("minio")) await emptyWarehouse(environment);
  if (runs("kafka")) await emptyKafka(environment);
}

type Environment = Readonly<Record<string, string>>;

async function emptySpark({ SPARK_REMOTE = "" }: Environment, checkpoints: string): Promise<void> {
  const streams = new SparkStreams(SPARK_REMOTE);
  try {
    for (const query of await streams.list()) await query.stop();
  } finally {
    streams.disconnect();
  }
  for (const name of readdirSync(checkpoints)) rmSync(join(checkpoints, name), { recursive: true });
}

async function emptyHive({
  COINLAKE_HIVE_URI: uri = "",
  COINLAKE_WAREHOUSE: warehouse = "",
}: Environment): Promise<void> {
  const store = new HiveStore({ uri, warehouse });
  try {
    for (const namespace of await store.childNamespaces([])) {
      for (const name of await store.tableNames(namespace)) await store.dropTable({ namespace, name });
      if (namespace[0] !== "default") await store.dropNamespace(namespace);
    }
  } finally {
    await store.close();
  }
}

async function emptyWarehouse(environment: Environment): Promise<void> {
  const storage = new S3Storage(s3SettingsFrom(environment));
  const { COINLAKE_WAREHOUSE: warehouse = "" } = environment;
  let deletions: Promise<void>[] = [];
  for await (const { location } of storage.list(warehouse)) {
    deletions.push(storage.delete(location));
    if (deletions.length < DELETED_AT_ONCE) continue;
    await Promise.all(deletions);
    deletions = [];
  }
  await Promise.all(deletions);
  await storage.removeFolder(warehouse);
}

async function emptyKafka({ COINLAKE_KAFKA_BROKERS: broker = "" }: Environment): Promise<void> {
  const admin = new Admin({ clientId: "coinlake-test", bootstrapBrokers: [broker] });
  try {
    const groups = [...(await admin.listGroups()).keys()];
    if (groups.length > 0) await admin.deleteGroups({ groups });
    const topics = await admin.listTopics();
    if (topics.length > 0) await admin.deleteTopics({ topics });
    const signal = AbortSignal.timeout(DELETED_TIMEOUT_MS);
    while ((await admin.listTopics()).length > 0) await systemClock.wait(LOOK_MS, signal);
  } finally {
    await admin.close();
  }
}
