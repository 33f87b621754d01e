import { formatJson } from "../../iceberg/json.ts";
import type { TableMetadata } from "../../iceberg/model.ts";
import type { PointerMove } from "../store.ts";
import { hiveColumns } from "./columns.ts";
import type { HiveStorage, HiveTable } from "./service.ts";

/** The Hive table parameter that contains the pointer. */
export const METADATA_LOCATION = "metadata_location";
const PREVIOUS_METADATA_LOCATION = "previous_metadata_location";
const TABLE_TYPE = "table_type";
const ICEBERG = "ICEBERG";

/** Unlimited retention in Hive's terms; Iceberg decides which snapshots are kept. */
const RETENTION_FOR_EVER = 2_147_483_647;
/**
 * Longer properties are omitted, because some databases of metastores cannot store them
 * (iceberg.hive.table-property-max-size).
 */
const MAX_PARAMETER_CHARACTERS = 32_672;

/** Parameters that repeat facts of the metadata: replaced at each commit, or absent. */
const CURRENT_SNAPSHOT_ID = "current-snapshot-id";
const CURRENT_SNAPSHOT_TIMESTAMP = "current-snapshot-timestamp-ms";
const CURRENT_SNAPSHOT_SUMMARY = "current-snapshot-summary";
const STATISTICS: Record<string, string> = {
  numFiles: "total-data-files",
  numRows: "total-records",
  totalSize: "total-files-size",
};
const REPEATED = [
  CURRENT_SNAPSHOT_ID,
  CURRENT_SNAPSHOT_TIMESTAMP,
  CURRENT_SNAPSHOT_SUMMARY,
  "current-schema",
  "default-partition-spec",
  "default-sort-order",
  ...Object.keys(STATISTICS),
];

/** Iceberg's property, and Hive's equivalent. */
const GC_ENABLED = "gc.enabled";
const EXTERNAL_TABLE_PURGE = "external.table.purge";

/** Metadata location of an Iceberg table; null for a table of another format. */
export function pointerOf({ parameters = {} }: HiveTable): string | null {
  return parameters[TABLE_TYPE]?.toUpperCase() === ICEBERG ? (parameters[METADATA_LOCATION] ?? null) : null;
}

/**
 * A new table as Iceberg's HiveCatalog writes it (HiveTableOperations in Apache Iceberg), so that Iceberg's catalogs
 * for Spark and PyIceberg can read it.
 */
export function newHiveTable(move: PointerMove, owner: string, now_s: number): HiveTable {
  const [dbName = ""] = move.identifier.namespace;
  return {
    dbName,
    tableName: move.identifier.name,
    owner,
    createTime: now_s,
    lastAccessTime: now_s,
    retention: RETENTION_FOR_EVER,
    sd: storageOf(move.metadata),
    partitionKeys: [],
    parameters: parametersOf(move, { EXTERNAL: "TRUE" }),
    tableType: "EXTERNAL_TABLE",
  };
}

/** The table with a moved pointer. Keeps parameters of other programs, and drops those of removed properties. */
export function movedHiveTable(table: HiveTable, move: PointerMove): HiveTable {
  return { ...table, sd: storageOf(move.metadata), parameters: parametersOf(move, table.parameters ?? {}) };
}

/**
 * Storage description with Hive's built-in formats: a Hive without Iceberg then finds an empty table instead of an
 * unknown format.
 */
function storageOf(metadata: TableMetadata): HiveStorage {
  return {
    cols: hiveColumns(metadata),
    location: metadata.location,
    inputFormat: "org.apache.hadoop.mapred.FileInputFormat",
    outputFormat: "org.apache.hadoop.mapred.FileOutputFormat",
    compressed: false,
    numBuckets: 0,
    serdeInfo: { serializationLib: "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", parameters: {} },
    bucketCols: [],
    parameters: {},
  };
}

function parametersOf(
  { metadata, base, expected, next }: PointerMove,
  present: Readonly<Record<string, string>>,
): Record<string, string> {
  const gone = new Set([...REPEATED, PREVIOUS_METADATA_LOCATION, ...Object.keys(base?.properties ?? {}).map(hiveName)]);
  const kept = Object.entries(present).filter(([name]) => !gone.has(name));
  const properties = Object.entries(metadata.properties).map(([name, value]) => [hiveName(name), value]);
  return {
    ...Object.fromEntries(kept),
    ...Object.fromEntries(properties),
    ...factsOf(metadata),
    uuid: metadata["table-uuid"],
    [TABLE_TYPE]: ICEBERG,
    [METADATA_LOCATION]: next,
    ...(expected === null ? {} : { [PREVIOUS_METADATA_LOCATION]: expected }),
  };
}

function hiveName(property: string): string {
  return property === GC_ENABLED ? EXTERNAL_TABLE_PURGE : property;
}

function factsOf(metadata: TableMetadata): Record<string, string> {
  const snapshot = metadata.snapshots.find((each) => each["snapshot-id"] === metadata["current-snapshot-id"]);
  const current = (id_field: string, id: number, items: readonly unknown[]) =>
    items.find((item) => (item as Record<string, unknown>)[id_field] === id);
  const spec = current("spec-id", metadata["default-spec-id"], metadata["partition-specs"]) as
    | { fields: unknown[] }
    | undefined;
  const order = current("order-id", metadata["default-sort-order-id"], metadata["sort-orders"]) as
    | { fields: unknown[] }
    | undefined;
  const statistics = Object.entries(STATISTICS).flatMap(([name, total]) =>
    snapshot?.summary[total] === undefined ? [] : [[name, snapshot.summary[total]]],
  );
  return {
    ...Object.fromEntries(statistics),
    ...(snapshot === undefined
      ? {}
      : {
          [CURRENT_SNAPSHOT_ID]: String(snapshot["snapshot-id"]),
          [CURRENT_SNAPSHOT_TIMESTAMP]: String(snapshot["timestamp-ms"]),
        }),
    ...ifShort(CURRENT_SNAPSHOT_SUMMARY, snapshot?.summary),
    ...ifShort("current-schema", current("schema-id", metadata["current-schema-id"], metadata.schemas)),
    ...(spec === undefined || spec.fields.length === 0 ? {} : ifShort("default-partition-spec", spec)),
    ...(order === undefined || order.fields.length === 0 ? {} : ifShort("default-sort-order", order)),
  };
}

function ifShort(name: string, value: unknown): Record<string, string> {
  const text = value === undefined ? "" : formatJson(value);
  return text === "" || text.length > MAX_PARAMETER_CHARACTERS ? {} : { [name]: text };
}
