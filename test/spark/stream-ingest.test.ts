import assert from "node:assert/strict";
import { test } from "node:test";
import { AT_ONCE } from "../../src/base/pacing.ts";
import { OperatingError } from "../../src/base/errors.ts";
import type { StreamProgress } from "../../src/spark/progress.ts";
import { SparkRejected } from "../../src/spark/failure.ts";
import type { StreamingQuery } from "../../src/spark/streams.ts";
import { StreamIngest, type StreamIngestOptions } from "../../src/spark/stream-ingest.ts";
import type { SourceReport } from "../../src/producer/producer.ts";
import { FakeClock } from "../producer/fake-clock.ts";

const TOPIC = "prices";
const away = (): Error =>
  new SparkRejected(
    "run a statement",
    null,
    "Failed to list namespace under namespace: bronze in Hive Metastore",
    undefined,
  );
const lost = (): Error =>
  new OperatingError("STREAM_LOST", "Spark no longer knows this run.", { next_step: "Start it." });

/** A run of the stream that has committed up to an offset; errors that `look` throws are Spark's responses. */
function query(next: number, look = (): void => {}): StreamingQuery {
  const progress: Partial<StreamProgress> = {
    sources: [{ description: "", input_rows: 0, end: { [TOPIC]: { 0: next } }, latest: null, lag: null }],
  };
  return {
    name: "ticks",
    lastProgress: async () => progress,
    status: async () => (look(), { is_active: true, is_data_available: false, message: "Waiting" }),
  } as unknown as StreamingQuery;
}

/**
 * An ingest whose stream starts with the given results, start by start; the last result repeats. The log ends at offset
 * 10.
 */
function ingest(...starts: (() => StreamingQuery)[]) {
  const reports: string[] = [];
  const properties: Record<string, string> = {};
  const kafka = {
    bounds: async () => [{ partition: 0, begin: 0, end: 10 }],
    commitOffsets: async () => {},
    prune: async () => 0,
  };
  const catalog = {
    loadTable: async () => ({ metadata: { "table-uuid": "u", properties, snapshots: [] } }),
    commit: async ([{ updates }]: [{ updates: [{ updates: Record<string, string> }] }]) =>
      void Object.assign(properties, updates[0].updates),
  };
  const options = {
    open: { catalog, cluster: { kafka, kafka_brokers: "kafka:9092", spark_remote: "sc://127.0.0.1:1" } },
    pipeline: {
      topic: { name: TOPIC, partitions: 1, retention_ms: 1 },
      bronze: { table: "bronze.ticks", commit: AT_ONCE, commit_size_bytes: 1 },
    },
    job: {
      name: "ticks",
      description: "",
      start: async () => {
        reports.push("start");
        return (starts.length > 1 ? starts.shift()! : starts[0]!)();
      },
    },
    clock: new FakeClock(),
    report: ({ code }: SourceReport) => void reports.push(code),
  };
  return { ingest: new StreamIngest(options as unknown as StreamIngestOptions), reports };
}

const failing = (error: Error) => (): never => {
  throw error;
};

test("A failed start of the stream is reported and retried while a server is unavailable.", async () => {
  const stopping = new AbortController();
  const aways = Array.from({ length: 20 }, () => failing(away()));
  const { ingest: running, reports } = ingest(...aways, () => query(10, () => stopping.abort()));
  await running.run(stopping.signal);
  assert.deepEqual(reports, [...aways.flatMap(() => ["start", "SPARK_REJECTED"]), "start"]);
  assert.equal(running.state().state, "running");
});

test("A run that Spark no longer knows is started again.", async () => {
  const stopping = new AbortController();
  const { ingest: running, reports } = ingest(
    () => query(0, failing(lost())),
    () => query(10, () => stopping.abort()),
  );
  await running.run(stopping.signal);
  assert.deepEqual(reports, ["start", "STREAM_LOST", "start"]);
});

test("A statement that Spark rejects with a condition ends the ingest immediately.", async () => {
  const { ingest: running, reports } = ingest(
    failing(new SparkRejected("run a statement", "PARSE_SYNTAX_ERROR", "[PARSE_SYNTAX_ERROR] Syntax error", undefined)),
  );
  await assert.rejects(running.run(new AbortController().signal), { code: "SPARK_REJECTED" });
  assert.deepEqual(reports, ["start"]);
});

test("A drain ends once bronze has the log's records or on a stop, and fails after repeated failures.", async () => {
  await ingest(() => query(10)).ingest.drain();
  const stopping = new AbortController();
  await ingest(() => query(3, () => stopping.abort())).ingest.drain(stopping.signal);
  await assert.rejects(ingest(failing(away())).ingest.drain(), { code: "SPARK_REJECTED" });
});
