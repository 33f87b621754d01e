import type { KafkaRecord, MessageToProduce, RecordsBatch } from "@platformatic/kafka";
import { OperatingError } from "../../base/errors.ts";
import type { SourceRecord } from "../../producer/producer.ts";
import type { LogRecord } from "../log.ts";

/**
 * A record in Kafka: the key in UTF-8, the payload's bytes as the value; the timestamp is the broker's time of receipt.
 * Headers hold the other fields: `source` in UTF-8, and `ingested_at_us` in microseconds UTC, decimal.
 *
 * Messages of other writers lack these headers. They are read as bronze stores them (streaming/bronze.ts): without a
 * source, and with the broker's time of receipt as the ingestion time. Silver validates foreign content; one message
 * must not stop all readers of the log.
 */
const SOURCE = Buffer.from("source");
const INGESTED_AT_US = Buffer.from("ingested_at_us");

/**
 * The maximum size of a record besides its key, source and payload: lengths, deltas, header names and the timestamp.
 */
export const RECORD_OVERHEAD_BYTES = 100;

export function toMessage(
  topic: string,
  partition: number,
  { key, source, payload, ingested_at_us }: SourceRecord,
): MessageToProduce {
  return {
    topic,
    partition,
    key: Buffer.from(key),
    value: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
    headers: new Map([
      [SOURCE, Buffer.from(source)],
      [INGESTED_AT_US, Buffer.from(String(ingested_at_us))],
    ]),
  };
}

/** `taken_at_us`: the broker's time of receipt. */
function toLogRecord(
  partition: number,
  offset: number,
  taken_at_us: number,
  { key, value, headers }: KafkaRecord,
): LogRecord {
  const header = headerOf(headers, INGESTED_AT_US);
  const ingested_at_us = /^-?\d{1,16}$/.test(header) ? Number(header) : taken_at_us;
  return {
    partition,
    offset,
    key: key?.toString() ?? "",
    source: headerOf(headers, SOURCE),
    payload: value ?? Buffer.alloc(0),
    ingested_at_us,
  };
}

function headerOf(headers: KafkaRecord["headers"], name: Buffer): string {
  for (const [key, value] of headers) if (key !== null && name.equals(key)) return value?.toString() ?? "";
  return "";
}

/** A control batch ends a transaction; it occupies an offset that holds no record. */
const IS_CONTROL = 0x20;

/**
 * Records from `from` on, in order. Throws FOREIGN_RECORD where an offset is missing: no conforming writer skips
 * offsets.
 */
export function* recordsOf(
  topic: string,
  partition: number,
  batches: readonly RecordsBatch[],
  from: number,
): Generator<LogRecord> {
  let next = from;
  for (const { firstOffset, attributes, maxTimestamp, records } of batches) {
    for (const record of records) {
      const offset = Number(firstOffset) + record.offsetDelta;
      if (offset < from) continue;
      if (offset !== next || (attributes & IS_CONTROL) !== 0) throw foreign(topic, partition, next);
      // With LogAppendTime, a batch's maximum timestamp is the broker's time of receipt.
      yield toLogRecord(partition, offset, Number(maxTimestamp) * 1000, record);
      next += 1;
    }
  }
}

function foreign(topic: string, partition: number, offset: number): OperatingError {
  return new OperatingError(
    "FOREIGN_RECORD",
    `No record lies at ${topic}/${partition}, offset ${offset}: somebody else's transaction, or compaction, left a gap`,
    {
      next_step: "Give Coinlake a topic that nobody else writes to.",
    },
  );
}
