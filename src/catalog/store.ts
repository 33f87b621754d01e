import type { TableIdentifier, TableMetadata } from "../iceberg/model.ts";

/**
 * One table's pointer moves from `expected` to `next`; `expected: null` means that the table must not exist yet. No two moves have
 * the same `next`: each commit names a file of its own, by which a store may recognise it.
 */
export interface PointerMove {
  identifier: TableIdentifier;
  expected: string | null;
  next: string;
  /** What lies at `next`: a store may repeat parts of it for readers of its own. */
  metadata: TableMetadata;
  /** What lies at `expected`; null where there is none, or nobody has read it. */
  base: TableMetadata | null;
}

/**
 * What a catalog must remember: namespaces with properties, and for each table the location of its current metadata file.
 * Moving that pointer is the one commit point of the lakehouse. Invariants, held by every implementation's contract test:
 *  - a move happens only from the expected location, atomically and durably, whoever else uses the store at the time;
 *  - `move` of several pointers is all or none where `is_multi_table`; elsewhere it is never called with more than one;
 *  - a thrown OperatingError means that nothing changed, except UnknownOutcome, which means what it says.
 * Errors: NAMESPACE_NOT_FOUND, NAMESPACE_EXISTS, NAMESPACE_NOT_EMPTY, TABLE_NOT_FOUND, TABLE_EXISTS, COMMIT_CONFLICT,
 * UNSUPPORTED (names the store cannot hold), CATALOG_… codes and METASTORE_FAILED.
 */
export interface CatalogStore {
  readonly is_multi_table: boolean;
  /** Every table made here carries these, so that engines which reach the store on their own keep to its way of committing. */
  readonly table_properties: Readonly<Record<string, string>>;

  /** The parent of a nested namespace must exist. */
  createNamespace(namespace: readonly string[], properties: Readonly<Record<string, string>>): Promise<void>;
  /** The properties, or null where there is no such namespace. */
  namespaceProperties(namespace: readonly string[]): Promise<Record<string, string> | null>;
  /** Sets and removes in one step; returns the properties as they were before it. */
  changeNamespaceProperties(
    namespace: readonly string[],
    change: { updates: Readonly<Record<string, string>>; removals: readonly string[] },
  ): Promise<Record<string, string>>;
  /** Direct children, sorted by name; those of the empty namespace are the top level. */
  childNamespaces(parent: readonly string[]): Promise<string[][]>;
  dropNamespace(namespace: readonly string[]): Promise<void>;

  /** Names, sorted by code point. */
  tableNames(namespace: readonly string[]): Promise<string[]>;
  /** The current metadata location, or null where there is no such table. */
  pointer(identifier: TableIdentifier): Promise<string | null>;
  /** Throws COMMIT_CONFLICT if any pointer is not where it was expected, NAMESPACE_NOT_FOUND for a new table in none. */
  move(moves: readonly PointerMove[]): Promise<void>;
  renameTable(from: TableIdentifier, to: TableIdentifier): Promise<void>;
  /** Forgets the table; returns where its pointer was. */
  dropTable(identifier: TableIdentifier): Promise<string>;

  close(): Promise<void>;
}
