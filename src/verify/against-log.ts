import { createHash } from "node:crypto";
import type { LogOffsets } from "../log/offsets.ts";
import type { PinnedTables } from "../duckdb/pinned.ts";
import { OperatingError } from "../base/errors.ts";
import type { Log, LogRecord, PartitionBounds } from "../log/log.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { tableFinding, type Finding } from "./finding.ts";

/** Rows per comparison: checksums replace payloads, so memory does not depend on message sizes. */
const ROWS_AT_ONCE = 10_000;
const READ_MAX_BYTES = 8 * 1024 * 1024;
const MAX_SHOWN = 5;

export interface LogComparison {
  findings: Finding[];
  /** Records still in the log that were compared. */
  compared: number;
}

export interface LogSources {
  log: Log;
  session: PinnedTables;
  pipeline: Pipeline;
  /** Consumed offsets of bronze: next offset by "<topic>/<partition>". */
  bronze: LogOffsets;
  progress(done: number): void;
}

/**
 * Compares bronze with the log record by record, back to the oldest retained record: source, time and payload, byte for
 * byte.
 */
export async function compareWithLog(sources: LogSources): Promise<LogComparison> {
  const { log, pipeline, bronze } = sources;
  const topic = pipeline.topic.name;
  const wrong: string[] = [];
  let [compared, count] = [0, 0];
  for (const { partition, begin, end } of await boundsOf(log, topic)) {
    const last = Math.min(end, bronze[`${topic}/${partition}`] ?? 0);
    let offset = begin;
    while (offset < last) {
      const records = await readLog(sources, partition, offset);
      if (records === null) {
        // Retention has deleted records of the log meanwhile.
        offset = Math.max(
          offset + 1,
          (await boundsOf(log, topic)).find((bounds) => bounds.partition === partition)?.begin ?? last,
        );
        continue;
      }
      const expected = records.filter((record) => record.offset < last);
      if (expected.length === 0) break;
      const differences = await compare(sources, partition, expected);
      count += differences.length;
      wrong.push(...differences.slice(0, MAX_SHOWN - wrong.length));
      offset = (expected.at(-1)?.offset ?? last) + 1;
      sources.progress((compared += expected.length));
    }
  }
  const table = pipeline.bronze.table;
  const message = `${table}: ${count} of ${compared} records differ from the log`;
  return { compared, findings: count === 0 ? [] : [tableFinding("LOG_DIFFERS", table, message, { rows: wrong })] };
}

async function boundsOf(log: Log, topic: string): Promise<PartitionBounds[]> {
  try {
    return await log.bounds(topic);
  } catch (error) {
    if (error instanceof OperatingError && error.code === "TOPIC_NOT_FOUND") return [];
    throw error;
  }
}

/** Null if retention has deleted the record. */
async function readLog({ log, pipeline }: LogSources, partition: number, offset: number): Promise<LogRecord[] | null> {
  try {
    return await log.read(pipeline.topic.name, partition, offset, {
      max_records: ROWS_AT_ONCE,
      max_bytes: READ_MAX_BYTES,
    });
  } catch (error) {
    if (error instanceof OperatingError && error.code === "OFFSET_PRUNED") return null;
    throw error;
  }
}

async function compare(
  { session, pipeline }: LogSources,
  partition: number,
  records: readonly LogRecord[],
): Promise<string[]> {
  const [first, last] = [records[0]?.offset ?? 0, records.at(-1)?.offset ?? 0];
  const { rows } = await session.query(`
    select log_offset, md5(coalesce(payload_bytes, encode(payload))), source, epoch_us(ingested_at)
    from ${pipeline.bronze.table}
    where log_topic = '${pipeline.topic.name}' and log_partition = ${partition}
      and log_offset between ${first} and ${last}`);
  const found = new Map(rows.map(([offset, ...values]) => [Number(offset), values]));
  return records.flatMap((record) => {
    const row = found.get(record.offset);
    const where = `${pipeline.topic.name}/${partition} offset ${record.offset}`;
    if (row === undefined) return [`${where}: missing in bronze`];
    const [digest, source, ingested_at_us] = row;
    const names = [
      ...(digest === createHash("md5").update(record.payload).digest("hex") ? [] : ["payload"]),
      ...(source === record.source ? [] : ["source"]),
      ...(Number(ingested_at_us) === record.ingested_at_us ? [] : ["ingested_at"]),
    ];
    return names.length === 0 ? [] : [`${where}: ${names.join(", ")} differs`];
  });
}
