import { badRequest, nameOfNamespace, nameOfTable, unsupported } from "../../iceberg/errors.ts";
import type { TableIdentifier } from "../../iceberg/model.ts";

/** Hive folds names to lower case and takes nothing else, so a name that is not so could never be found again as it was given. */
const HIVE_NAME = /^[a-z0-9_]+$/;

/** The database that a namespace is, or null where Hive cannot have it. Throws INVALID_REQUEST for what is no namespace anywhere. */
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

/** For what is to be made. Throws UNSUPPORTED, INVALID_REQUEST. */
export function newDatabaseOf(namespace: readonly string[]): string {
  const database = databaseOf(namespace);
  if (database === null) {
    throw unsupported(
      `The Hive Metastore cannot have a namespace ${nameOfNamespace(namespace)}: it has one level, of lower case letters, digits and underscores`,
    );
  }
  return database;
}

/** Throws UNSUPPORTED, INVALID_REQUEST. */
export function checkNewTable(identifier: TableIdentifier): void {
  newDatabaseOf(identifier.namespace);
  if (!HIVE_NAME.test(identifier.name)) {
    throw unsupported(
      `The Hive Metastore cannot have a table ${nameOfTable(identifier)}: names there are of lower case letters, digits and underscores`,
    );
  }
}
