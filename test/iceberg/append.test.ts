import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LoadedTable } from "../../src/iceberg/model.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createAppendStager } from "../../src/iceberg/append.ts";
import { decodeBound } from "../../src/iceberg/bounds.ts";
import { decodeManifest } from "../../src/iceberg/manifest.ts";
import { decodeManifestList } from "../../src/iceberg/manifest-list.ts";
import { STATUS, type ManifestFile } from "../../src/iceberg/manifest-model.ts";
import { currentSnapshot } from "../../src/iceberg/stage.ts";
import { MERGE_COUNT, chooseMerge } from "../../src/iceberg/merge.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { PRICE_SCHEMA, openLake, type Lake } from "../catalog/lake.ts";
import { dataFile } from "./data-file.ts";

const PRICES = { namespace: ["bronze"], name: "prices" };
const DAY = 20_371;

async function createPrices({ catalog }: Lake): Promise<LoadedTable> {
  await catalog.createNamespace(["bronze"]);
  const partition_spec = { fields: [{ name: "price_date", transform: "identity", "source-id": 3, "field-id": 1000 }] };
  return catalog.createTable({
    identifier: PRICES,
    schema: PRICE_SCHEMA,
    partition_spec,
    properties: { "format-version": "2" },
  });
}

async function withLake(body: (lake: Lake) => Promise<void>): Promise<void> {
  const lake = await openLake();
  try {
    await body(lake);
  } finally {
    await lake.close();
  }
}

const storage = new FileStorage();

async function manifestsOf({ metadata }: LoadedTable): Promise<ManifestFile[]> {
  return decodeManifestList(await storage.read(currentSnapshot(metadata)!["manifest-list"]));
}

async function liveEntries(table: LoadedTable) {
  const [spec] = table.metadata["partition-specs"];
  const decoded = await Promise.all(
    (await manifestsOf(table)).map(async (manifest) =>
      decodeManifest(await storage.read(manifest.manifest_path), manifest, {
        schema: table.metadata.schemas[0]!,
        spec: spec!,
      }),
    ),
  );
  return decoded.flat().filter(({ status }) => status !== STATUS.deleted);
}

describe("Appending", () => {
  it("keeps totals, properties, parents and every file across hundreds of commits and manifest merges", () =>
    withLake(async (lake) => {
      let table = await createPrices(lake);
      const stager = createAppendStager({ storage, clock: systemClock });
      const commits = 2 * MERGE_COUNT + 20;
      for (let commit = 1; commit <= commits; commit += 1) {
        const partition = new Map([[1000, DAY + (commit % 3)]]);
        const staged = await stager.stage(table, [dataFile(`file:///${commit}.parquet`, partition)], {
          progress: String(commit),
        });
        const parent_id = currentSnapshot(table.metadata)?.["snapshot-id"];
        [table] = (await lake.catalog.commit([staged.change])) as [LoadedTable];
        assert.equal(currentSnapshot(table.metadata)?.["parent-snapshot-id"], parent_id);
      }
      assert.equal(table.metadata.properties["progress"], String(commits));
      const { summary } = currentSnapshot(table.metadata)!;
      assert.equal(summary["operation"], "append");
      assert.equal(summary["total-records"], String(commits * 250));
      assert.equal(summary["total-data-files"], String(commits));
      assert.equal(summary["total-files-size"], String(commits * 1000));
      const manifests = await manifestsOf(table);
      assert.ok(manifests.length <= MERGE_COUNT + 2, `${manifests.length} manifests`);
      const entries = await liveEntries(table);
      assert.equal(new Set(entries.map(({ data_file }) => data_file.file_path)).size, commits);
      for (const entry of entries) {
        const number = Number(/(\d+)\.parquet/.exec(entry.data_file.file_path)?.[1]);
        assert.equal(entry.sequence_number, number, "a file keeps the sequence number it was added with");
        assert.equal(entry.snapshot_id, table.metadata.snapshots[number - 1]?.["snapshot-id"]);
      }
      const merged = manifests.find((manifest) => manifest.existing_files_count > 0)!;
      assert.equal(merged.min_sequence_number < merged.sequence_number, true);
      assert.deepEqual(
        merged.partitions?.map((p) => [decodeBound("date", p.lower_bound!), decodeBound("date", p.upper_bound!)]),
        [[DAY, DAY + 2]],
      );
    }));

  it("is rejected if another writer committed first, and succeeds when staged on that commit", () =>
    withLake(async (lake) => {
      const table = await createPrices(lake);
      const ours = createAppendStager({ storage, clock: systemClock });
      const theirs = createAppendStager({ storage, clock: systemClock });
      const files = [dataFile("file:///ours.parquet", new Map([[1000, DAY]]))];
      const first = await theirs.stage(table, [dataFile("file:///theirs.parquet", new Map([[1000, DAY]]))]);
      const second = await ours.stage(table, files);
      await lake.catalog.commit([first.change]);
      await assert.rejects(lake.openAnother().commit([second.change]), { code: "COMMIT_CONFLICT" });
      const again = await ours.stage(await lake.catalog.loadTable(PRICES), files);
      const [after] = (await lake.catalog.commit([again.change])) as [LoadedTable];
      assert.deepEqual((await liveEntries(after)).map(({ data_file }) => data_file.file_path).sort(), [
        "file:///ours.parquet",
        "file:///theirs.parquet",
      ]);
    }));

  it("rejects a table with an unsupported format version", () =>
    withLake(async (lake) => {
      await lake.catalog.createNamespace(["bronze"]);
      const table = await lake.catalog.createTable({
        identifier: PRICES,
        schema: PRICE_SCHEMA,
        properties: { "format-version": "3" },
      });
      const stager = createAppendStager({ storage, clock: systemClock });
      await assert.rejects(stager.stage(table, []), { code: "UNSUPPORTED_FORMAT" });
    }));
});

describe("The choice of manifests to merge", () => {
  const manifest = (files_count: number, spec_id = 0): ManifestFile =>
    ({
      content: 0,
      partition_spec_id: spec_id,
      added_files_count: files_count,
      existing_files_count: 0,
    }) as ManifestFile;

  it("picks those of one size and spec once there are a hundred", () => {
    const small = Array.from({ length: MERGE_COUNT }, () => manifest(1));
    const large = Array.from({ length: MERGE_COUNT - 1 }, () => manifest(MERGE_COUNT));
    assert.deepEqual(chooseMerge([...large, ...small.slice(1), ...small.slice(0, 1)], 0), small);
    assert.deepEqual(chooseMerge([...large, ...small.slice(1)], 0), []);
    assert.deepEqual(chooseMerge([...small.slice(1), manifest(1, 7)], 0), []);
    assert.equal(chooseMerge([...large, manifest(MERGE_COUNT * 2)], 0).length, MERGE_COUNT);
  });
});
