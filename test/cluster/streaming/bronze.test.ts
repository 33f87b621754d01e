import { AT_ONCE } from "../../../src/base/pacing.ts";
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { identify } from "../../../src/services/machine/process.ts";
import { clusterFolder } from "../../../src/services/state.ts";
import { SparkStreams, StreamingQuery, type StreamEvent } from "../../../src/spark/streams.ts";
import { bronzeJob } from "../../../streaming/bronze.ts";
import { Servers } from "../servers.ts";
import { Topic } from "./topic.ts";

let servers: Servers;
let topic: Topic;
let streams: SparkStreams;

const TABLE = "bronze.ticks_raw";
const job = bronzeJob({
  name: "test",
  topic: { name: "prices.raw", partitions: 3, retention_ms: 86_400_000 },
  bronze: { table: TABLE, commit: { ...AT_ONCE, interval_ms: 200 }, commit_size_bytes: 1 },
});

before(async () => {
  servers = await Servers.startNew("kafka", "spark");
  streams = new SparkStreams(found().SPARK_REMOTE!);
  topic = new Topic("prices.raw", 3, found().COINLAKE_KAFKA_BROKERS!);
  await topic.create();
});
after(async () => {
  streams?.disconnect();
  await topic?.close();
  await servers?.leave();
});

/** Starts the services that do not run, and sets Spark's current address. */
async function up(): Promise<void> {
  await servers.up();
  streams?.disconnect();
  streams = new SparkStreams(found().SPARK_REMOTE!);
}

function found(): Readonly<Record<string, string>> {
  return servers.environment;
}

async function startJob() {
  return await job.start(streams, { kafka_brokers: found().COINLAKE_KAFKA_BROKERS! });
}

async function killSpark(): Promise<void> {
  const { pid } = servers.services.get("spark")!;
  process.kill(pid, "SIGKILL");
  while (identify(pid) !== null) await new Promise((resolve) => setImmediate(resolve));
}

/** Asserts that the table has each record of the topic once and unchanged. */
async function assertExactlyOnce(foreign = 0): Promise<void> {
  const [row] = await streams.session.sql(`
    select
      count(*) as records,
      count(distinct log_partition, log_offset) as places,
      count(distinct get_json_object(payload, '$.number')) filter (where source = 'test') as numbers,
      count_if(source = 'test' and (
        payload != concat('{"number": ', log_offset * 3 + log_partition, '}')
        or ingestion_date != cast(ingested_at as date)
        or payload_size_bytes != octet_length(payload)
        or log_topic != 'prices.raw'
      )) as wrong
    from ${TABLE}`);
  assert.deepEqual(row, {
    records: BigInt(topic.count + foreign),
    places: BigInt(topic.count + foreign),
    numbers: BigInt(topic.count),
    wrong: 0n,
  });
}

/** Resolves when the watch has begun; `found` resolves to the first event from then on that satisfies the condition. */
async function watchFor(is_wanted: (event: StreamEvent) => boolean): Promise<{ found: Promise<StreamEvent> }> {
  const events = await streams.watch(AbortSignal.timeout(60_000));
  const find = async () => {
    for await (const event of events) if (is_wanted(event)) return event;
    throw new Error("nobody stops telling before nobody listens");
  };
  return { found: find() };
}

const hasRecords = (event: StreamEvent) => event.kind === "progress" && event.progress.input_rows > 0;

test("records of Kafka appear in the table once each and unchanged", async () => {
  await topic.append(3_000);
  const query = await startJob();
  await query.drain();
  await assertExactlyOnce();
  const dates = await streams.session.sql(
    `select ingestion_date, count(*) as records from ${TABLE} group by 1 order by 1`,
  );
  assert.deepEqual(dates, [
    { ingestion_date: "2026-01-01", records: 500n },
    { ingestion_date: "2026-01-02", records: 2_500n },
  ]);
});

