import { gunzipSync } from "node:zlib";
import { badRequest } from "../errors.ts";
import { formatJson, parseJson } from "../json.ts";
import type { TableMetadata } from "../model.ts";
import {
  arrayIn,
  asObject,
  integerIn,
  longIn,
  optionalLongIn,
  stringIn,
  stringMapIn,
  type JsonObject,
} from "../shape.ts";
import { schemaOf, specOf } from "./draft.ts";
import { NEWEST_FORMAT_VERSION } from "./updates.ts";

/**
 * Formats and parses table metadata (spec, appendix C). The cost of a commit must not grow with the number of earlier
 * commits, although the file lists all of them. Lists that only grow at the end are therefore formatted in blocks:
 * successive versions of the metadata share the items as objects, so each block is formatted once.
 */
const GROWING_LISTS = new Set(["snapshots", "snapshot-log"]);

interface Block {
  items: readonly unknown[];
  is_first: boolean;
  /** Items in JSON, preceded by a comma unless they begin the list. */
  bytes: Uint8Array;
}

/**
 * Items per block. A snapshot takes about 500 bytes: the items after the last full block are few enough to format
 * again, and blocks are large enough to copy fast.
 */
const BLOCK_LENGTH = 64;
const block_of_first = new WeakMap<object, Block>();

/** The file's bytes as chunks to concatenate. All versions share the chunks of blocks, so they must not be changed. */
export function formatMetadata(metadata: TableMetadata): Uint8Array[] {
  const legacy = metadata["format-version"] === 1 ? legacyFields(metadata) : {};
  const members = Object.entries({ ...metadata, ...legacy }).filter(([, value]) => value !== undefined);
  const parts: Uint8Array[] = [];
  let text = "";
  for (const [index, [key, value]] of members.entries()) {
    text += `${index === 0 ? "{" : ","}${JSON.stringify(key)}:`;
    if (!Array.isArray(value)) {
      text += formatJson(value);
      continue;
    }
    const items = value as unknown[];
    const blocks = GROWING_LISTS.has(key) ? fullBlocks(items) : [];
    text += "[";
    if (blocks.length > 0) {
      parts.push(Buffer.from(text), ...blocks.map(({ bytes }) => bytes));
      text = "";
    }
    text += `${listText(items, blocks.length * BLOCK_LENGTH)}]`;
  }
  parts.push(Buffer.from(`${text}}`));
  return parts;
}

function fullBlocks(items: readonly unknown[]): Block[] {
  return Array.from({ length: Math.floor(items.length / BLOCK_LENGTH) }, (_, index) =>
    blockAt(items, index * BLOCK_LENGTH),
  );
}

/**
 * The cached block of the first item, if the other items are the same and it also begins, or also does not begin, the
 * list.
 */
function blockAt(items: readonly unknown[], start: number): Block {
  const own = items.slice(start, start + BLOCK_LENGTH);
  const is_first = start === 0;
  const cached = block_of_first.get(own[0] as object);
  if (cached?.is_first === is_first && cached.items.every((item, index) => item === own[index])) return cached;
  // Not Buffer.from: short results would be views that retain Node's buffer pool.
  const bytes = new Uint8Array(Buffer.from(listText(items.slice(0, start + BLOCK_LENGTH), start)));
  const block = { items: own, is_first, bytes };
  block_of_first.set(own[0] as object, block);
  for (const item of own) text_of_item.delete(item as object);
  return block;
}

/** Items from `start` on, preceded by a comma if others come before them. */
function listText(items: readonly unknown[], start: number): string {
  const texts = items.slice(start).map(itemText);
  return start > 0 && texts.length > 0 ? `,${texts.join(",")}` : texts.join(",");
}

const text_of_item = new WeakMap<object, string>();

/** Caches the text of items outside full blocks, including the metadata log's, because every version repeats them. */
function itemText(item: unknown): string {
  if (typeof item !== "object" || item === null) return formatJson(item);
  const known = text_of_item.get(item);
  if (known !== undefined) return known;
  const text = formatJson(item);
  text_of_item.set(item, text);
  return text;
}

/** Fields that readers of v1 use instead of the lists. */
function legacyFields(metadata: TableMetadata): JsonObject {
  return {
    schema: schemaOf(metadata, metadata["current-schema-id"]),
    "partition-spec": specOf(metadata, metadata["default-spec-id"])?.fields,
  };
}

/** Limit on the size, compressed or not; enough for hundreds of thousands of snapshots. */
export const MAX_METADATA_BYTES = 256 * 1024 * 1024;

const GZIP_MAGIC = [0x1f, 0x8b];

/** Throws INVALID_REQUEST if the bytes are not a table's metadata; the message never quotes them. */
export function parseMetadata(bytes: Uint8Array, location: string): TableMetadata {
  let value: unknown;
  try {
    const is_gzipped = bytes[0] === GZIP_MAGIC[0] && bytes[1] === GZIP_MAGIC[1];
    value = parseJson(
      new TextDecoder("utf-8", { fatal: true }).decode(
        is_gzipped ? gunzipSync(bytes, { maxOutputLength: MAX_METADATA_BYTES }) : bytes,
      ),
    );
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
  for (const list of ["schemas", "partition-specs", "sort-orders", "snapshots", "snapshot-log", "metadata-log"])
    arrayIn(metadata, list);
  return metadata as unknown as TableMetadata;
}

/** Adds fields that older writers omit (spec, appendix C: optional fields, and v1's single schema and spec). */
function withDefaults(metadata: JsonObject): JsonObject {
  const format_version = integerIn(metadata, "format-version");
  if (format_version < 1 || format_version > NEWEST_FORMAT_VERSION)
    throw badRequest(`Unsupported format version: v${format_version}`);
  const { schema, "partition-spec": spec_fields, ...rest } = metadata;
  const current_id = optionalLongIn(metadata, "current-snapshot-id");
  const has_current = current_id !== null && current_id !== -1;
  const main = has_current ? { main: { "snapshot-id": current_id, type: "branch" } } : {};
  return {
    "last-sequence-number": 0,
    ...(schema === undefined
      ? {}
      : { "current-schema-id": 0, schemas: [{ "schema-id": 0, ...asObject(schema, "schema") }] }),
    ...(spec_fields === undefined
      ? {}
      : { "default-spec-id": 0, "partition-specs": [{ "spec-id": 0, fields: spec_fields }] }),
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
