import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Catalog } from "../../src/catalog/catalog.ts";
import { systemClock } from "../../src/base/clock.ts";
import { openParquetWriter } from "../../src/duckdb/parquet.ts";
import { UnknownOutcome } from "../../src/base/errors.ts";
import { createAppendStager } from "../../src/iceberg/append.ts";
import { BRONZE_SCHEMA } from "../../src/ingest/bronze.ts";
import type { SourceReport } from "../../src/producer/producer.ts";
import { locationOfPath } from "../../src/storage/file/location.ts";
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
  type IngestLake,
} from "./lake.ts";

/** Asserts that the table's data files are all on disk, without orphan files. */
async function assertNoStrayFiles({ dataFiles, catalog }: IngestLake): Promise<void> {
  const { metadata } = await catalog.loadTable(TABLE);
  const known = Number(metadata.snapshots.at(-1)?.summary["total-data-files"]);
  assert.equal((await dataFiles()).length, known);
}

describe("Ingest under faults", () => {
  it("stages the same files again after a conflicting commit of another writer.", () =>
    withIngestLake(async (lake) => {
      const { log, catalog, storage, openAnother, makeIngest, rows } = lake;
      await log.append(TOPIC, recordsOf(0, 10));
      await makeIngest().drain();
      const other = openAnother();
      const stager = createAppendStager({ storage, clock: systemClock });
      let interferences = 0;
      const contested = faultyCatalog(catalog, {
        async commit(changes) {
          if ((interferences += 1) <= 3) {
            // Another writer commits to the table between staging and commit: an empty append, and a property change.
            const staged = await stager.stage(await other.loadTable(TABLE), [], { [`note-${interferences}`]: "mine" });
            await other.commit([staged.change]);
          }
          return catalog.commit(changes);
        },
      });
      const reports: SourceReport[] = [];
      await log.append(TOPIC, recordsOf(10, 30));
      const ingest = makeIngest({ catalog: contested, report: (report) => reports.push(report) });
      assert.equal((await ingest.runOnce())?.rows, 20);
      assert.deepEqual(
        reports.map(({ code, level }) => [code, level]),
        [1, 2, 3].map(() => ["COMMIT_CONFLICT", "info"]),
      );
      assertSameRows(await rows(), await readLog(log));
      assert.equal((await catalog.loadTable(TABLE)).metadata.properties["note-3"], "mine");
      await assertNoStrayFiles(lake);
    }));

  it("copies every record once beside a concurrent ingest of the same log, and deletes the loser's files.", () =>
    withIngestLake(async (lake) => {
      const { log, openAnother, storage, makeIngest, rows } = lake;
      for (let i = 0; i < 2000; i += 100) await log.append(TOPIC, recordsOf(i, i + 100));
      const limits = { ...LIMITS, commit_size_bytes: 3000 };
      const records = await openParquetWriter({ storage });
      try {
        const ingests = [makeIngest({ limits }), makeIngest({ limits, catalog: openAnother(), records })];
        await Promise.all(ingests.map((ingest) => ingest.drain()));
        assertSameRows(await rows(), await readLog(log));
        assert.equal(ingests[0]!.committed().rows + ingests[1]!.committed().rows, 2000);
        await assertNoStrayFiles(lake);
      } finally {
        records.close();
      }
    }));

  type Commit = Catalog["commit"];
  const lost = (cause?: unknown) => new UnknownOutcome("the answer was lost", cause);
  /** Possible outcomes of a commit whose response is lost. */
  const outcomes: [title: string, fault: (commit: Commit, nth: number) => Commit][] = [
    [
      "it succeeded",
      (commit) => async (changes) => {
        await commit(changes);
        throw lost();
      },
    ],
    [
      "it did not arrive",
      (commit, nth) => async (changes) => {
        if (nth % 3 !== 0) throw lost();
        return commit(changes);
      },
    ],
    [
      "it succeeded, and no response arrived at all",
      (commit) => async (changes) => commit(changes).then(() => new Promise(() => {})),
    ],
    [
      "it arrived late, after a check and a retry",
      (commit, nth) => async (changes) => {
        if (nth % 2 === 0) return commit(changes);
        setTimeout(() => commit(changes).catch(() => {}), 60);
        throw lost();
      },
    ],
  ];
  for (const [title, fault] of outcomes) {
    it(`resolves a commit with an unknown outcome: ${title}.`, () =>
      withIngestLake(async ({ log, catalog, makeIngest, rows }) => {
        await makeIngest().runOnce();
        const commit: Commit = (changes) => catalog.commit(changes);
        let nth = 0;
        const uncertain = faultyCatalog(catalog, { commit: (changes) => fault(commit, (nth += 1))(changes) });
        const ingest = makeIngest({ catalog: uncertain, limits: { ...LIMITS, commit_timeout_ms: 100 } });
        for (let i = 0; i < 60; i += 20) {
          await log.append(TOPIC, recordsOf(i, i + 20));
          await ingest.drain();
        }
        assertSameRows(await rows(), await readLog(log));
      }));
  }

  it("deletes no file while an outcome is unknown, even if the catalog cannot be read.", () =>
    withIngestLake(async ({ log, catalog, makeIngest, rows }) => {
      await makeIngest().runOnce();
      let is_silent = false;
      const silent = faultyCatalog(catalog, {
        async commit(changes) {
          await catalog.commit(changes);
          is_silent = true;
          throw lost();
        },
        async loadTable(identifier) {
          if (is_silent) throw lost();
          return catalog.loadTable(identifier);
        },
      });
      await log.append(TOPIC, recordsOf(0, 20));
      const clock = { now_us: () => systemClock.now_us(), wait: async () => {} };
      await assert.rejects(makeIngest({ catalog: silent, clock }).runOnce());
      await makeIngest().drain();
      assertSameRows(await rows(), await readLog(log));
    }));

  it("leaves no file when reading the log fails halfway, and the next attempt succeeds.", () =>
    withIngestLake(async ({ log, records, warehouse, dataFiles, makeIngest, rows }) => {
      await log.append(TOPIC, recordsOf(0, 5000));
      const target = {
        location: `${warehouse}/elsewhere`,
        topic: TOPIC,
        columns: BRONZE_SCHEMA.fields,
        partition_field_id: 1000,
      };
      async function* failing() {
        yield await log.read(TOPIC, 0, 0, { max_records: 1000, max_bytes: 1e9 });
        yield Array.from({ length: 140_000 }, (_, i) => ({ ...recordOf(i), partition: 0, offset: i }));
        throw new Error("the log went away");
      }
      await assert.rejects(records.write(target, failing()), /the log went away/);
      assert.deepEqual(await dataFiles(), []);
      await makeIngest().drain();
      assertSameRows(await rows(), await readLog(log));
    }));

  const is_root = process.platform === "linux" && process.getuid?.() === 0;
  it(
    "fails with STORAGE_FULL on a full disk, leaves no file, and then writes what fits.",
    { skip: !is_root && "mounting a small disk takes root" },
    (t) =>
      withIngestLake(async ({ folder, records, storage }) => {
        const disk = join(folder, "small-disk");
        mkdirSync(disk);
        try {
          execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], { stdio: "ignore" });
        } catch {
          t.skip("this machine does not let root mount a tmpfs");
          return;
        }
        try {
          const target = {
            location: locationOfPath(disk),
            topic: TOPIC,
            columns: BRONZE_SCHEMA.fields,
            partition_field_id: 1000,
          };
          const noise = (bytes: number) => ({
            ...recordOf(0),
            payload: Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))),
            partition: 0,
            offset: 0,
            ingested_at_us: START_US,
          });
          async function* batches(count: number) {
            for (let i = 0; i < count; i += 1) yield [noise(60_000)];
          }
          await assert.rejects(records.write(target, batches(50)), { code: "STORAGE_FULL", is_retryable: true });
          const left = [];
          for await (const file of storage.list(target.location)) left.push(file);
          assert.deepEqual(left, []);
          const [file] = await records.write(target, batches(5));
          assert.equal(file?.record_count, 5);
        } finally {
          execFileSync("umount", [disk]);
        }
      }),
  );
});
