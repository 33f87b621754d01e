import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { OperatingError } from "../../src/base/errors.ts";
import { BRONZE_SCHEMA, BRONZE_SPEC } from "../../src/ingest/bronze.ts";
import type { Field } from "../../src/iceberg/model.ts";
import { LOG_OFFSETS_PROPERTY } from "../../src/iceberg/metadata/log-offsets.ts";
import type { SourceReport } from "../../src/producer/producer.ts";
import { FakeClock } from "../producer/fake-clock.ts";
import {
  LIMITS,
  START_US,
  TABLE,
  TOPIC,
  assertSameRows,
  faultyCatalog,
  readLog,
  recordOf,
  recordsOf,
  withIngestLake,
} from "./lake.ts";

describe("Ingest", () => {
  it("copies every payload byte for byte, with its source, time and offset.", () =>
    withIngestLake(async ({ log, makeIngest, rows }) => {
      const payloads = [
        "plain",
        "",
        "nul \u0000 inside \u0000",
        "🪙 Zürich 東京 \u{10ffff} \ufeff",
        'it\'s "quoted" \\ and\r\nbroken',
        Buffer.from([0xff, 0xfe, 0x00, 0x80]),
        Buffer.from([0x61, 0xed, 0xa0, 0x80, 0x62]),
        Buffer.from("x".repeat(10_000_000)),
        Buffer.alloc(3_000_000, 0xee),
        "twelve bytes",
        "thirteen bytes",
      ];
      const times_us = [START_US, START_US + 3_600_000_000, START_US + 7_200_000_001, 0, 1];
      const records = payloads.map((payload, i) =>
        recordOf(i, {
          payload: Buffer.from(payload),
          source: i % 2 === 0 ? "it's" : "üñï",
          ingested_at_us: times_us[i % times_us.length]!,
        }),
      );
      await log.append(TOPIC, records);
      const ingest = makeIngest();
      assert.equal((await ingest.runOnce())?.rows, records.length);
      assert.equal(await ingest.runOnce(), null);
      const copied = await rows();
      assertSameRows(copied, await readLog(log));
      assert.deepEqual([...new Set(copied.map(({ ingestion_date }) => ingestion_date))].sort(), [
        "1970-01-01",
        "2025-10-10",
        "2025-10-11",
      ]);
    }));

  it("copies a backlog in commits of about the size limit.", () =>
    withIngestLake(async ({ log, makeIngest, rows }) => {
      for (let i = 0; i < 60_000; i += 5000) await log.append(TOPIC, recordsOf(i, i + 5000));
      const commits: number[] = [];
      const ingest = makeIngest({
        limits: { ...LIMITS, commit_size_bytes: 150_000 },
        committed: (commit) => commits.push(commit.size_bytes),
      });
      await ingest.drain();
      assert.ok(
        commits.length >= 4 && commits.every((size_bytes) => size_bytes < 200_000),
        `commits: ${commits.join(", ")}`,
      );
      assertSameRows(await rows(), await readLog(log));
      assert.equal(ingest.committed().rows, 60_000);
    }));

  it("splits a large commit into files of limited size, in order.", () =>
    withIngestLake(
      async ({ log, makeIngest, rows }) => {
        for (let i = 0; i < 140_000; i += 10_000) await log.append(TOPIC, recordsOf(i, i + 10_000));
        assert.equal((await makeIngest().runOnce())?.files, 2);
        assertSameRows(await rows(), await readLog(log));
      },
      { partitions: 1 },
    ));

  it("resumes at the table's committed offsets after a restart.", () =>
    withIngestLake(async ({ log, makeIngest, rows, openAnother }) => {
      await log.append(TOPIC, recordsOf(0, 100));
      await makeIngest().drain();
      await log.append(TOPIC, recordsOf(100, 150));
      const restarted = makeIngest({ catalog: openAnother() });
      await restarted.drain();
      assert.equal(restarted.committed().rows, 50);
      assertSameRows(await rows(), await readLog(log));
    }));

  it("commits when the interval has passed, or immediately when enough records or bytes are pending.", () =>
    withIngestLake(async ({ log, makeIngest }) => {
      const clock = new FakeClock("2025-10-10T12:00:00Z");
      const commits: { at_us: number; rows: number }[] = [];
      const stopping = new AbortController();
      let awaited = () => {};
      const ingest = makeIngest({
        clock,
        limits: {
          ...LIMITS,
          pacing: { interval_ms: 10_000, due_records: 50, due_size_bytes: 100_000, first_interval_ms: 5_000 },
        },
        committed: ({ rows }) => {
          commits.push({ at_us: clock.now_us(), rows });
          awaited();
        },
      });
      const running = ingest.run(stopping.signal);
      const nextCommit = () => new Promise<void>((resolve) => (awaited = resolve));
      const append = async (records: Parameters<typeof log.append>[1]) => {
        const committed = nextCommit();
        await log.append(TOPIC, records);
        await committed;
      };
      await append([recordOf(0)]);
      await append([recordOf(1)]);
      await append([recordOf(2)]);
      await append(recordsOf(3, 52));
      const waits_s = commits
        .slice(1)
        .map(({ at_us }, position) => Math.round((at_us - commits[position]!.at_us) / 1e6));
      assert.deepEqual(waits_s, [5, 10, 10], "the first intervals grow up to the full one");
      // Enough records are due at once.
      const burst_us = clock.now_us();
      await append(recordsOf(52, 102));
      assert.ok(clock.now_us() - burst_us < 1_000_000);
      await append([recordOf(102, { payload: Buffer.alloc(300_000, "x") })]);
      // The records are now known to be large, so a few are enough.
      const before_us = clock.now_us();
      await append([recordOf(103), recordOf(104)]);
      assert.ok(clock.now_us() - before_us < 1_000_000);
      stopping.abort();
      await running;
      assert.deepEqual(
        commits.map(({ rows }) => rows),
        [1, 1, 1, 49, 50, 1, 2],
      );
    }));

  it("adds the columns that the table of an older lake lacks, once.", () =>
    withIngestLake(async ({ log, catalog, makeIngest, rows }) => {
      const old_columns = BRONZE_SCHEMA.fields.filter(({ name }) => !["payload_bytes", "log_topic"].includes(name));
      await catalog.createNamespace(TABLE.namespace);
      await catalog.createTable({
        identifier: TABLE,
        schema: { type: "struct", fields: old_columns },
        partition_spec: BRONZE_SPEC,
        properties: { "format-version": "2" },
      });
      await log.append(TOPIC, [recordOf(0), recordOf(1, { payload: Buffer.from([0xff]) })]);
      await makeIngest().drain();
      assertSameRows(await rows(), await readLog(log));
      const { metadata } = await catalog.loadTable(TABLE);
      assert.equal(metadata.schemas.length, 2);
      await makeIngest().drain();
      assert.equal((await catalog.loadTable(TABLE)).metadata.schemas.length, 2);
    }));

  it("restores a dropped column with its data, and rejects a renamed one.", () =>
    withIngestLake(async ({ log, catalog, makeIngest, rows }) => {
      await log.append(TOPIC, [recordOf(0)]);
      await makeIngest().drain();
      const change = async (fieldOf: (field: Field) => Field[]): Promise<void> => {
        const { metadata } = await catalog.loadTable(TABLE);
        const current = metadata.schemas.find((schema) => schema["schema-id"] === metadata["current-schema-id"]);
        const schema = { type: "struct", fields: current?.fields.flatMap(fieldOf) };
        const updates = [
          { action: "add-schema", schema, "last-column-id": metadata["last-column-id"] },
          { action: "set-current-schema", "schema-id": -1 },
        ];
        await catalog.commit([{ identifier: TABLE, requirements: [], updates }]);
      };
      await change((field) => (field.name === "payload" ? [] : [field]));
      await log.append(TOPIC, [recordOf(1)]);
      await makeIngest().drain();
      assertSameRows(await rows(), await readLog(log));
      await change((field) => [field.name === "payload" ? { ...field, name: "message" } : field]);
      await assert.rejects(makeIngest().runOnce(), { code: "BRONZE_UNSUPPORTED", message: /renamed to message/ });
    }));

  it("rejects a table without bronze's partition spec.", () =>
    withIngestLake(async ({ log, catalog, makeIngest }) => {
      await catalog.createNamespace(TABLE.namespace);
      await catalog.createTable({ identifier: TABLE, schema: BRONZE_SCHEMA, properties: { "format-version": "2" } });
      await log.append(TOPIC, [recordOf(0)]);
      await assert.rejects(makeIngest().runOnce(), { code: "BRONZE_UNSUPPORTED" });
    }));

  it("rejects a log that lacks the next records, a log that ends before bronze, and invalid offsets.", () =>
    withIngestLake(
      async ({ log, catalog, makeIngest }) => {
        await log.append(TOPIC, recordsOf(0, 100));
        await makeIngest().drain();
        const setOffsets = (offsets: string) =>
          catalog.commit([
            {
              identifier: TABLE,
              requirements: [],
              updates: [{ action: "set-properties", updates: { [LOG_OFFSETS_PROPERTY]: offsets } }],
            },
          ]);
        await setOffsets(JSON.stringify({ [`${TOPIC}/0`]: 500 }));
        await assert.rejects(makeIngest().runOnce(), { code: "LOG_BEHIND" });
        // A property that is older than its snapshot is ignored.
        await setOffsets(JSON.stringify({ [`${TOPIC}/0`]: 10 }));
        assert.equal(await makeIngest().runOnce(), null);
        await log.append(TOPIC, recordsOf(100, 200));
        await log.prune(TOPIC, 0, 150, Number.MAX_SAFE_INTEGER);
        await assert.rejects(makeIngest().runOnce(), { code: "LOG_GAP" });
        await setOffsets("not json");
        await assert.rejects(makeIngest().runOnce(), { code: "INVALID_OFFSETS" });
      },
      { partitions: 1 },
    ));

  it("reports that a new table starts late if the log's first records were pruned.", () =>
    withIngestLake(
      async ({ log, makeIngest }) => {
        await log.append(TOPIC, recordsOf(0, 10));
        await log.prune(TOPIC, 0, 4, Number.MAX_SAFE_INTEGER);
        const reports: SourceReport[] = [];
        assert.equal((await makeIngest({ report: (report) => reports.push(report) }).runOnce())?.rows, 6);
        assert.deepEqual(
          reports.map(({ code }) => code),
          ["BRONZE_STARTS_LATE"],
        );
      },
      { partitions: 1 },
    ));

  it("prunes only records that are committed and past retention.", () =>
    withIngestLake(
      async ({ log, makeIngest }) => {
        const clock = new FakeClock(START_US + 50_000);
        const ingest = makeIngest({ clock, limits: { ...LIMITS, retention_ms: 10 } });
        await log.append(TOPIC, recordsOf(0, 100));
        assert.equal(await ingest.prune(), 0, "nothing is committed");
        await ingest.drain();
        assert.equal(await ingest.prune(), 40, "records up to 40 ms are past retention");
        clock.jump_ms(1000);
        await log.append(TOPIC, recordsOf(100, 110));
        assert.equal(await ingest.prune(), 60, "what is not committed stays");
        assert.deepEqual(await log.bounds(TOPIC), [{ partition: 0, begin: 100, end: 110 }]);
      },
      { partitions: 1 },
    ));

  it("goes on, with a warning, where the log cannot be pruned.", () =>
    withIngestLake(async ({ log, makeIngest }) => {
      const full = new Proxy(log, {
        get: (target, name: keyof typeof log) =>
          name === "prune"
            ? () => Promise.reject(new OperatingError("LOG_DISK_FULL", "no space is left", { next_step: "free some" }))
            : (target[name] as (...args: never[]) => unknown).bind(target),
      });
      const reports: SourceReport[] = [];
      const stop = new AbortController();
      const ingest = makeIngest({
        log: full,
        report(report) {
          reports.push(report);
          stop.abort();
        },
      });
      await log.append(TOPIC, recordsOf(0, 10));
      await ingest.run(stop.signal);
      assert.deepEqual([reports.map(({ code }) => code), ingest.committed().rows], [["LOG_DISK_FULL"], 10]);
    }));

  it("keeps the offsets of other topics and the properties of other writers.", () =>
    withIngestLake(async ({ log, catalog, makeIngest, rows }) => {
      await log.createTopic("other", 1);
      await log.append("other", recordsOf(0, 5));
      await log.append(TOPIC, recordsOf(5, 10));
      await makeIngest({ topic: "other" }).drain();
      await catalog.commit([
        { identifier: TABLE, requirements: [], updates: [{ action: "set-properties", updates: { owner: "me" } }] },
      ]);
      await makeIngest().drain();
      const { properties } = (await catalog.loadTable(TABLE)).metadata;
      assert.equal(properties["owner"], "me");
      assert.equal((JSON.parse(properties[LOG_OFFSETS_PROPERTY]!) as Record<string, number>)["other/0"], 5);
      assert.equal((await rows()).length, 10);
    }));

  it("runs and drains concurrently without duplicates.", () =>
    withIngestLake(async ({ log, makeIngest, rows }) => {
      const stopping = new AbortController();
      const ingest = makeIngest({ limits: { ...LIMITS, commit_size_bytes: 500 } });
      const running = ingest.run(stopping.signal);
      for (let i = 0; i < 300; i += 100) {
        await log.append(TOPIC, recordsOf(i, i + 100));
        await Promise.all([ingest.drain(), ingest.drain()]);
      }
      stopping.abort();
      await running;
      assertSameRows(await rows(), await readLog(log));
    }));

  it("reports each failed attempt, gives up with COMMIT_STALLED, and leaves no file.", () =>
    withIngestLake(async ({ log, catalog, makeIngest, dataFiles, rows }) => {
      await log.append(TOPIC, recordsOf(0, 10));
      const reports: SourceReport[] = [];
      const rejecting = faultyCatalog(catalog, {
        commit: async () => {
          throw new OperatingError("CATALOG_LOCKED", "not now", { next_step: "Wait.", is_retryable: true });
        },
      });
      const ingest = makeIngest({
        catalog: rejecting,
        clock: new FakeClock(),
        report: (report) => reports.push(report),
      });
      await assert.rejects(ingest.run(new AbortController().signal), { code: "COMMIT_STALLED" });
      assert.equal(reports.length, 8);
      assert.ok(reports.every(({ code, level }) => code === "CATALOG_LOCKED" && level === "warning"));
      assert.deepEqual(await dataFiles(), []);
      await makeIngest({ clock: systemClock }).drain();
      assertSameRows(await rows(), await readLog(log));
    }));
});
