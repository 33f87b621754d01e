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
 * Table metadata to and from its file (spec, appendix C). What a commit costs must not grow with the number of commits
 * before it, although the file lists them all. Lists that only grow at the end are therefore formatted in blocks:
 * successive versions of the metadata share the items as objects, so a block's bytes are made once.
 */
const GROWING_LISTS = new Set(["snapshots", "snapshot-log"]);

interface Block {
  items: readonly unknown[];
  is_first: boolean;
  /** Items in JSON; a comma in front unless they begin the list. */
  bytes: Uint8Array;
}

/**
 * A snapshot takes about 500 bytes: few enough to join again those after the last full block, many enough to copy fast.
 */
const BLOCK_LENGTH = 64;
const block_of_first = new WeakMap<object, Block>();

/**
 * The file's bytes, in parts to be joined. Those of blocks are the same objects in every version: not to be changed.
 */
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

/** A block is found again by its first item, if the others, and whether any came before, are the same too. */
function blockAt(items: readonly unknown[], start: number): Block {
  const own = items.slice(start, start + BLOCK_LENGTH);
  const is_first = start === 0;
  const cached = block_of_first.get(own[0] as object);
  if (cached?.is_first === is_first && cached.items.every((item, index) => item === own[index])) return cached;
  // Not Buffer.from: short bytes would be a view of Node's pool, all of which would be kept with them.
  const bytes = new Uint8Array(Buffer.from(listText(items.slice(0, start + BLOCK_LENGTH), start)));
  const block = { items: own, is_first, bytes };
  block_of_first.set(own[0] as object, block);
  for (const item of own) text_of_item.delete(item as object);
  return block;
}

/** Items from `start` on, with a comma in front where others precede them. */
function listText(items: readonly unknown[], start: number): string {
  const texts = items.slice(start).map(itemText);
  return start > 0 && texts.length > 0 ? `,${texts.join(",")}` : texts.join(",");
}

const text_of_item = new WeakMap<object, string>();

/** Items outside of full blocks go into every version again, those of the metadata log among them. */
function itemText(item: unknown): string {
  if (typeof item !== "object" || item === null) return formatJson(item);
  const known = text_of_item.get(item);
  if (known !== undefined) return known;
  const text = formatJson(item);
  text_of_item.set(item, text);
  return text;
}

/** What readers of v1 look for in place of the lists. */
function legacyFields(metadata: TableMetadata): JsonObject {
  return {
    schema: schemaOf(metadata, metadata["current-schema-id"]),
    "partition-spec": specOf(metadata, metadata["default-spec-id"])?.fields,
  };
}

/** Metadata of a table with hundreds of thousands of snapshots fits, compressed or not. */
export const MAX_METADATA_BYTES = 256 * 1024 * 1024;

const GZIP_MAGIC = [0x1f, 0x8b];

/** Throws INVALID_REQUEST for bytes that are no metadata of a table; the message never quotes them. */
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

/** Fills in what older writers leave out (spec, appendix C: optional fields, and v1's single schema and spec). */
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
