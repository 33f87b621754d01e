import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { Log, LogRecord } from "../../src/log/log.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";

export interface LogUnderTest {
  /** Opens the same log again: acknowledged records must be present. */
  open(): Promise<Log>;
  dispose(): Promise<void>;
}

const ALL = { max_records: 1_000_000, max_bytes: 1_000_000_000 };
const FOREVER_US = Number.MAX_SAFE_INTEGER;

export function message(text: string, key = "k", ingested_at_us = 1_760_000_000_000_000): SourceRecord {
  return { key, source: "test", payload: Buffer.from(text), ingested_at_us };
}

function numbered(from: number, to: number, key = "k"): SourceRecord[] {
  return Array.from({ length: to - from }, (_, i) => message(String(from + i), key, 1_760_000_000_000_000 + from + i));
}

const texts = (records: readonly LogRecord[]): string[] =>
  records.map(({ payload }) => Buffer.from(payload).toString());

async function readAll(log: Log, topic: string): Promise<LogRecord[]> {
  const all = [];
  for (const { partition, begin } of await log.bounds(topic))
    all.push(...(await log.read(topic, partition, begin, ALL)));
  return all;
}

/** The contract of every implementation of Log, run against a fresh log per test. */
export function logContract(name: string, makeLog: () => Promise<LogUnderTest>): void {
  const withLog = (title: string, body: (log: Log, reopen: () => Promise<Log>) => Promise<void>) =>
    it(title, async () => {
      const subject = await makeLog();
      const opened = [await subject.open()];
      try {
        await body(opened[0]!, async () => {
          await opened.at(-1)!.close();
          const log = await subject.open();
          opened.push(log);
          return log;
        });
      } finally {
        await opened.at(-1)!.close();
        await subject.dispose();
      }
    });

  describe(`${name} implements the log contract`, () => {
    withLog("Records are read back byte for byte after a reopen.", async (log, reopen) => {
      await log.createTopic("t", 1);
      const records: SourceRecord[] = [
        { key: "", source: "ä", payload: new Uint8Array(0), ingested_at_us: 0 },
        {
          key: "k\u0000ey",
          source: "s",
          payload: Uint8Array.of(0, 255, 0xed, 0xa0, 0x80, 0),
          ingested_at_us: 1_760_000_000_123_457,
        },
        { key: "🪙", source: "s", payload: new Uint8Array(10_000_000).fill(7), ingested_at_us: 4_102_444_800_000_001 },
      ];
      await log.append("t", records);
      const read = await (await reopen()).read("t", 0, 0, ALL);
      const expected = records.map((record, offset) => ({
        ...record,
        payload: Buffer.from(record.payload),
        partition: 0,
        offset,
      }));
      assert.deepEqual(
        read.map((record) => ({ ...record, payload: Buffer.from(record.payload) })),
        expected,
      );
    });

    withLog(
      "Offsets are gapless per partition for any batches, and a key keeps its partition and order.",
      async (log) => {
        await log.createTopic("t", 4);
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.array(fc.string({ maxLength: 3 }), { maxLength: 40 }), { maxLength: 5 }),
            async (batches) => {
              const before = await readAll(log, "t");
              const sent = batches.map((keys) => keys.map((key, i) => message(`${key}:${i}`, key)));
              for (const batch of sent) await log.append("t", batch);
              const after = await readAll(log, "t");
              assert.equal(after.length, before.length + sent.flat().length);
              const partition_of = new Map<string, number>();
              const next = [0, 0, 0, 0];
              for (const { partition, offset, key } of after) {
                assert.equal(offset, next[partition]);
                next[partition]! += 1;
                assert.equal(partition_of.get(key) ?? partition, partition);
                partition_of.set(key, partition);
              }
              const fresh = new Set(after.slice(0).map((r) => `${r.partition}/${r.offset}`));
              for (const { partition, offset } of before) fresh.delete(`${partition}/${offset}`);
              const added = after.filter((r) => fresh.has(`${r.partition}/${r.offset}`));
              for (const key of new Set(sent.flat().map((r) => r.key))) {
                assert.deepEqual(
                  texts(added.filter((r) => r.key === key)),
                  sent
                    .flat()
                    .filter((r) => r.key === key)
                    .map((r) => Buffer.from(r.payload).toString()),
                );
              }
            },
          ),
          { numRuns: 25 },
        );
      },
    );

    withLog("Reading starts at any offset and ends after the record that reaches a limit.", async (log) => {
      await log.createTopic("t", 1);
      for (let i = 0; i < 10; i += 1) await log.append("t", numbered(i * 10, i * 10 + 10));
      assert.deepEqual(texts(await log.read("t", 0, 37, { max_records: 5, max_bytes: 1000 })), [
        "37",
        "38",
        "39",
        "40",
        "41",
      ]);
      assert.deepEqual(texts(await log.read("t", 0, 50, { max_records: 100, max_bytes: 5 })), ["50", "51", "52"]);
      assert.deepEqual(texts(await log.read("t", 0, 98, ALL)), ["98", "99"]);
      assert.deepEqual(await log.read("t", 0, 100, ALL), []);
    });

    withLog(
      "A producer's position is durable with its records, and each producer has a separate one.",
      async (log, reopen) => {
        await log.createTopic("t", 2);
        await log.append("t", numbered(0, 3), { producer: "a", position: "first" });
        await log.append("t", [], { producer: "b", position: "elsewhere" });
        await log.append("t", numbered(3, 5), { producer: "a", position: "second" });
        const reopened = await reopen();
        assert.equal(await reopened.position("t", "a"), "second");
        assert.equal(await reopened.position("t", "b"), "elsewhere");
        assert.equal(await reopened.position("t", "c"), null);
        assert.equal((await readAll(reopened, "t")).length, 5);
      },
    );

    withLog("A topic is created once; another number of partitions is rejected.", async (log) => {
      await log.createTopic("t", 3);
      await log.createTopic("t", 3);
      await assert.rejects(log.createTopic("t", 4), { code: "TOPIC_PARTITIONS_DIFFER" });
      assert.deepEqual(
        (await log.bounds("t")).map((b) => b.partition),
        [0, 1, 2],
      );
      await assert.rejects(log.append("u", [message("x")]), { code: "TOPIC_NOT_FOUND" });
      await assert.rejects(log.read("t", 3, 0, ALL), { code: "PARTITION_NOT_FOUND" });
    });

    withLog(
      "Pruning removes only records below the offset and older than the time, and no offset is reused.",
      async (log, reopen) => {
        await log.createTopic("t", 1);
        for (let i = 0; i < 10; i += 1) await log.append("t", numbered(i * 10, i * 10 + 10));
        assert.equal(await log.prune("t", 0, 35, FOREVER_US), 35);
        assert.equal(await log.prune("t", 0, 35, FOREVER_US), 0);
        assert.equal(await log.prune("t", 0, 100, 1_760_000_000_000_000 + 42), 7);
        assert.deepEqual(await log.bounds("t"), [{ partition: 0, begin: 42, end: 100 }]);
        await assert.rejects(log.read("t", 0, 41, ALL), { code: "OFFSET_PRUNED" });
        assert.deepEqual(texts(await log.read("t", 0, 42, { max_records: 2, max_bytes: 100 })), ["42", "43"]);
        assert.equal(await log.prune("t", 0, 1_000_000, FOREVER_US), 58);
        const reopened = await reopen();
        await reopened.append("t", [message("next")]);
        assert.deepEqual(
          (await reopened.read("t", 0, 100, ALL)).map((r) => r.offset),
          [100],
        );
      },
    );

    withLog(
      "Waiting ends when a record beyond the known ends is appended, immediately if it already was, and on abort.",
      async (log) => {
        await log.createTopic("t", 2);
        const ends = await log.bounds("t");
        const controller = new AbortController();
        const waiting = log.waitForAppend("t", ends, controller.signal);
        await log.append("t", [message("x")]);
        await waiting;
        await log.waitForAppend("t", ends, controller.signal);
        const idle = log.waitForAppend("t", await log.bounds("t"), controller.signal);
        controller.abort();
        await idle;
      },
    );

    withLog("Concurrent appends are all stored, each batch contiguous and in order.", async (log) => {
      await log.createTopic("t", 1);
      await Promise.all(Array.from({ length: 20 }, (_, i) => log.append("t", numbered(i * 100, i * 100 + 100))));
      const read = texts(await readAll(log, "t")).map(Number);
      assert.deepEqual(
        [...read].sort((a, b) => a - b),
        Array.from({ length: 2000 }, (_, i) => i),
      );
      for (let i = 0; i < read.length; i += 100) {
        assert.deepEqual(
          read.slice(i, i + 100),
          Array.from({ length: 100 }, (_, k) => read[i]! + k),
        );
      }
    });
  });
}
