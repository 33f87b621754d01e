import assert from "node:assert/strict";
import { test } from "node:test";
import type { AvroSchema } from "../../src/iceberg/avro.ts";
import { decodeAvro, encodeAvro } from "../../src/iceberg/avro.ts";
import { CONTENT } from "../../src/iceberg/manifest-model.ts";
import { MANIFEST_LIST_SCHEMA, manifestSchema } from "../../src/iceberg/manifest-schema.ts";
import {
  DELETE_FILE_PATH_COLUMN,
  filesIn,
  manifestsIn,
  relocateManifest,
  relocateManifestList,
  relocateMetadata,
} from "../../src/iceberg/relocate.ts";
import type { TableMetadata } from "../../src/iceberg/model.ts";

const OLD = "file:///old/warehouse";
const locate = (location: string): string =>
  location.startsWith(`${OLD}/`) ? `file:///new${location.slice("file:///old".length)}` : location;

type Fields = Extract<AvroSchema, { fields?: unknown }>;

/** A manifest of a later version's writer: with unknown fields at both levels, under other names. */
function foreignManifest(entries: readonly object[]): Uint8Array {
  const schema = structuredClone(manifestSchema([{ field_id: 1000, name: "day", type: "date" }])) as Fields;
  const data_file = schema.fields?.find(({ name }) => name === "data_file")?.type as Fields;
  data_file.fields?.push({ name: "first_row_id", type: ["null", "long"], default: null, "field-id": 142 });
  schema.fields?.push({ name: "of_a_later_version", type: ["null", "string"], default: null, "field-id": 9000 });
  for (const field of data_file.fields ?? []) if (field["field-id"] === 100) field.name = "path_by_another_name";
  return encodeAvro(schema, entries, { "format-version": "3", "written-by": "somebody" });
}

function entryOf(path: string, content: number, bounds: string | null): object {
  const pairs = (bound: string) => [
    { key: DELETE_FILE_PATH_COLUMN, value: Buffer.from(bound) },
    { key: 1, value: Buffer.from("kept") },
  ];
  return {
    status: 1,
    snapshot_id: 2n ** 62n,
    sequence_number: null,
    file_sequence_number: null,
    of_a_later_version: "kept",
    data_file: {
      content,
      path_by_another_name: path,
      file_format: "parquet",
      partition: { day: 20_000 },
      record_count: 3,
      file_size_in_bytes: 100,
      column_sizes: null,
      value_counts: null,
      null_value_counts: null,
      nan_value_counts: null,
      lower_bounds: bounds === null ? null : pairs(bounds),
      upper_bounds: bounds === null ? null : pairs(bounds),
      key_metadata: Buffer.from([1, 2]),
      split_offsets: [4],
      equality_ids: null,
      sort_order_id: 0,
      referenced_data_file: bounds,
      first_row_id: 7,
    },
  };
}

