import { unsupported } from "../../iceberg/errors.ts";
import type { Field, TableMetadata } from "../../iceberg/model.ts";
import { arrayIn, asObject, stringIn } from "../../iceberg/shape.ts";
import type { HiveColumn } from "./service.ts";

/** Hive's names of Iceberg's primitive types, as in Iceberg's HiveSchemaUtil. */
const PRIMITIVES: Record<string, string> = {
  boolean: "boolean",
  int: "int",
  long: "bigint",
  float: "float",
  double: "double",
  date: "date",
  time: "string",
  string: "string",
  uuid: "string",
  binary: "binary",
  timestamp: "timestamp",
  timestamptz: "timestamp with local time zone",
  timestamp_ns: "timestamp",
  timestamptz_ns: "timestamp with local time zone",
};

/** The columns of the current schema. Throws UNSUPPORTED for a type that Hive lacks. */
export function hiveColumns(metadata: TableMetadata): HiveColumn[] {
  const schema = metadata.schemas.find((each) => each["schema-id"] === metadata["current-schema-id"]);
  return (schema?.fields ?? []).map(({ name, type, doc }: Field) => ({
    name,
    type: hiveType(type),
    ...(doc === undefined ? {} : { comment: doc }),
  }));
}

function hiveType(type: unknown): string {
  if (typeof type === "string") return hivePrimitive(type);
  const nested = asObject(type, "type");
  const kind = stringIn(nested, "type");
  if (kind === "list") return `array<${hiveType(nested["element"])}>`;
  if (kind === "map") return `map<${hiveType(nested["key"])},${hiveType(nested["value"])}>`;
  const fields = arrayIn(nested, "fields").map((field) => asObject(field, "field"));
  return `struct<${fields.map((field) => `${stringIn(field, "name")}:${hiveType(field["type"])}`).join(",")}>`;
}

function hivePrimitive(type: string): string {
  const [, precision, scale] = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(type) ?? [];
  if (precision !== undefined) return `decimal(${precision},${scale})`;
  if (/^fixed\[\d+\]$/.test(type)) return "binary";
  const name = PRIMITIVES[type];
  if (name === undefined) throw unsupported(`The Hive Metastore has no type for Iceberg's ${type}`);
  return name;
}
