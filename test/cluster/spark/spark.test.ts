import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, globSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startParts, type RunningCluster } from "../../../src/cluster/cluster.ts";
import { cacheFolder } from "../../../src/cluster/fetch/cache.ts";
import { freePorts } from "../../../src/cluster/machine/port.ts";
import { identify } from "../../../src/cluster/machine/process.ts";
import { spark } from "../../../src/cluster/parts/spark.ts";
import { SparkRefused } from "../../../src/engine/cluster/spark/failure.ts";
import type { StreamProgress } from "../../../src/engine/cluster/spark/progress.ts";
import { SparkSession } from "../../../src/engine/cluster/spark/session.ts";
import { SparkStreams } from "../../../src/engine/cluster/spark/streams.ts";
import { projectFolder, pythonExecutable } from "../../../src/lake/tools.ts";
import { bronzeJob } from "../../../streaming/bronze.ts";
import { temporaryFolder } from "../../coinlake.ts";
import { Topic } from "./topic.ts";

const folder = temporaryFolder();
let cluster: RunningCluster;
let topic: Topic;
let streams: SparkStreams;

const TABLE = "bronze.ticks_raw";
const job = bronzeJob({
  name: "test",
  topic: { name: "prices.raw", partitions: 3, retention_ms: 86_400_000 },
  bronze: { table: TABLE, commit_interval_ms: 200, commit_size_bytes: 1 },
});

before(async () => {
  // As root, PostgreSQL runs as somebody else, who must get through.
  chmodSync(folder.path, 0o711);
  await up();
  topic = new Topic("prices.raw", 3, found().COINLAKE_KAFKA_BROKERS!);
  await topic.create();
});
after(async () => {
  streams?.disconnect();
  await topic?.close();
  await cluster?.stop();
  folder.remove();
});

/** Starts what does not run, and finds Spark where it listens now. */
async function up(): Promise<void> {
  cluster = await startParts(["kafka", "spark"], { folder: join(folder.path, "cluster"), ports: "free" });
  streams?.disconnect();
  streams = new SparkStreams(found().SPARK_REMOTE!);
}

function found(): Readonly<Record<string, string>> {
  return cluster.environment;
}

async function startJob() {
  return await job.start(streams, { kafka_brokers: found().COINLAKE_KAFKA_BROKERS! });
}

async function killSpark(): Promise<void> {
  const { pid } = cluster.parts.get("spark")!;
  process.kill(pid, "SIGKILL");
  while (identify(pid) !== null) await new Promise((resolve) => setImmediate(resolve));
}

/** The table holds each record of the topic once, and each as it was sent. */
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
  assert.deepEqual(row, { records: BigInt(topic.count + foreign), places: BigInt(topic.count + foreign), numbers: BigInt(topic.count), wrong: 0n });
}

/** Resolves once it watches: to the first progress from now on that satisfies. */
async function watchFor(is_wanted: (progress: StreamProgress) => boolean): Promise<{ found: Promise<StreamProgress> }> {
  const events = await streams.listen(AbortSignal.timeout(60_000));
  const find = async () => {
    for await (const event of events) if (event.kind === "progress" && is_wanted(event.progress)) return event.progress;
    throw new Error("events end with the server alone");
  };
  return { found: find() };
}

async function listenToTheEnd(events: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of events) count += 1;
  return count;
}

test("the client is made from the protocol of the Spark that is fetched", async () => {
  const { folder: files } = await spark.fetch({ folder: cacheFolder(), say() {}, progress: () => ({ update() {}, end() {} }) });
  const [jar = ""] = globSync(join(files, "spark", "spark-connect_*.jar"));
  const unpacked = join(folder.path, "protocol");
  execFileSync(pythonExecutable(), ["-m", "zipfile", "-e", jar, unpacked]);
  const lines = globSync("spark/connect/*.proto", { cwd: unpacked })
    .sort()
    .map((file) => `${createHash("sha256").update(readFileSync(join(unpacked, file))).digest("hex")}  ${file}\n`);
  assert.equal(lines.join(""), readFileSync(join(projectFolder(), "requirements", "spark", "protocol.sha256"), "utf8"));
});

test("values come back exact, whatever their type", async () => {
  const [row] = await streams.session.sql(`
    select
      9007199254740993 as whole,
      cast('-0.000000000000000001' as decimal(38, 18)) as price,
      cast(-7 as decimal(3, 0)) as small,
      timestamp '1969-12-31 23:59:59.999999' as at,
      timestamp_ntz '2026-01-01 00:00:00' as local,
      date '1969-12-31' as day,
      'ü' as text,
      x'ff00' as bytes,
      array(timestamp '2026-01-01', null) as list,
      named_struct('a', 1, 'b', array(1.50)) as struct,
      map('k', 2L) as map,
      null as nothing,
      true as yes,
      0.1D as half`);
  assert.deepEqual(row, {
    whole: 9007199254740993n,
    price: "-0.000000000000000001",
    small: "-7",
    at: "1969-12-31T23:59:59.999999Z",
    local: "2026-01-01T00:00:00.000000",
    day: "1969-12-31",
    text: "ü",
    bytes: Uint8Array.of(255, 0),
    list: ["2026-01-01T00:00:00.000000Z", null],
    struct: { a: 1, b: ["1.50"] },
    map: { k: 2n },
    nothing: null,
    yes: true,
    half: 0.1,
  });
  assert.equal((await streams.session.sql("select id from range(50000)")).length, 50_000);
});

