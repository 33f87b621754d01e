import type { TableIdentifier, TableMetadata } from "../iceberg/model.ts";

/**
 * One table's pointer moves from `expected` to `next`; `expected: null` means that the table must not exist yet. No two
 * moves have the same `next`: each commit writes a new file, so a store can recognise a commit by its file.
 */
export interface PointerMove {
  identifier: TableIdentifier;
  expected: string | null;
  next: string;
  /** Metadata at `next`: a store may repeat parts of it for its other readers. */
  metadata: TableMetadata;
  /** Metadata at `expected`; null if there is none or it was not read. */
  base: TableMetadata | null;
}

/**
 * Storage of the catalog: namespaces with properties, and for each table the location of its current metadata file.
 * Moving that pointer is the one commit point of the lakehouse. Invariants, checked by the contract test of every
 * implementation:
 * - a move succeeds only from the expected location, atomically and durably, even with concurrent users of the store;
 * - `move` of several pointers is all or none if `is_multi_table`; otherwise it is never called with more than one;
 * - an OperatingError means that nothing changed, except UnknownOutcome, after which the outcome is unknown.
 * Errors: NAMESPACE_NOT_FOUND, NAMESPACE_EXISTS, NAMESPACE_NOT_EMPTY, TABLE_NOT_FOUND, TABLE_EXISTS, COMMIT_CONFLICT,
 * UNSUPPORTED (names that the store cannot hold), CATALOG_… codes and METASTORE_FAILED.
 */
export interface CatalogStore {
  readonly is_multi_table: boolean;
  /** Properties of every table created here, so that engines with direct access to the store commit in its way. */
  readonly table_properties: Readonly<Record<string, string>>;

  /** The parent of a nested namespace must exist. */
  createNamespace(namespace: readonly string[], properties: Readonly<Record<string, string>>): Promise<void>;
  /** The properties; null if the namespace does not exist. */
  namespaceProperties(namespace: readonly string[]): Promise<Record<string, string> | null>;
  /** Sets and removes properties in one step; returns the properties before it. */
  changeNamespaceProperties(
    namespace: readonly string[],
    change: { updates: Readonly<Record<string, string>>; removals: readonly string[] },
  ): Promise<Record<string, string>>;
  /** Direct children, sorted by name; the children of the empty namespace are the top level. */
  childNamespaces(parent: readonly string[]): Promise<string[][]>;
  dropNamespace(namespace: readonly string[]): Promise<void>;

  /** Names, sorted by code point. */
  tableNames(namespace: readonly string[]): Promise<string[]>;
  /** The current metadata location; null if the table does not exist. */
  pointer(identifier: TableIdentifier): Promise<string | null>;
  /**
   * Throws COMMIT_CONFLICT if a pointer is not at its expected location, NAMESPACE_NOT_FOUND for a new table in a
   * missing namespace.
   */
  move(moves: readonly PointerMove[]): Promise<void>;
  renameTable(from: TableIdentifier, to: TableIdentifier): Promise<void>;
  /** Removes the table; returns its last pointer. */
  dropTable(identifier: TableIdentifier): Promise<string>;

  close(): Promise<void>;
}
