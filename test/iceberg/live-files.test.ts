import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import type { LoadedTable } from "../../src/iceberg/model.ts";
import { createAppendStager } from "../../src/iceberg/append.ts";
import { LiveFiles } from "../../src/iceberg/live-files.ts";
import { currentSnapshot } from "../../src/iceberg/stage.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { PRICE_SCHEMA, openLake, type Lake } from "../catalog/lake.ts";
import { dataFile } from "./data-file.ts";

const COMMITS = 12;

describe("the files of snapshots", () => {
  let lake: Lake;
  let table: LoadedTable;
  const storage = new FileStorage();

  before(async () => {
    lake = await openLake();
    await lake.catalog.createNamespace(["bronze"]);
    table = await lake.catalog.createTable({
      identifier: { namespace: ["bronze"], name: "prices" },
      schema: PRICE_SCHEMA,
      properties: { "format-version": "2" },
    });
    const stager = createAppendStager({ storage, clock: systemClock });
    for (let commit = 1; commit <= COMMITS; commit += 1) {
      const staged = await stager.stage(table, [dataFile(`file:///${commit}.parquet`, new Map())], {});
      [table] = (await lake.catalog.commit([staged.change])) as [LoadedTable];
    }
  });
  after(() => lake.close());

  /** Reads through a cache of at most `max_files` files, and returns which manifests were read. */
  function counting(max_files: number) {
    const read: string[] = [];
    const counted = { read: (location: string) => (read.push(location), storage.read(location)) } as FileStorage;
    return {
      files: new LiveFiles(counted, max_files),
      manifestsRead: () => read.splice(0).filter((location) => !location.includes("snap-")).length,
    };
  }

  const snapshotAt = (commit: number) => table.metadata.snapshots[commit - 1]!;

  test("are read once per manifest, and are correct for every snapshot at any cache size", async () => {
    for (const max_files of [1, 7, 1_000]) {
      const { files, manifestsRead } = counting(max_files);
      for (const commit of [COMMITS, 3, COMMITS]) {
        const paths = (await files.of(table.metadata, snapshotAt(commit))).map(({ path }) => path).sort();
        assert.deepEqual(
          paths,
          Array.from({ length: commit }, (_none, index) => `file:///${index + 1}.parquet`).sort(),
        );
      }
      if (max_files === 1_000) assert.equal(manifestsRead(), COMMITS);
    }
  });

  test("are cached for the most recently used manifests, up to a limit on files", async () => {
    // A manifest of one file counts as two files.
    const { files, manifestsRead } = counting(2 * COMMITS - 2);
    await files.of(table.metadata, snapshotAt(4));
    assert.equal(manifestsRead(), 4);
    await files.of(table.metadata, snapshotAt(COMMITS - 1));
    assert.equal(manifestsRead(), COMMITS - 5);
    await files.of(table.metadata, snapshotAt(4));
    assert.equal(manifestsRead(), 0);
    // The twelfth manifest evicts the least recently used one, which is not among the first four.
    await files.of(table.metadata, currentSnapshot(table.metadata)!);
    manifestsRead();
    await files.of(table.metadata, snapshotAt(4));
    assert.equal(manifestsRead(), 0);
  });
});
