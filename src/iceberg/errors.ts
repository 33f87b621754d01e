import { OperatingError } from "../base/errors.ts";
import type { TableIdentifier } from "./model.ts";

/** Errors of the catalog. The REST server maps each code to the specification's status and error type. */

export function nameOfNamespace(namespace: readonly string[]): string {
  return namespace.join(".");
}

export function nameOfTable({ namespace, name }: TableIdentifier): string {
  return [...namespace, name].join(".");
}

/** The inverse: parses `layer.table`. */
export function tableNamed(name: string): TableIdentifier {
  const dot = name.indexOf(".");
  return { namespace: [name.slice(0, dot)], name: name.slice(dot + 1) };
}

export function badRequest(message: string, cause?: unknown): OperatingError {
  return new OperatingError("INVALID_REQUEST", message, {
    next_step: "Correct the request; trying it again unchanged cannot help.",
    cause,
  });
}

export function unsupported(message: string): OperatingError {
  return new OperatingError("UNSUPPORTED", message, { next_step: "Use another way: this catalog will not do it." });
}

export function noSuchNamespace(namespace: readonly string[]): OperatingError {
  return new OperatingError("NAMESPACE_NOT_FOUND", `Namespace does not exist: ${nameOfNamespace(namespace)}`, {
    next_step: "Create the namespace first, or check its spelling.",
  });
}

export function noSuchTable(identifier: TableIdentifier): OperatingError {
  return new OperatingError("TABLE_NOT_FOUND", `Table does not exist: ${nameOfTable(identifier)}`, {
    next_step: "Create the table first, or check its spelling.",
  });
}

export function namespaceExists(namespace: readonly string[]): OperatingError {
  return new OperatingError("NAMESPACE_EXISTS", `Namespace already exists: ${nameOfNamespace(namespace)}`, {
    next_step: "Use the existing namespace, or choose another name.",
  });
}

export function tableExists(identifier: TableIdentifier): OperatingError {
  return new OperatingError("TABLE_EXISTS", `Table already exists: ${nameOfTable(identifier)}`, {
    next_step: "Use the existing table, or choose another name.",
  });
}

export function namespaceNotEmpty(namespace: readonly string[]): OperatingError {
  return new OperatingError("NAMESPACE_NOT_EMPTY", `Namespace is not empty: ${nameOfNamespace(namespace)}`, {
    next_step: "Drop or move its tables and namespaces first.",
  });
}

/** Nothing was published. */
export function commitConflict(message: string): OperatingError {
  return new OperatingError("COMMIT_CONFLICT", message, {
    next_step: "Load the table again and retry the commit.",
  });
}
