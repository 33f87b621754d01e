import { badRequest } from "../iceberg/errors.ts";
import type { TableIdentifier } from "../iceberg/model.ts";

/**
 * Names of new namespaces and tables. Allows any text that URLs, stores and messages can represent. Paths never contain
 * the text unchanged: see `folderName`. Existing objects with other names remain readable and can be dropped.
 */

const MAX_NAME_CHARACTERS = 255;
const MAX_NAMESPACE_LEVELS = 16;
/** Leaves space for the random suffix in a file system's limit of 255 bytes. */
const MAX_FOLDER_NAME_CHARACTERS = 100;

/** Throws INVALID_REQUEST. */
export function checkTableName({ name }: TableIdentifier): void {
  checkName(name, "table name");
}

/** Throws INVALID_REQUEST. */
export function checkNamespaceName(namespace: readonly string[]): void {
  if (namespace.length === 0) throw badRequest("Invalid namespace: it has no levels");
  if (namespace.length > MAX_NAMESPACE_LEVELS)
    throw badRequest(`Invalid namespace: it has more than ${MAX_NAMESPACE_LEVELS} levels`);
  for (const level of namespace) checkName(level, "namespace");
}

/** HTTP clients resolve a name of dots before they send a path; control characters include the level separator. */
function checkName(name: string, what: string): void {
  const reject = (reason: string): never => {
    throw badRequest(`Invalid ${what}: ${JSON.stringify(name.slice(0, MAX_NAME_CHARACTERS))} ${reason}`);
  };
  if (name === "") reject("is empty");
  if (name === "." || name === "..") reject("is a relative path");
  if (/\p{Cc}/u.test(name)) reject("holds control characters");
  if (!name.isWellFormed()) reject("is not valid Unicode");
  if (name.length > MAX_NAME_CHARACTERS) reject(`is longer than ${MAX_NAME_CHARACTERS} characters`);
}

/** The name reduced to characters that every engine and disk treats alike and that have no special meaning. */
export function folderName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, MAX_FOLDER_NAME_CHARACTERS);
}
