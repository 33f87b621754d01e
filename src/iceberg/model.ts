/**
 * The part of Iceberg's table metadata (format version 2, spec appendix C) that the project accesses by name. Snapshot
 * ids and sequence numbers have 64 bits: JSON integers beyond 2^53 are parsed as bigint, and written with the same
 * digits.
 */
export type Long = number | bigint;

export interface TableIdentifier {
  namespace: readonly string[];
  name: string;
}

export interface Field {
  id: number;
  name: string;
  required: boolean;
  type: unknown;
  doc?: string;
}

export interface Schema {
  type: "struct";
  "schema-id"?: number;
  fields: Field[];
  "identifier-field-ids"?: number[];
}

export interface PartitionField {
  name: string;
  transform: string;
  "source-id": number;
  "field-id"?: number;
}

export interface PartitionSpec {
  "spec-id"?: number;
  fields: PartitionField[];
}

export interface Snapshot {
  "snapshot-id": Long;
  "parent-snapshot-id"?: Long;
  "sequence-number": Long;
  "timestamp-ms": Long;
  "manifest-list": string;
  summary: Record<string, string>;
  "schema-id"?: number;
}

export interface TableMetadata {
  "format-version": number;
  "table-uuid": string;
  location: string;
  "last-sequence-number": Long;
  "last-updated-ms": Long;
  "last-column-id": number;
  "current-schema-id": number;
  schemas: Schema[];
  "default-spec-id": number;
  "partition-specs": PartitionSpec[];
  "last-partition-id": number;
  "default-sort-order-id": number;
  "sort-orders": unknown[];
  properties: Record<string, string>;
  "current-snapshot-id": Long | null;
  refs: Record<string, { "snapshot-id": Long; type: "branch" | "tag"; [key: string]: unknown }>;
  snapshots: Snapshot[];
  "snapshot-log": { "snapshot-id": Long; "timestamp-ms": Long }[];
  "metadata-log": { "metadata-file": string; "timestamp-ms": Long }[];
  [key: string]: unknown;
}

/**
 * A requirement or update of the specification in its JSON form: `{type: "assert-…"}`, `{action: "add-snapshot", …}`.
 */
export type Requirement = { type: string; [key: string]: unknown };
export type Update = { action: string; [key: string]: unknown };

export interface TableChange {
  identifier: TableIdentifier;
  requirements: readonly Requirement[];
  updates: readonly Update[];
}

export interface LoadedTable {
  identifier: TableIdentifier;
  metadata_location: string;
  metadata: TableMetadata;
}

/** The pipeline's in-process interface to the catalog; other clients use REST to access the same object. */
export interface TableCatalog {
  createNamespace(namespace: readonly string[]): Promise<void>;
  hasNamespace(namespace: readonly string[]): Promise<boolean>;
  listTables(namespace: readonly string[]): Promise<TableIdentifier[]>;
  /** Throws TABLE_NOT_FOUND. */
  loadTable(identifier: TableIdentifier): Promise<LoadedTable>;
  createTable(table: {
    identifier: TableIdentifier;
    schema: Schema;
    partition_spec?: PartitionSpec;
    properties?: Record<string, string>;
  }): Promise<LoadedTable>;
  /**
   * Commits all changes or none. Throws COMMIT_CONFLICT (retryable: a requirement failed, or another writer was first;
   * nothing was published) or UnknownOutcome (the caller must read the tables before it continues).
   */
  commit(changes: readonly TableChange[]): Promise<LoadedTable[]>;
}
