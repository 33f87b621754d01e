import type { KafkaRecord, MessageToProduce, RecordsBatch } from "@platformatic/kafka";
import { OperatingError } from "../../errors.ts";
import type { SourceRecord } from "../../source/producer.ts";
import type { LogRecord } from "../log.ts";

/**
 * A record in Kafka: the key in UTF-8, the payload as the value, byte for byte; its time is when the broker took it. What Kafka has no
 * field for stands in headers:
 *   source           UTF-8
 *   ingested_at_us   microseconds UTC, decimal
 */
const SOURCE = Buffer.from("source");
const INGESTED_AT_US = Buffer.from("ingested_at_us");

/** What a record takes beside key, source and payload, at most: lengths, deltas, the headers' names and the time. */
export const RECORD_OVERHEAD_BYTES = 100;

export function toMessage(topic: string, partition: number, { key, source, payload, ingested_at_us }: SourceRecord): MessageToProduce {
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

/** Throws FOREIGN_RECORD for what somebody else wrote. */
export function toLogRecord(topic: string, partition: number, offset: number, { key, value, headers }: KafkaRecord): LogRecord {
  const source = headerOf(headers, SOURCE);
  const ingested_at_us = Number(headerOf(headers, INGESTED_AT_US) ?? NaN);
  if (key === null || value === null || source === null || !Number.isSafeInteger(ingested_at_us)) throw foreign(topic, partition, offset, "has no source and time of ingestion");
  return { partition, offset, key: key.toString(), source: source.toString(), payload: value, ingested_at_us };
}

function headerOf(headers: KafkaRecord["headers"], name: Buffer): Buffer | null {
  for (const [key, value] of headers) if (key !== null && name.equals(key)) return value;
  return null;
}

/** A control batch ends a transaction, and takes an offset that holds no record. */
const IS_CONTROL = 0x20;

/** Records from `from` on, in order. Throws FOREIGN_RECORD where an offset was left out: nobody who keeps the log's rules does that. */
export function* recordsOf(topic: string, partition: number, batches: readonly RecordsBatch[], from: number): Generator<LogRecord> {
  let next = from;
  for (const { firstOffset, attributes, records } of batches) {
    for (const record of records) {
      const offset = Number(firstOffset) + record.offsetDelta;
      if (offset < from) continue;
      if (offset !== next || (attributes & IS_CONTROL) !== 0) throw foreign(topic, partition, next, "is no record of Coinlake's");
      yield toLogRecord(topic, partition, offset, record);
      next += 1;
    }
  }
}

function foreign(topic: string, partition: number, offset: number, what: string): OperatingError {
  return new OperatingError("FOREIGN_RECORD", `What lies at ${topic}/${partition}, offset ${offset}, ${what}: somebody else writes to the topic, or a transaction or compaction left a gap`, {
    next_step: "Give Coinlake a topic that nobody else writes to.",
  });
}
