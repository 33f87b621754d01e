import { badRequest, nameOfNamespace, nameOfTable, unsupported } from "../../iceberg/errors.ts";
import type { TableIdentifier } from "../../iceberg/model.ts";

/**
 * Names that Hive stores unchanged. Hive folds names to lower case and rejects other characters, so another name could
 * not be found again.
 */
const HIVE_NAME = /^[a-z0-9_]+$/;

/** The database of a namespace; null if Hive cannot store it. Throws INVALID_REQUEST for an invalid namespace. */
export function databaseOf(namespace: readonly string[]): string | null {
  if (
    namespace.length === 0 ||
    namespace.some((level) => level === "" || [...level].some((character) => character < " "))
  ) {
    throw badRequest(`Invalid namespace: ${JSON.stringify(namespace)}`);
  }
  const [name = "", ...below] = namespace;
  return below.length === 0 && HIVE_NAME.test(name) ? name : null;
}

export function isHiveTable({ namespace, name }: TableIdentifier): boolean {
  return databaseOf(namespace) !== null && HIVE_NAME.test(name);
}

/** The database for a new namespace. Throws UNSUPPORTED, INVALID_REQUEST. */
export function newDatabaseOf(namespace: readonly string[]): string {
  const database = databaseOf(namespace);
  if (database === null) {
    throw unsupported(
      `The Hive Metastore cannot have a namespace ${nameOfNamespace(namespace)}: ` +
        "it has one level, of lower case letters, digits and underscores",
    );
  }
  return database;
}

/** Throws UNSUPPORTED, INVALID_REQUEST. */
export function checkNewTable(identifier: TableIdentifier): void {
  newDatabaseOf(identifier.namespace);
  if (!HIVE_NAME.test(identifier.name)) {
    throw unsupported(
      `The Hive Metastore cannot have a table ${nameOfTable(identifier)}: ` +
        "names there are of lower case letters, digits and underscores",
    );
  }
}
