import type { AvroField, AvroSchema } from "./avro.ts";
import { OperatingError } from "../base/errors.ts";
import type { PartitionColumn } from "./transform.ts";

/** Avro schemas of manifests and manifest lists of version 2; names, types and ids as in the specification's tables. */

const required = (id: number, name: string, type: AvroSchema): AvroField => ({ name, type, "field-id": id });
const optional = (id: number, name: string, type: AvroSchema): AvroField => ({
  name,
  type: ["null", type],
  default: null,
  "field-id": id,
});

/** Avro encodes maps with integer keys as arrays of pairs (spec, appendix A). */
const pairs = (key_id: number, value_id: number, value: string): AvroSchema => ({
  type: "array",
  logicalType: "map",
  items: {
    type: "record",
    name: `k${key_id}_v${value_id}`,
    fields: [required(key_id, "key", "int"), required(value_id, "value", value)],
  },
});

function dataFileFields(partition: AvroField[]): AvroField[] {
  return [
    required(134, "content", "int"),
    required(100, "file_path", "string"),
    required(101, "file_format", "string"),
    required(102, "partition", { type: "record", name: "r102", fields: partition }),
    required(103, "record_count", "long"),
    required(104, "file_size_in_bytes", "long"),
    optional(108, "column_sizes", pairs(117, 118, "long")),
    optional(109, "value_counts", pairs(119, 120, "long")),
    optional(110, "null_value_counts", pairs(121, 122, "long")),
    optional(137, "nan_value_counts", pairs(138, 139, "long")),
    optional(125, "lower_bounds", pairs(126, 127, "bytes")),
    optional(128, "upper_bounds", pairs(129, 130, "bytes")),
    optional(131, "key_metadata", "bytes"),
    optional(132, "split_offsets", { type: "array", items: "long", "element-id": 133 }),
    optional(135, "equality_ids", { type: "array", items: "int", "element-id": 136 }),
    optional(140, "sort_order_id", "int"),
    optional(143, "referenced_data_file", "string"),
  ];
}

export function manifestSchema(columns: readonly PartitionColumn[]): AvroSchema {
  const partition = columns.map(({ field_id, name, type }) => optional(field_id, avroName(name), avroType(type)));
  return {
    type: "record",
    name: "manifest_entry",
    fields: [
      required(0, "status", "int"),
      optional(1, "snapshot_id", "long"),
      optional(3, "sequence_number", "long"),
      optional(4, "file_sequence_number", "long"),
      required(2, "data_file", { type: "record", name: "r2", fields: dataFileFields(partition) }),
    ],
  };
}

export const MANIFEST_LIST_SCHEMA: AvroSchema = {
  type: "record",
  name: "manifest_file",
  fields: [
    required(500, "manifest_path", "string"),
    required(501, "manifest_length", "long"),
    required(502, "partition_spec_id", "int"),
    required(517, "content", "int"),
    required(515, "sequence_number", "long"),
    required(516, "min_sequence_number", "long"),
    required(503, "added_snapshot_id", "long"),
    required(504, "added_files_count", "int"),
    required(505, "existing_files_count", "int"),
    required(506, "deleted_files_count", "int"),
    required(512, "added_rows_count", "long"),
    required(513, "existing_rows_count", "long"),
    required(514, "deleted_rows_count", "long"),
    optional(507, "partitions", {
      type: "array",
      "element-id": 508,
      items: {
        type: "record",
        name: "r508",
        fields: [
          required(509, "contains_null", "boolean"),
          optional(518, "contains_nan", "boolean"),
          optional(510, "lower_bound", "bytes"),
          optional(511, "upper_bound", "bytes"),
        ],
      },
    }),
    optional(519, "key_metadata", "bytes"),
  ],
};

/** The project's field names by the field ids of these schemas. */
export function fieldNames(schema: AvroSchema, names = new Map<number, string>()): Map<number, string> {
  if (schema === null || typeof schema === "string") return names;
  if (Array.isArray(schema)) {
    for (const branch of schema) fieldNames(branch, names);
    return names;
  }
  for (const field of schema.fields ?? []) {
    if (field["field-id"] !== undefined) names.set(field["field-id"], field.name);
    fieldNames(field.type, names);
  }
  if (schema.items !== undefined) fieldNames(schema.items, names);
  return names;
}

/** Avro names consist of letters, digits and `_`; other characters become `_xHH`, as in Iceberg's writers. */
export function avroName(name: string): string {
  const escaped = name.replace(
    /[^A-Za-z0-9_]/gu,
    (character) => `_x${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}`,
  );
  return /^\d/.test(escaped) ? `_${escaped}` : escaped;
}

/** The Avro type of a primitive Iceberg type (spec, appendix A). Throws UNSUPPORTED_SPEC. */
function avroType(type: string): AvroSchema {
  const decimal = /^decimal\((\d+),\s*(\d+)\)$/.exec(type);
  if (decimal !== null) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
    return {
      type: "fixed",
      name: `decimal_${precision}_${scale}`,
      size: decimalBytes(precision),
      logicalType: "decimal",
      precision,
      scale,
    };
  }
  const fixed = /^fixed\[(\d+)\]$/.exec(type);
  if (fixed !== null) return { type: "fixed", name: `fixed_${fixed[1]}`, size: Number(fixed[1]) };
  const known: Record<string, AvroSchema> = {
    boolean: "boolean",
    int: "int",
    long: "long",
    float: "float",
    double: "double",
    string: "string",
    binary: "bytes",
    date: { type: "int", logicalType: "date" },
    time: { type: "long", logicalType: "time-micros" },
    timestamp: { type: "long", logicalType: "timestamp-micros", "adjust-to-utc": false },
    timestamptz: { type: "long", logicalType: "timestamp-micros", "adjust-to-utc": true },
    uuid: { type: "fixed", name: "uuid_fixed", size: 16, logicalType: "uuid" },
  };
  const avro = known[type];
  if (avro !== undefined) return avro;
  throw new OperatingError("UNSUPPORTED_SPEC", `A partition value of type ${type} cannot be written`, {
    next_step: "Partition by a column of one of the primitive types of format version 2.",
  });
}

/** The minimum number of bytes for every unscaled value of the precision (spec, appendix A). */
export function decimalBytes(precision: number): number {
  const largest = 10n ** BigInt(precision) - 1n;
  let size_bytes = 1;
  while (BigInt.asIntN(size_bytes * 8, largest) !== largest) size_bytes += 1;
  return size_bytes;
}
