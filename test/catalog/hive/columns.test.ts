import assert from "node:assert/strict";
import { test } from "node:test";
import { hiveColumns } from "../../../src/catalog/hive/columns.ts";
import { freshMetadata } from "../../../src/iceberg/metadata/fresh.ts";
import type { TableMetadata } from "../../../src/iceberg/model.ts";

function tableOf(...types: unknown[]): TableMetadata {
  const fields = types.map((type, index) => ({ id: index + 1, name: `c${index}`, required: false, type }));
  return freshMetadata(
    { schema: { type: "struct", fields }, location: "s3://b/t", uuid: "u", properties: { "format-version": "3" } },
    0,
  );
}

test("each primitive Iceberg type maps to a Hive type", () => {
  const words: Record<string, string> = {
    boolean: "boolean",
    int: "int",
    long: "bigint",
    "decimal(38, 18)": "decimal(38,18)",
    "fixed[16]": "binary",
    uuid: "string",
    timestamp: "timestamp",
    timestamptz: "timestamp with local time zone",
  };
  assert.deepEqual(
    hiveColumns(tableOf(...Object.keys(words))).map(({ type }) => type),
    Object.values(words),
  );
});

test("structs, lists and maps become nested Hive types", () => {
  const point = {
    type: "struct",
    fields: [
      { id: 10, name: "x", required: true, type: "double" },
      {
        id: 11,
        name: "tags",
        required: false,
        type: { type: "list", "element-id": 12, element: "string", "element-required": false },
      },
    ],
  };
  const map = { type: "map", "key-id": 13, key: "string", "value-id": 14, value: "long", "value-required": false };
  assert.deepEqual(hiveColumns(tableOf(point, map)), [
    { name: "c0", type: "struct<x:double,tags:array<string>>" },
    { name: "c1", type: "map<string,bigint>" },
  ]);
});

test("a type without a Hive equivalent is rejected, and the error names it", () => {
  const metadata = tableOf("string");
  const unknown = {
    ...metadata,
    schemas: [{ ...metadata.schemas[0]!, fields: [{ id: 1, name: "v", required: false, type: "variant" }] }],
  };
  assert.throws(() => hiveColumns(unknown), { code: "UNSUPPORTED", message: /variant/ });
});
