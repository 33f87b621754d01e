import assert from "node:assert/strict";
import type { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import type { ErrorCode } from "../../base/error-codes.ts";
import { OperatingError } from "../../base/errors.ts";
import { BUSY_RETRY_MS, isBusy, sqliteFailure, transact } from "../../base/sqlite.ts";
import { LOG_FORMAT, openLogFile } from "./file.ts";
import type { EncodedSegment } from "./segment.ts";
import { prepareStatements, type Statements } from "./statements.ts";

/** The options with which the main thread opened the log's file, and with which this thread opens it. */
export interface AppendTarget {
  file: string;
  max_size_bytes: number | undefined;
  busy_timeout_ms: number;
}

export interface AppendRequest {
  topic_id: number;
  segments: readonly (EncodedSegment & { partition: number })[];
  checkpoint: { producer: string; position: string } | undefined;
  /**
   * The time on the `process.hrtime` clock, which threads share, until which the append waits for another process that
   * writes.
   */
  deadline_ns: bigint;
}

/** "end" is the last message: it closes the file and ends the thread. */
export type AppendMessage = AppendRequest | "end";

/** An error in a form that crosses threads: a cloned error would keep only its message. */
export interface AppendFailure {
  message: string;
  /** Absent for a programming error. */
  operating?: { code: ErrorCode; next_step: string; is_retryable: boolean };
  cause: unknown;
}

/** One answer per request, in the order of the requests; null when the append is durable. */
export type AppendAnswer = AppendFailure | null;

const target = workerData as AppendTarget;
const port = parentPort;
assert(port !== null, "this file is the body of a thread");
const asleep = new Int32Array(new SharedArrayBuffer(4));
let opened: { database: DatabaseSync; sql: Statements } | null = null;

port.on("message", (message: AppendMessage) => {
  if (message === "end") {
    opened?.database.close();
    port.close();
  } else {
    port.postMessage(answerTo(message), []);
  }
});

function answerTo(request: AppendRequest): AppendAnswer {
  try {
    opened ??= open();
    append(opened.database, opened.sql, request);
    return null;
  } catch (error) {
    const failure = sqliteFailure(target.file, LOG_FORMAT, "append to", error);
    if (!(failure instanceof OperatingError)) return { message: String(failure), cause: failure };
    const { code, message, next_step, is_retryable, cause } = failure;
    return { message, operating: { code, next_step, is_retryable }, cause };
  }
}

function open(): { database: DatabaseSync; sql: Statements } {
  const database = openLogFile(target.file, target.max_size_bytes, target.busy_timeout_ms);
  return { database, sql: prepareStatements(database) };
}

/** Waits for another writer by sleeping: the thread has no other work, and later requests must not overtake. */
function append(database: DatabaseSync, sql: Statements, request: AppendRequest): void {
  for (;;) {
    try {
      transact(database, () => write(sql, request));
      return;
    } catch (error) {
      if (!isBusy(error) || process.hrtime.bigint() >= request.deadline_ns) throw error;
    }
    Atomics.wait(asleep, 0, 0, BUSY_RETRY_MS);
  }
}

function write(sql: Statements, { topic_id, segments, checkpoint }: AppendRequest): void {
  for (const { partition, record_count, max_ingested_at_us, strings, index, payloads } of segments) {
    const end_offset = sql.advance_end.get(record_count, topic_id, partition)?.["end_offset"] as number;
    sql.insert_segment.run(topic_id, partition, end_offset, record_count, max_ingested_at_us, strings, index, payloads);
  }
  if (checkpoint !== undefined) sql.put_position.run(topic_id, checkpoint.producer, checkpoint.position);
}
