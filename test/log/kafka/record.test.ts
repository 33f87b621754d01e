import assert from "node:assert/strict";
import { test } from "node:test";
import type { KafkaRecord, RecordsBatch } from "@platformatic/kafka";
import { recordsOf, toMessage } from "../../../src/log/kafka/record.ts";

const TAKEN_MS = 1_760_000_000_123;
const CONTROL = 0x20;

/** A batch of produced records as a broker returns it. */
function batch(
  firstOffset: number,
  produced: readonly { key?: unknown; value?: unknown; headers?: unknown }[],
  attributes = 0x08,
): RecordsBatch {
  const records = produced.map(
    ({ key = null, value = null, headers = new Map() }, offsetDelta) =>
      ({ key, value, headers: [...(headers as Map<Buffer, Buffer>)], offsetDelta }) as unknown as KafkaRecord,
  );
  return { firstOffset: BigInt(firstOffset), attributes, maxTimestamp: BigInt(TAKEN_MS), records } as RecordsBatch;
}

const read = (...batches: RecordsBatch[]) => [...recordsOf("t", 0, batches, Number(batches[0]?.firstOffset))];

test("An appended record is read back unchanged.", () => {
  const record = { key: "ü", source: "poll", payload: Buffer.from([0xff, 0]), ingested_at_us: 1_760_000_000_000_001 };
  assert.deepEqual(read(batch(7, [toMessage("t", 0, record)])), [{ partition: 0, offset: 7, ...record }]);
});

test("A record of another writer is read without key and source, at the time when the broker received it.", () => {
  const value = Buffer.from("theirs");
  const kept = { partition: 0, key: "", source: "", payload: value, ingested_at_us: TAKEN_MS * 1000 };
  const unreadable = new Map([[Buffer.from("ingested_at_us"), Buffer.from("yesterday")]]);
  assert.deepEqual(read(batch(0, [{ value }, { value, headers: unreadable }, {}])), [
    { ...kept, offset: 0 },
    { ...kept, offset: 1 },
    { ...kept, offset: 2, payload: Buffer.alloc(0) },
  ]);
});

test("An offset without a record is rejected, and the error names the offset.", () => {
  const value = Buffer.from("x");
  assert.throws(() => read(batch(0, [{ value }]), batch(2, [{ value }])), {
    code: "FOREIGN_RECORD",
    message: /t\/0, offset 1:/,
  });
  assert.throws(() => read(batch(0, [{ value }]), batch(1, [{ value }], CONTROL)), {
    code: "FOREIGN_RECORD",
    message: /t\/0, offset 1:/,
  });
});
