import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { attachCatalog, openDuckDB } from "../../src/duckdb/duckdb.ts";
import { pythonExecutable } from "../../src/lake/tools.ts";
import {
  TABLE,
  TOPIC,
  assertSameRows,
  faultyCatalog,
  readLog,
  recordOf,
  recordsOf,
  withIngestLake,
  type BronzeRow,
} from "./lake.ts";

interface PythonView {
  rows: BronzeRow[];
  files: number;
  /** Files that a filter on offsets beyond the end must still open: none, if bounds are correct. */
  files_past_the_end: number;
}

async function python(url: string, action: "read" | "append"): Promise<PythonView | null> {
  const { stdout } = await promisify(execFile)(
    pythonExecutable(),
    [join(import.meta.dirname, "bronze.py"), url, action],
    { maxBuffer: 1e9 },
  );
  return action === "read" ? (JSON.parse(stdout) as PythonView) : null;
}

const skip = !existsSync(pythonExecutable()) && "the Python environment is not set up";

describe("Bronze with other engines", () => {
  it("is read identically by PyIceberg, whose concurrent append is a conflict and is kept.", { skip }, () =>
    withIngestLake(async ({ log, catalog, makeIngest, serve, rows }) => {
      const odd = ["", "nul \u0000", "🪙", Buffer.from([0xff, 0x00]), Buffer.from("x".repeat(100_000))];
      await log.append(
        TOPIC,
        odd.map((payload, i) =>
          recordOf(i, { payload: Buffer.from(payload), ingested_at_us: 1_760_000_000_000_001 + i * 86_400_000_000 }),
        ),
      );
      await makeIngest().drain();
      const { url } = await serve();
      let is_first = true;
      const contested = faultyCatalog(catalog, {
        async commit(changes) {
          if (is_first) await python(url, "append");
          is_first = false;
          return catalog.commit(changes);
        },
      });
      await log.append(TOPIC, recordsOf(10, 500));
      const codes: string[] = [];
      await makeIngest({ catalog: contested, report: ({ code }) => codes.push(code) }).drain();
      assert.deepEqual(codes, ["COMMIT_CONFLICT"]);
      const theirs: BronzeRow = {
        source: "pyiceberg",
        payload: "by another writer",
        payload_hex: null,
        payload_size_bytes: null,
        ingested_at_us: Date.parse("2025-10-10T12:00:00Z") * 1000,
        ingestion_date: "2025-10-10",
        log_topic: "elsewhere",
        log_partition: 99,
        log_offset: 0,
      };
      const expected = [...(await readLog(log)), theirs];
      assertSameRows(await rows(), expected);
      const view = await python(url, "read");
      assertSameRows(view?.rows.map(sorted) ?? [], expected.map(sorted));
      const { summary } = (await catalog.loadTable(TABLE)).metadata.snapshots.at(-1)!;
      assert.equal(summary["total-records"], String(expected.length));
      assert.equal(summary["total-data-files"], String(view?.files));
      assert.equal(view?.files_past_the_end, 0);
    }),
  );

  it("accepts DuckDB's inserts between ingest's commits, and ingest merges their manifests.", () =>
    withIngestLake(async ({ log, makeIngest, serve, rows, catalog }) => {
      const { url } = await serve();
      const ingest = makeIngest();
      await log.append(TOPIC, recordsOf(0, 10));
      await ingest.drain();
      const instance = await openDuckDB();
      try {
        const connection = await instance.connect();
        await attachCatalog(connection, url, "lake");
        for (let i = 0; i < 110; i += 1) {
          if (i % 10 === 0) {
            await connection.run(
              `insert into lake.bronze.ticks_raw
               (source, ingested_at, ingestion_date, log_topic, log_partition, log_offset)
               values ('duckdb', timestamptz '2025-10-11 12:00:00+00', date '2025-10-11', 'x', 50, ${i / 10})`,
            );
          }
          await log.append(TOPIC, [recordOf(10 + i)]);
          await ingest.drain();
        }
      } finally {
        instance.closeSync();
      }
      const all = await rows();
      assertSameRows(
        all.filter(({ source }) => source !== "duckdb"),
        await readLog(log),
      );
      assert.deepEqual(
        all.filter(({ source }) => source === "duckdb").map(({ log_offset }) => log_offset),
        Array.from({ length: 11 }, (_, i) => i),
      );
      assert.equal((await catalog.loadTable(TABLE)).metadata.snapshots.length, 122);
      if (skip === false) assertSameRows((await python(url, "read"))?.rows.map(sorted) ?? [], all.map(sorted));
    }));
});

/** Languages order an object's keys differently. */
function sorted(row: BronzeRow): BronzeRow {
  return Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))) as unknown as BronzeRow;
}