test("failures are told apart: refused in Spark's words, too late, not there, no address", async () => {
  await assert.rejects(streams.session.sql("select nothing_such from range(1)"), (error) => error instanceof SparkRefused && error.condition === "UNRESOLVED_COLUMN.WITH_SUGGESTION");
  await assert.rejects(streams.session.sql("select count(*) from range(10000000000000) where id % 7 = hash(id)", { timeout_ms: 500 }), { code: "SPARK_TIMED_OUT" });
  const aborted = AbortSignal.abort(new Error("enough"));
  await assert.rejects(streams.session.sql("select 1", { signal: aborted }), /enough/);
  const [port] = await freePorts(1);
  await assert.rejects(new SparkSession({ remote: `sc://127.0.0.1:${port}` }).version(), { code: "SPARK_UNREACHABLE", is_retryable: true });
  assert.throws(() => new SparkSession({ remote: "127.0.0.1:15002" }), { code: "SPARK_REMOTE_INVALID" });
  const session = new SparkSession({ remote: found().SPARK_REMOTE! });
  await session.sql("select 1");
  await session.release();
  const again = new SparkSession({ remote: found().SPARK_REMOTE!, session_id: session.session_id });
  await assert.rejects(again.sql("select 1"), { code: "SPARK_SESSION_CLOSED" });
  again.disconnect();
});

test("what lies in Kafka appears in the table, each record once and as it was sent", async () => {
  await topic.append(3_000);
  const query = await startJob();
  await query.drain();
  await assertExactlyOnce();
  const dates = await streams.session.sql(`select ingestion_date, count(*) as records from ${TABLE} group by 1 order by 1`);
  assert.deepEqual(dates, [
    { ingestion_date: "2026-01-01", records: 500n },
    { ingestion_date: "2026-01-02", records: 2_500n },
  ]);
});

test("whoever comes later finds the stream by its name, watches it, and stops it", async () => {
  const other = new SparkStreams(found().SPARK_REMOTE!);
  const query = (await other.find(job.name))!;
  assert.equal((await startJob()).run_id, query.run_id);
  assert.deepEqual((await other.list()).map(({ name }) => name), [job.name]);
  assert.equal((await query.status()).is_active, true);
  const watched = await watchFor(({ input_rows }) => input_rows > 0);
  await topic.append(300);
  const { name, query_id, sources } = await watched.found;
  assert.deepEqual({ name, query_id }, { name: job.name, query_id: query.id });
  assert.equal(sources[0]?.end?.["prices.raw"]?.["0"] !== undefined && sources[0].lag !== null, true);
  await query.drain();
  const listening = await other.listen(AbortSignal.timeout(60_000));
  await assert.rejects(streams.listen(AbortSignal.timeout(60_000)), { code: "STREAMS_LISTENED_TO" });
  const ended = (async () => {
    for await (const event of listening) if (event.kind === "ended") return event.query_id;
    throw new Error("events end with the server alone");
  })();
  assert.equal((await query.lastProgress())?.sources[0]?.lag, 0);
  await query.stop();
  assert.equal(await ended, query.id);
  assert.equal(await other.find(job.name), null);
  other.disconnect();
  await assertExactlyOnce();
});

test("started again it goes on where it stopped, as the same query", async () => {
  await topic.append(300);
  const query = await startJob();
  await query.drain();
  await assertExactlyOnce();
});

test("Spark, killed in the middle of a backlog, goes on from the checkpoint: nothing lost, nothing doubled", async () => {
  for (const records of [3_000, 6_000]) {
    const { id } = (await streams.find(job.name)) ?? (await startJob());
    const moving = await watchFor(({ input_rows }) => input_rows > 0);
    const appended = (async () => {
      for (let sent = 0; sent < records; sent += 300) await topic.append(300);
    })();
    await moving.found;
    const listener = assert.rejects(listenToTheEnd(await streams.listen(AbortSignal.timeout(60_000))), { code: "SPARK_UNREACHABLE" });
    await killSpark();
    await listener;
    await assert.rejects(streams.list(), { code: "SPARK_UNREACHABLE" });
    await appended;
    await up();
    const query = await startJob();
    assert.equal(query.id, id);
    await query.drain();
    await assertExactlyOnce();
  }
});

test("a lost checkpoint doubles nothing: the table says how far it is", async () => {
  const query = (await streams.find(job.name))!;
  await query.stop();
  rmSync(join(cluster.folder, "spark", "checkpoints", job.name), { recursive: true });
  await topic.append(300);
  const anew = await startJob();
  assert.notEqual(anew.id, query.id);
  await anew.drain();
  await assertExactlyOnce();
});

test("bytes that are no text, and records that somebody else wrote, are kept", async () => {
  await topic.appendForeign(0, Buffer.from([0xff, 0x00]));
  await topic.appendForeign(1, Buffer.from("{}"));
  const query = (await streams.find(job.name))!;
  await query.drain();
  await assertExactlyOnce(2);
  const rows = await streams.session.sql(`select source, payload, payload_bytes, ingested_at > timestamp '2026-01-03' as is_dated from ${TABLE} where source is null order by log_partition`);
  assert.deepEqual(rows, [
    { source: null, payload: null, payload_bytes: Uint8Array.of(255, 0), is_dated: true },
    { source: null, payload: "{}", payload_bytes: null, is_dated: true },
  ]);
  await query.stop();
});