test("relocating a manifest changes only its locations, and keeps fields unknown to this writer", () => {
  const data = `${OLD}/gold/t/data/a.parquet`;
  const bytes = foreignManifest([
    entryOf(data, CONTENT.data, null),
    entryOf(`${OLD}/gold/t/data/d.parquet`, CONTENT.position_deletes, data),
    entryOf("s3://elsewhere/b.parquet", CONTENT.data, null),
  ]);
  const rewritten = new Map([
    [`${OLD}/gold/t/data/d.parquet`, { location: "file:///new/warehouse/gold/t/data/e.parquet", size_bytes: 99 }],
  ]);
  const relocated = relocateManifest(bytes, locate, rewritten);
  assert.deepEqual(
    filesIn(relocated).map(({ location, size_bytes, content, file_format }) => [
      location,
      size_bytes,
      content,
      file_format,
    ]),
    [
      ["file:///new/warehouse/gold/t/data/a.parquet", 100, CONTENT.data, "PARQUET"],
      ["file:///new/warehouse/gold/t/data/e.parquet", 99, CONTENT.position_deletes, "PARQUET"],
      ["s3://elsewhere/b.parquet", 100, CONTENT.data, "PARQUET"],
    ],
  );
  const text = (manifest: Uint8Array): string =>
    JSON.stringify(decodeAvro(manifest, new Map()).records, (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
  const { metadata } = decodeAvro(relocated, new Map());
  assert.deepEqual([metadata.get("written-by"), metadata.get("format-version")], ["somebody", "3"]);
  const moved = Buffer.from("file:///new/warehouse/gold/t/data/a.parquet").toJSON().data;
  const back = text(relocated)
    .replaceAll("file:///new/warehouse", OLD)
    .replace("e.parquet", "d.parquet")
    .replace('"file_size_in_bytes":99', '"file_size_in_bytes":100')
    .replaceAll(JSON.stringify(moved), JSON.stringify(Buffer.from(data).toJSON().data));
  assert.equal(back, text(bytes));
});

test("a path bound truncated too early to be relocated is dropped, and other bounds are kept", () => {
  const bytes = foreignManifest([entryOf(`${OLD}/d.parquet`, CONTENT.position_deletes, "file:///old/ware")]);
  const [record] = decodeAvro(relocateManifest(bytes, locate, new Map()), new Map()).records;
  const data_file = record?.["data_file"] as { lower_bounds: { key: number }[]; upper_bounds: { key: number }[] };
  assert.deepEqual(
    [data_file.lower_bounds, data_file.upper_bounds].map((bounds) => bounds.map(({ key }) => key)),
    [[1], [1]],
  );
});

test("relocating a manifest list sets the new manifests with their sizes", () => {
  const manifest = (path: string) => ({
    manifest_path: path,
    manifest_length: 10,
    partition_spec_id: 0,
    content: 0,
    sequence_number: 1,
    min_sequence_number: 1,
    added_snapshot_id: 1,
    added_files_count: 1,
    existing_files_count: 0,
    deleted_files_count: 0,
    added_rows_count: 1,
    existing_rows_count: 0,
    deleted_rows_count: 0,
    partitions: null,
    key_metadata: null,
  });
  const list = encodeAvro(MANIFEST_LIST_SCHEMA, [manifest("a"), manifest("b")], { "sequence-number": "1" });
  const relocated = relocateManifestList(list, new Map([["a", { location: "c", size_bytes: 2 ** 40 }]]));
  assert.deepEqual(manifestsIn(relocated), [
    { location: "c", size_bytes: 2 ** 40 },
    { location: "b", size_bytes: 10 },
  ]);
});

test("relocating table metadata moves every location, even in properties, and empties the metadata log", () => {
  const metadata = {
    location: `${OLD}/gold/t`,
    properties: { "write.data.path": `${OLD}/gold/t/elsewhere`, note: "old" },
    snapshots: [
      { "snapshot-id": 1, "manifest-list": `${OLD}/gold/t/metadata/1.avro` },
      { "snapshot-id": 2, "manifest-list": `${OLD}/gold/t/metadata/2.avro` },
    ],
    statistics: [{ "snapshot-id": 1, "statistics-path": `${OLD}/gold/t/metadata/1.stats` }],
    "metadata-log": [{ "metadata-file": `${OLD}/gold/t/metadata/0.metadata.json`, "timestamp-ms": 1 }],
    "of-a-later-version": 1,
  } as unknown as TableMetadata;
  const moved = relocateMetadata(metadata, locate, new Map([[`${OLD}/gold/t/metadata/1.avro`, "new list"]]));
  assert.deepEqual(moved, {
    location: "file:///new/warehouse/gold/t",
    properties: { "write.data.path": "file:///new/warehouse/gold/t/elsewhere", note: "old" },
    snapshots: [
      { "snapshot-id": 1, "manifest-list": "new list" },
      { "snapshot-id": 2, "manifest-list": "file:///new/warehouse/gold/t/metadata/2.avro" },
    ],
    statistics: [{ "snapshot-id": 1, "statistics-path": "file:///new/warehouse/gold/t/metadata/1.stats" }],
    "metadata-log": [],
    "of-a-later-version": 1,
  });
});
