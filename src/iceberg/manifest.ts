import type { Long, PartitionSpec, Schema } from "./model.ts";
import { OperatingError } from "../base/errors.ts";
import { formatJson, parseJson } from "./json.ts";
import { decodeAvro, encodeAvro } from "./avro.ts";
import { decodeDecimal, encodeFixedDecimal, type SingleValue } from "./bounds.ts";
import {
  MANIFEST_CONTENT,
  STATUS,
  type ByColumn,
  type DataFile,
  type ManifestEntry,
  type ManifestFile,
  type PartitionTuple,
} from "./manifest-model.ts";
import { avroName, decimalBytes, fieldNames, manifestSchema } from "./manifest-schema.ts";
import { partitionColumns, type PartitionColumn } from "./transform.ts";

export interface ManifestKind {
  schema: Schema;
  spec: PartitionSpec;
  content: number;
}

type Pair<T> = { key: number; value: T };
type Raw = Record<string, unknown>;

const NAMES = fieldNames(manifestSchema([]));

/** The bytes of a manifest; all its files have the same spec and content. */
export function encodeManifest(kind: ManifestKind, entries: readonly ManifestEntry[]): Uint8Array {
  const columns = partitionColumns(kind.spec, kind.schema);
  const records = entries.map((entry) => ({ ...entry, data_file: encodeDataFile(entry.data_file, columns) }));
  return encodeAvro(manifestSchema(columns), records, {
    schema: formatJson(kind.schema),
    "schema-id": String(kind.schema["schema-id"] ?? 0),
    "partition-spec": formatJson(kind.spec.fields),
    "partition-spec-id": String(kind.spec["spec-id"] ?? 0),
    "format-version": "2",
    content: kind.content === MANIFEST_CONTENT.data ? "data" : "deletes",
  });
}

/**
 * The entries of a manifest of any writer, including deleted ones, with the values that they inherit from the list
 * (spec, "Sequence Number Inheritance"). The spec must be the one that the list names, and the schema must contain its
 * columns.
 */
export function decodeManifest(
  bytes: Uint8Array,
  manifest: ManifestFile,
  kind: Pick<ManifestKind, "schema" | "spec">,
  { is_spec_checked = false }: ReadManifestOptions = {},
): ManifestEntry[] {
  const columns = partitionColumns(kind.spec, kind.schema);
  const names = new Map([
    ...NAMES,
    ...columns.map(({ field_id }): [number, string] => [field_id, partitionKey(field_id)]),
  ]);
  const { metadata, records } = decodeAvro(bytes, names);
  if (is_spec_checked) checkSpec(metadata.get("partition-spec"), kind.spec);
  return records.map((record) => {
    const status = record["status"] as number;
    const inherited = status === STATUS.added ? manifest.sequence_number : 0;
    return {
      status,
      snapshot_id: (record["snapshot_id"] ?? manifest.added_snapshot_id) as Long,
      sequence_number: (record["sequence_number"] ?? inherited) as Long,
      file_sequence_number: (record["file_sequence_number"] ?? inherited) as Long,
      data_file: decodeDataFile(record["data_file"] as Raw, columns),
    };
  });
}

export interface ReadManifestOptions {
  /** Throws INVALID_AVRO unless the table metadata has the spec by which the files were written. */
  is_spec_checked?: boolean;
}

/** Compares the spec in the file's header, which every writer must include (spec, "Manifests"), with the metadata's. */
function checkSpec(written: string | undefined, { fields }: PartitionSpec): void {
  if (written === undefined) return;
  const keys = (list: PartitionSpec["fields"]) =>
    list.map(({ transform, "source-id": source, "field-id": id }) => `${transform} of ${source} as ${id ?? "any"}`);
  const found = keys(parseJson(written) as PartitionSpec["fields"]).join(", ");
  const wanted = keys(fields).join(", ");
  if (found === wanted) return;
  const message = `it is partitioned by ${found || "nothing"}, and the table metadata names ${wanted || "nothing"}`;
  throw new OperatingError("INVALID_AVRO", message, { next_step: "Restore the table metadata." });
}

const partitionKey = (field_id: number): string => `p${field_id}`;

function encodeDataFile(file: DataFile, columns: readonly PartitionColumn[]): Raw {
  return {
    ...file,
    partition: Object.fromEntries(
      columns.map((column) => [
        avroName(column.name),
        encodeValue(column.type, file.partition.get(column.field_id) ?? null),
      ]),
    ),
    column_sizes: toPairs(file.column_sizes),
    value_counts: toPairs(file.value_counts),
    null_value_counts: toPairs(file.null_value_counts),
    nan_value_counts: toPairs(file.nan_value_counts),
    lower_bounds: toPairs(asBuffers(file.lower_bounds)),
    upper_bounds: toPairs(asBuffers(file.upper_bounds)),
    key_metadata: file.key_metadata === null ? null : Buffer.from(file.key_metadata),
  };
}

function decodeDataFile(raw: Raw, columns: readonly PartitionColumn[]): DataFile {
  const tuple = raw["partition"] as Raw;
  const partition: PartitionTuple = new Map(
    columns.map(({ field_id, type }) => [
      field_id,
      decodeValue(type, tuple[partitionKey(field_id)] as SingleValue | null | undefined),
    ]),
  );
  return {
    content: (raw["content"] as number | undefined) ?? 0,
    file_path: raw["file_path"] as string,
    file_format: (raw["file_format"] as string).toUpperCase(),
    partition,
    record_count: raw["record_count"] as Long,
    file_size_in_bytes: raw["file_size_in_bytes"] as Long,
    column_sizes: fromPairs(raw["column_sizes"]),
    value_counts: fromPairs(raw["value_counts"]),
    null_value_counts: fromPairs(raw["null_value_counts"]),
    nan_value_counts: fromPairs(raw["nan_value_counts"]),
    lower_bounds: fromPairs(raw["lower_bounds"]),
    upper_bounds: fromPairs(raw["upper_bounds"]),
    key_metadata: (raw["key_metadata"] as Uint8Array | null | undefined) ?? null,
    split_offsets: (raw["split_offsets"] as Long[] | null | undefined) ?? null,
    equality_ids: (raw["equality_ids"] as number[] | null | undefined) ?? null,
    sort_order_id: (raw["sort_order_id"] as number | null | undefined) ?? null,
    referenced_data_file: (raw["referenced_data_file"] as string | null | undefined) ?? null,
  };
}

/** Decimals are unscaled integers here and `fixed` in Avro; all other types are equal in both. */
function encodeValue(type: string, value: SingleValue | null): unknown {
  if (value === null) return null;
  const decimal = /^decimal\((\d+)/.exec(type);
  if (decimal !== null) return encodeFixedDecimal(BigInt(value as Long), decimalBytes(Number(decimal[1])));
  return value instanceof Uint8Array ? Buffer.from(value) : value;
}

function decodeValue(type: string, value: SingleValue | null | undefined): SingleValue | null {
  if (value === null || value === undefined) return null;
  return type.startsWith("decimal") ? decodeDecimal(value as Uint8Array) : value;
}

function toPairs<T>(map: ByColumn<T> | null): Pair<T>[] | null {
  return map === null ? null : Array.from(map, ([key, value]) => ({ key, value }));
}

function fromPairs<T>(pairs: unknown): Map<number, T> | null {
  return pairs == null ? null : new Map((pairs as Pair<T>[]).map(({ key, value }) => [key, value]));
}

function asBuffers(map: ByColumn<Uint8Array> | null): Map<number, Buffer> | null {
  return map === null ? null : new Map(Array.from(map, ([key, value]) => [key, Buffer.from(value)]));
}
