import { gunzipSync } from "node:zlib";
import { badRequest } from "../errors.ts";
import { formatJson, parseJson } from "../json.ts";
import type { TableMetadata } from "../model.ts";
import { arrayIn, asObject, integerIn, longIn, optionalLongIn, stringIn, stringMapIn, type JsonObject } from "../shape.ts";
import { schemaOf, specOf } from "./draft.ts";
import { NEWEST_FORMAT_VERSION } from "./updates.ts";

/**
 * Table metadata to and from its file (spec, appendix C). A table's snapshots, log entries and the like never change once made,
 * and successive versions of the metadata share them, so the text of each is made once: what a commit costs must not grow
 * with the number of commits before it.
 */
const text_of = new WeakMap<object, string>();

const SHARED_LISTS = new Set(["snapshots", "snapshot-log", "metadata-log", "statistics", "partition-statistics"]);

function sharedText(item: object): string {
  let text = text_of.get(item);
  if (text === undefined) {
    text = formatJson(item);
    text_of.set(item, text);
  }
  return text;
}

export function formatMetadata(metadata: TableMetadata): string {
  const legacy = metadata["format-version"] === 1 ? legacyFields(metadata) : {};
  const members = Object.entries({ ...metadata, ...legacy }).flatMap(([key, value]) => {
    if (value === undefined) return [];
    const text = SHARED_LISTS.has(key) && Array.isArray(value) ? `[${value.map(sharedText).join(",")}]` : formatJson(value);
    return [`${JSON.stringify(key)}:${text}`];
  });
  return `{${members.join(",")}}`;
}

/** What readers of v1 look for in place of the lists. */
function legacyFields(metadata: TableMetadata): JsonObject {
  return {
    schema: schemaOf(metadata, metadata["current-schema-id"]),
    "partition-spec": specOf(metadata, metadata["default-spec-id"])?.fields,
  };
}

const GZIP_MAGIC = [0x1f, 0x8b];

/** Throws BAD_REQUEST for bytes that are no metadata of a table; the message never quotes them. */
export function parseMetadata(bytes: Uint8Array, location: string): TableMetadata {
  let value: unknown;
  try {
    const is_gzipped = bytes[0] === GZIP_MAGIC[0] && bytes[1] === GZIP_MAGIC[1];
    value = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(is_gzipped ? gunzipSync(bytes) : bytes));
  } catch (error) {
    throw badRequest(`${location} holds no JSON`, error);
  }
  const metadata = withDefaults(asObject(value, location));
  integerIn(metadata, "current-schema-id");
  integerIn(metadata, "default-spec-id");
  integerIn(metadata, "last-column-id");
  longIn(metadata, "last-updated-ms");
  stringIn(metadata, "table-uuid");
  stringIn(metadata, "location");
  for (const list of ["schemas", "partition-specs", "sort-orders", "snapshots", "snapshot-log", "metadata-log"]) arrayIn(metadata, list);
  return metadata as unknown as TableMetadata;
}

/** Fills in what older writers leave out (spec, appendix C: optional fields, and v1's single schema and spec). */
function withDefaults(metadata: JsonObject): JsonObject {
  const format_version = integerIn(metadata, "format-version");
  if (format_version < 1 || format_version > NEWEST_FORMAT_VERSION) throw badRequest(`Unsupported format version: v${format_version}`);
  const { schema, "partition-spec": spec_fields, ...rest } = metadata;
  const current_id = optionalLongIn(metadata, "current-snapshot-id");
  const has_current = current_id !== null && current_id !== -1;
  const main = has_current ? { main: { "snapshot-id": current_id, type: "branch" } } : {};
  return {
    "last-sequence-number": 0,
    ...(schema === undefined ? {} : { "current-schema-id": 0, schemas: [{ "schema-id": 0, ...asObject(schema, "schema") }] }),
    ...(spec_fields === undefined ? {} : { "default-spec-id": 0, "partition-specs": [{ "spec-id": 0, fields: spec_fields }] }),
    "last-partition-id": 999,
    "default-sort-order-id": 0,
    "sort-orders": [{ "order-id": 0, fields: [] }],
    snapshots: [],
    "snapshot-log": [],
    "metadata-log": [],
    refs: main,
    ...rest,
    properties: stringMapIn(metadata, "properties"),
    "current-snapshot-id": has_current ? current_id : null,
  };
}
