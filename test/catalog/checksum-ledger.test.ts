import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import type { ChecksumStore } from "../../src/catalog/checksums.ts";
import { Catalog } from "../../src/catalog/catalog.ts";
import { SqliteChecksums } from "../../src/catalog/sqlite/checksums.ts";
import { SqliteStore } from "../../src/catalog/sqlite/store.ts";
import type { LoadedTable } from "../../src/iceberg/model.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createAppendStager } from "../../src/iceberg/append.ts";
import { ChecksumLedger } from "../../src/catalog/checksum-ledger.ts";
import { LiveFiles } from "../../src/iceberg/live-files.ts";
import { readManifestList } from "../../src/iceberg/snapshot-files.ts";
import { currentSnapshot } from "../../src/iceberg/stage.ts";
import { openBronze } from "../../src/ingest/bronze.ts";
import { locationOfPath, pathOfLocation } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { withDeletionListener } from "../../src/storage/deletions.ts";
import { canonicalLocation } from "../../src/storage/location.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { dataFile } from "../iceberg/data-file.ts";

const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

async function filesOf({ metadata, metadata_location }: LoadedTable, storage: FileStorage): Promise<string[]> {
  const snapshot = currentSnapshot(metadata);
  if (snapshot === null) return [metadata_location];
  const manifests = await readManifestList(storage, snapshot);
  const live = await new LiveFiles(storage).of(metadata, snapshot);
  return [
    metadata_location,
    snapshot["manifest-list"],
    ...manifests.map(({ manifest_path }) => manifest_path),
    ...live.map(({ path }) => path),
  ];
}

test("the checksum of each committed file is recorded, and removed when the file is deleted", async () => {
  const folder = temporaryFolder();
  const file = join(folder.path, "catalog.db");
  const files = new FileStorage();
  const ledger = new ChecksumLedger(files, new SqliteChecksums(file));
  const storage = withDeletionListener(files, (location) => ledger.forget(location));
  const committed = ledger.record.bind(ledger);
  const catalog = new Catalog({
    store: new SqliteStore(file),
    storage,
    warehouse: locationOfPath(join(folder.path, "warehouse")),
    committed,
  });
  const [namespace = "", name = ""] = crypto.bronze.table.split(".");
  const table = await openBronze(catalog, { namespace: [namespace], name });
  const data = `${table.metadata.location}/data/some.parquet`;
  writeFileSync(pathOfLocation(data), "rows");
  const stager = createAppendStager({ storage: files, clock: systemClock });
  const staged = await stager.stage(table, [dataFile(data, new Map([[1000, 20_000]]))], {});
  const [after] = await catalog.commit([staged.change]);
  assert.ok(after !== undefined);
  await catalog.close();
  await ledger.close();

  const checksums = new SqliteChecksums(file);
  const needed = await filesOf(after, files);
  assert.equal(needed.length, 4);
  for (const location of needed) {
    const known = checksums.get(canonicalLocation(location));
    assert.deepEqual(
      [location, known?.sha256, known?.taken_by],
      [location, sha256(pathOfLocation(location)), "commit"],
    );
  }

  const again = new ChecksumLedger(files, checksums);
  await withDeletionListener(files, (location) => again.forget(location)).delete(data);
  await again.close();
  const left = new SqliteChecksums(file, { is_read_only: true });
  assert.deepEqual(
    [left.has(canonicalLocation(data)), left.has(canonicalLocation(after.metadata_location))],
    [false, true],
  );
  left.close();
  folder.remove();
});

test("a deletion succeeds if its checksum cannot be removed, with a warning and a retry of the removal", async () => {
  const folder = temporaryFolder();
  const files = new FileStorage();
  const removed = new Set<string>();
  let is_busy = true;
  const store: ChecksumStore = {
    change(change) {
      if (is_busy) throw new Error("database is locked");
      for (const location of change.removed ?? []) removed.add(location);
    },
    has: () => false,
    get: () => null,
    locations: () => [],
    close: () => {},
  };
  const warnings: string[] = [];
  const ledger = new ChecksumLedger(files, store, (message) => warnings.push(message));
  const storage = withDeletionListener(files, (location) => ledger.forget(location));
  const locations = Array.from({ length: 600 }, (_, index) => `${locationOfPath(folder.path)}/${index}.parquet`);
  for (const location of locations) await storage.delete(location);
  assert.deepEqual(warnings, ["The checksums of 512 deleted files could not be removed yet: database is locked."]);
  is_busy = false;
  await ledger.close();
  assert.deepEqual([...removed].sort(), [...locations].sort());
  folder.remove();
});
