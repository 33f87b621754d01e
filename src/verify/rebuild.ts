import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Catalog } from "../catalog/catalog.ts";
import { tableNamed } from "../iceberg/errors.ts";
import { LOG_OFFSETS_PROPERTY } from "../iceberg/metadata/log-offsets.ts";
import { formatMetadata } from "../iceberg/metadata/text.ts";
import type { LoadedTable, TableMetadata } from "../iceberg/model.ts";
import { startCatalogServer, type CatalogServer } from "../catalog/server.ts";
import { SqliteStore } from "../catalog/sqlite/store.ts";
import { spillFolder } from "../duckdb/spill.ts";
import { LAYERS } from "../lake/layers.ts";
import { DbtWorker } from "../transform/worker.ts";
import { logOffsets } from "../transform/offsets.ts";
import { coversOffsets, type LogOffsets } from "../log/offsets.ts";
import { Transform } from "../transform/transform.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { FileStorage } from "../storage/file/storage.ts";
import { locationOfPath } from "../storage/file/location.ts";
import type { S3Settings } from "../storage/s3/settings.ts";
import { S3Storage } from "../storage/s3/storage.ts";
import { overrideStorage } from "../storage/override.ts";
import type { Storage } from "../storage/storage.ts";
import { makeFolder } from "../base/folder.ts";

/** Silver and gold, rebuilt from a lake's bronze in a separate catalog. */
export interface Rebuilt {
  catalog: Catalog;
  server: CatalogServer;
  close(): Promise<void>;
}

export interface RebuildRequest {
  pipeline: Pipeline;
  /** The lake's bronze table, and the offsets that the built tables have consumed. */
  bronze: LoadedTable;
  offsets: LogOffsets;
  s3: S3Settings | null;
  /** Parent folder of the temporary catalog and its tables. */
  scratch_folder: string;
  progress(done_records: number): void;
}

/** Runs the models over a catalog until they have consumed its bronze. */
export type RunModels = (catalog: Catalog, server: CatalogServer, request: RebuildRequest) => Promise<void>;

/**
 * Builds silver and gold from the lake's bronze in a temporary catalog. Bronze has the same files, which are read and
 * never written, up to the offsets that silver and gold have consumed. The models run as in the lake, increment by
 * increment, so memory is bounded by one batch. Throws MODEL_FAILED.
 */
export async function rebuild(request: RebuildRequest, runModels: RunModels = runDbt): Promise<Rebuilt> {
  const folder = spillFolder(request.scratch_folder);
  makeFolder(folder);
  const storage = new FileStorage();
  const files: Storage = request.s3 === null ? storage : alsoFromS3(storage, new S3Storage(request.s3));
  const store = new SqliteStore(join(folder, "catalog.db"));
  const catalog = new Catalog({ store, storage: files, warehouse: locationOfPath(join(folder, "warehouse")) });
  const server = await startCatalogServer({ catalog, port: 0 });
  const close = async () => {
    await server.close();
    await catalog.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await adoptBronze(store, storage, folder, request);
    await runModels(catalog, server, request);
    return { catalog, server, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Registers bronze with changed offsets, up to which the models read it. */
async function adoptBronze(
  store: SqliteStore,
  storage: Storage,
  folder: string,
  { bronze, offsets, pipeline }: RebuildRequest,
): Promise<void> {
  const metadata: TableMetadata = {
    ...bronze.metadata,
    properties: { ...bronze.metadata.properties, [LOG_OFFSETS_PROPERTY]: JSON.stringify(offsets) },
    snapshots: bronze.metadata.snapshots.map(
      ({ summary: { [LOG_OFFSETS_PROPERTY]: _own, ...summary }, ...snapshot }) => ({ ...snapshot, summary }),
    ),
  };
  const next = locationOfPath(join(folder, "bronze", `00000-${randomUUID()}.metadata.json`));
  await storage.write(next, Buffer.concat(formatMetadata(metadata)));
  const identifier = tableNamed(pipeline.bronze.table);
  for (const layer of LAYERS) await store.createNamespace([layer], {});
  // Bypasses the catalog, which does not register tables with files elsewhere.
  await store.move([{ identifier, expected: null, next, metadata, base: null }]);
}

/** Runs dbt increments until silver and gold have consumed all of bronze. */
const runDbt: RunModels = async (catalog, server, { pipeline, s3, offsets, scratch_folder, progress }) => {
  const folder = spillFolder(scratch_folder);
  const worker = new DbtWorker({
    project: pipeline.transform.project,
    engine: { kind: "embedded", catalog_url: server.url, s3 },
    folder,
  });
  const transform = new Transform({ pipeline, catalog, worker });
  try {
    for (;;) {
      await transform.increment();
      const consumed = await logOffsets(catalog, pipeline.reconciliation.accepted);
      progress(Object.values(consumed).reduce((total, next) => total + next, 0));
      if (coversOffsets(consumed, offsets)) return;
    }
  } finally {
    await worker.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
};

/** Bronze may be in S3; the rebuilt tables are on this disk. */
function alsoFromS3(local: FileStorage, s3: S3Storage): Storage {
  const of = (location: string): Storage => (/^s3[an]?:/.test(location) ? s3 : local);
  return overrideStorage(local, {
    read: (location) => of(location).read(location),
    readPieces: (location) => of(location).readPieces(location),
    statOf: (location) => of(location).statOf(location),
    list: (location) => of(location).list(location),
    isKnownDurable: (location) => of(location).isKnownDurable(location),
  });
}
