import { badRequest } from "./errors.ts";
import type { Long } from "./model.ts";

/**
 * Readers of untrusted JSON: each returns the value with the requested type, or throws INVALID_REQUEST with the field's
 * name.
 */
export type JsonObject = Record<string, unknown>;

export function asObject(value: unknown, what: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw badRequest(`${what} must be a JSON object`);
  return value as JsonObject;
}

export function asArray(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw badRequest(`${what} must be a JSON array`);
  return value;
}

export function objectIn(parent: JsonObject, key: string): JsonObject {
  return asObject(parent[key], key);
}

export function arrayIn(parent: JsonObject, key: string): unknown[] {
  return asArray(parent[key], key);
}

export function stringIn(parent: JsonObject, key: string): string {
  const value = parent[key];
  if (typeof value !== "string" || value === "") throw badRequest(`${key} must be a non-empty string`);
  return value;
}

export function integerIn(parent: JsonObject, key: string): number {
  const value = parent[key];
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw badRequest(`${key} must be an integer`);
  return value;
}

export function asLong(value: unknown, what: string): Long {
  if (typeof value === "bigint" && BigInt.asIntN(64, value) === value) return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw badRequest(`${what} must be a 64-bit integer`);
}

export function longIn(parent: JsonObject, key: string): Long {
  return asLong(parent[key], key);
}

/** JSON null counts as absent. */
export function optionalLongIn(parent: JsonObject, key: string): Long | null {
  return parent[key] == null ? null : longIn(parent, key);
}

export function booleanIn(parent: JsonObject, key: string): boolean {
  const value = parent[key] ?? false;
  if (typeof value !== "boolean") throw badRequest(`${key} must be true or false`);
  return value;
}

export function stringsIn(parent: JsonObject, key: string): string[] {
  return arrayIn(parent, key).map((value) => {
    if (typeof value !== "string") throw badRequest(`${key} must hold strings only`);
    return value;
  });
}

/** Absent means empty. */
export function stringMapIn(parent: JsonObject, key: string): Record<string, string> {
  const map = parent[key] == null ? {} : objectIn(parent, key);
  for (const [name, value] of Object.entries(map)) {
    if (typeof value !== "string") throw badRequest(`${key}.${name} must be a string`);
  }
  return { ...map } as Record<string, string>;
}