test("another client finds the stream by its name, watches it, and stops it", async () => {
  const other = new SparkStreams(found().SPARK_REMOTE!);
  const query = (await other.find(job.name))!;
  assert.equal((await startJob()).run_id, query.run_id);
  assert.deepEqual(
    (await other.list()).map(({ name }) => name),
    [job.name],
  );
  assert.equal((await query.status()).is_active, true);
  // Several clients may watch at once.
  const watched = await Promise.all([watchFor(hasRecords), watchFor(hasRecords)]);
  await topic.append(300);
  for (const { found } of watched) {
    const event = await found;
    assert.ok(event.kind === "progress");
    const { name, query_id, sources } = event.progress;
    assert.deepEqual({ name, query_id }, { name: job.name, query_id: query.id });
    assert.ok(sources[0]?.end?.["prices.raw"]?.["0"] !== undefined && sources[0].lag !== null);
  }
  await query.drain();
  assert.equal((await query.lastProgress())?.sources[0]?.lag, 0);
  const ending = await watchFor(({ kind }) => kind === "ended");
  await query.stop();
  const ended = await ending.found;
  assert.ok(ended.kind === "ended" && ended.query.run_id === query.run_id && ended.failure === null);
  assert.equal(await other.find(job.name), null);
  other.disconnect();
  await assertExactlyOnce();
});

test("two concurrent starts resume the stopped stream as the same query and as one run", async () => {
  await topic.append(300);
  const [query, same] = await Promise.all([startJob(), startJob()]);
  assert.equal(same.run_id, query.run_id);
  await query.drain();
  await assertExactlyOnce();
});

test("a request for a run that no longer exists fails with a retryable error", async () => {
  const { id } = (await streams.find(job.name))!;
  const run_id = randomUUID();
  for (const instance of [
    { id, run_id },
    { id: randomUUID(), run_id },
  ]) {
    const query = new StreamingQuery(streams.session, instance, job.name);
    await assert.rejects(query.status(), { code: "STREAM_LOST", is_retryable: true });
    await assert.rejects(query.lastProgress(), { code: "STREAM_LOST", is_retryable: true });
  }
});

test("Spark, killed during a backlog, resumes from the checkpoint without loss and duplicates", async () => {
  for (const records of [3_000, 6_000]) {
    const { id } = (await streams.find(job.name)) ?? (await startJob());
    const moving = await watchFor(hasRecords);
    const appended = (async () => {
      for (let sent = 0; sent < records; sent += 300) await topic.append(300);
    })();
    await moving.found;
    const cut_off = assert.rejects((await watchFor(() => false)).found, { code: "SPARK_UNREACHABLE" });
    await killSpark();
    await cut_off;
    await assert.rejects(streams.list(), { code: "SPARK_UNREACHABLE" });
    await appended;
    await up();
    const query = await startJob();
    assert.equal(query.id, id);
    await query.drain();
    await assertExactlyOnce();
  }
});

test("a lost checkpoint duplicates nothing, because the table knows its offsets", async () => {
  const query = (await streams.find(job.name))!;
  await query.stop();
  rmSync(join(clusterFolder(servers.data), "spark", "checkpoints", job.name), { recursive: true });
  await topic.append(300);
  const restarted = await startJob();
  assert.notEqual(restarted.id, query.id);
  await restarted.drain();
  await assertExactlyOnce();
});

test("bytes that are not text, and records of other writers, are kept", async () => {
  await topic.appendForeign(0, Buffer.from([0xff, 0x00]));
  await topic.appendForeign(1, Buffer.from("{}"));
  await topic.appendForeign(2, null);
  const query = (await streams.find(job.name))!;
  await query.drain();
  await assertExactlyOnce(3);
  const rows = await streams.session.sql(
    "select source, payload, payload_bytes, ingested_at > timestamp '2026-01-03' as is_dated " +
      `from ${TABLE} where source = '' order by log_partition`,
  );
  assert.deepEqual(rows, [
    { source: "", payload: null, payload_bytes: Uint8Array.of(255, 0), is_dated: true },
    { source: "", payload: "{}", payload_bytes: null, is_dated: true },
    { source: "", payload: "", payload_bytes: null, is_dated: true },
  ]);
  await query.stop();
});
