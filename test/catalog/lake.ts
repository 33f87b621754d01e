import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OperatingError } from "../../src/base/errors.ts";
import { Catalog, type CatalogOptions } from "../../src/catalog/catalog.ts";
import type { Long, Schema, TableChange, TableIdentifier, Update } from "../../src/iceberg/model.ts";
import { startCatalogServer, type CatalogServer } from "../../src/catalog/server.ts";
import { SqliteStore } from "../../src/catalog/sqlite/store.ts";
import { createMakeDurable } from "../../src/catalog/durable-snapshot.ts";
import { locationOfPath } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";

export interface Lake {
  folder: string;
  warehouse: string;
  catalog: Catalog;
  warnings: OperatingError[];
  /** Opens another catalog over the same files, as another process would. */
  openAnother(options?: Partial<CatalogOptions>): Catalog;
  serve(): Promise<CatalogServer>;
  close(): Promise<void>;
}

/** A catalog in a temporary folder; the space in the folder's name is intentional. */
export async function openLake(options: Partial<CatalogOptions> = {}): Promise<Lake> {
  const folder = await mkdtemp(join(tmpdir(), "coinlake catalog-"));
  const warehouse = locationOfPath(join(folder, "warehouse"));
  const warnings: OperatingError[] = [];
  const catalogs: Catalog[] = [];
  const servers: CatalogServer[] = [];
  const openAnother = (extra: Partial<CatalogOptions> = {}) => {
    const store = new SqliteStore(join(folder, "catalog.sqlite"));
    const storage = new FileStorage();
    const makeDurable = createMakeDurable(storage);
    const catalog = new Catalog({
      store,
      storage,
      makeDurable,
      warehouse,
      warn: (warning) => warnings.push(warning),
      ...extra,
    });
    catalogs.push(catalog);
    return catalog;
  };
  const catalog = openAnother(options);
  return {
    folder,
    warehouse,
    catalog,
    warnings,
    openAnother,
    async serve() {
      const server = await startCatalogServer({ catalog, port: 0 });
      servers.push(server);
      return server;
    },
    async close() {
      for (const server of servers) await server.close();
      for (const each of catalogs) await each.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const PRICES: TableIdentifier = { namespace: ["bronze"], name: "prices" };

export const PRICE_SCHEMA: Schema = {
  type: "struct",
  fields: [
    { id: 1, name: "coin", required: false, type: "string" },
    { id: 2, name: "price", required: false, type: "decimal(38, 18)" },
    { id: 3, name: "price_date", required: false, type: "date" },
  ],
};

const ANY_FOLDER = "file:///lake/warehouse/bronze/prices";

/** The updates of an append to the table in `folder`, as engines send them. The manifest list does not exist. */
export function appendOf(
  snapshot_id: Long,
  sequence_number: number,
  parent_id: Long | null,
  ref = "main",
  folder = ANY_FOLDER,
): Update[] {
  const snapshot = {
    "snapshot-id": snapshot_id,
    ...(parent_id === null ? {} : { "parent-snapshot-id": parent_id }),
    "sequence-number": sequence_number,
    "timestamp-ms": 1_790_000_000_000 + sequence_number,
    "manifest-list": `${folder}/metadata/snap-${snapshot_id}-1-00000000-0000-4000-8000-000000000000.avro`,
    summary: {
      operation: "append",
      "added-data-files": "1",
      "added-records": "250",
      "added-files-size": "12345",
      "changed-partition-count": "1",
      "total-records": String(250 * sequence_number),
      "total-files-size": String(12_345 * sequence_number),
      "total-data-files": String(sequence_number),
      "total-delete-files": "0",
    },
    "schema-id": 0,
  };
  return [
    { action: "add-snapshot", snapshot },
    { action: "set-snapshot-ref", "ref-name": ref, type: "branch", "snapshot-id": snapshot_id },
  ];
}

export function appendChange(
  folder: string,
  identifier: TableIdentifier,
  snapshot_id: Long,
  sequence_number: number,
  parent_id: Long | null,
): TableChange {
  return {
    identifier,
    requirements: [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": parent_id }],
    updates: appendOf(snapshot_id, sequence_number, parent_id, "main", folder),
  };
}
