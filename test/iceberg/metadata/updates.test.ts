import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { freshMetadata } from "../../../src/iceberg/metadata/fresh.ts";
import type { Schema, Update } from "../../../src/iceberg/model.ts";
import { PRICE_SCHEMA } from "../../catalog/lake.ts";
import { after, deepFreeze, emptyMetadata, LOCATION, newTable, NOW_MS, tableWithSnapshots, UUID } from "./fixtures.ts";

describe("table-level updates", () => {
  test("properties are set, replaced and removed", () => {
    const table = after(
      newTable({ a: "1", b: "2" }),
      { action: "set-properties", updates: { b: "3", c: "4" } },
      { action: "remove-properties", removals: ["a", "zzz"] },
    );
    assert.deepEqual(table.properties, { b: "3", c: "4" });
  });

  test("uuid, location and format version change", () => {
    const table = after(
      newTable(),
      { action: "assign-uuid", uuid: "11111111-1111-4111-8111-111111111111" },
      { action: "set-location", location: "file:///elsewhere/" },
      { action: "upgrade-format-version", "format-version": 3 },
    );
    assert.equal(table["table-uuid"], "11111111-1111-4111-8111-111111111111");
    assert.equal(table.location, "file:///elsewhere");
    assert.equal(table["format-version"], 3);
  });

  test("encryption keys are added once and removed by id", () => {
    const key = (id: string) => ({ "key-id": id, "encrypted-key-metadata": "AAAA" });
    const add = (id: string): Update => ({ action: "add-encryption-key", "encryption-key": key(id) });
    const table = after(newTable(), add("k1"), add("k2"), add("k1"), {
      action: "remove-encryption-key",
      "key-id": "k2",
    });
    assert.deepEqual(table["encryption-keys"], [key("k1")]);
  });

  test("a snapshot has at most one statistics file", () => {
    const file = (path: string) => ({ "snapshot-id": 1, "statistics-path": path });
    const set = (path: string): Update => ({ action: "set-statistics", "snapshot-id": 1, statistics: file(path) });
    const table = after(tableWithSnapshots(1), set("file:///a"), set("file:///b"));
    assert.deepEqual(table["statistics"], [file("file:///b")]);
    assert.deepEqual(after(table, { action: "remove-statistics", "snapshot-id": 1 })["statistics"], []);
    assert.equal(after(table, { action: "remove-partition-statistics", "snapshot-id": 1 }), table);
  });

  test("the time of the last update never decreases", () => {
    const ahead = deepFreeze({ ...newTable(), "last-updated-ms": NOW_MS + 5_000 });
    assert.equal(after(ahead, { action: "set-properties", updates: { a: "1" } })["last-updated-ms"], NOW_MS + 5_000);
  });

  test("updates without effect return the same object", () => {
    const table = newTable();
    assert.equal(after(table), table);
    assert.equal(
      after(
        table,
        { action: "assign-uuid", uuid: UUID },
        { action: "set-properties", updates: {} },
        { action: "set-location", location: LOCATION },
      ),
      table,
    );
  });

  for (const bad of [
    { action: "add-view-version" },
    { action: "__proto__" },
    { action: "upgrade-format-version", "format-version": 1 },
    { action: "upgrade-format-version", "format-version": 4 },
    { action: "upgrade-format-version", "format-version": "3" },
    { action: "assign-uuid" },
    { action: "set-location", location: "" },
    { action: "set-properties", updates: { a: 1 } },
    { action: "set-properties", updates: ["a"] },
    { action: "remove-properties" },
    { action: "remove-properties", removals: [1] },
    { action: "remove-snapshots", "snapshot-ids": ["1"] },
    { action: "set-statistics" },
    { action: "add-encryption-key", "encryption-key": {} },
  ]) {
    test(`rejects as a bad request: ${JSON.stringify(bad)}`, () => {
      assert.throws(() => after(newTable(), bad), { code: "INVALID_REQUEST" });
    });
  }
});

describe("metadata of a new table", () => {
  const nested = (first_id: number): Schema => ({
    type: "struct",
    "identifier-field-ids": [first_id],
    fields: [
      { id: first_id, name: "id", required: true, type: "long" },
      {
        id: first_id + 40,
        name: "tags",
        required: false,
        type: {
          type: "map",
          "key-id": first_id + 3,
          key: "string",
          "value-id": first_id + 9,
          value: { type: "list", "element-id": first_id + 7, element: "int", "element-required": true },
          "value-required": false,
        },
      },
      {
        id: first_id + 2,
        name: "place",
        required: false,
        type: { type: "struct", fields: [{ id: first_id + 5, name: "lat", required: false, type: "double" }] },
      },
    ],
  });

  test("field ids are reassigned, those of a struct's fields before those nested in them", () => {
    const table = freshMetadata(
      deepFreeze({
        schema: nested(100),
        partition_spec: { fields: [{ name: "id_bucket", transform: "bucket[4]", "source-id": 100, "field-id": 5000 }] },
        sort_order: {
          "order-id": 3,
          fields: [{ transform: "identity", "source-id": 105, direction: "desc", "null-order": "nulls-last" }],
        },
        location: LOCATION,
        uuid: UUID,
      }),
      NOW_MS,
    );
    const [schema] = table.schemas;
    assert.deepEqual(
      schema?.fields.map((field) => field.id),
      [1, 2, 3],
    );
    assert.deepEqual(schema?.["identifier-field-ids"], [1]);
    const tags = schema?.fields[1]?.type as { "key-id": number; "value-id": number; value: { "element-id": number } };
    assert.deepEqual([tags["key-id"], tags["value-id"], tags.value["element-id"]], [4, 5, 6]);
    assert.equal(table["last-column-id"], 7);
    assert.deepEqual(table["partition-specs"], [
      { "spec-id": 0, fields: [{ name: "id_bucket", transform: "bucket[4]", "source-id": 1, "field-id": 1000 }] },
    ]);
    assert.deepEqual(table["sort-orders"], [
      {
        "order-id": 1,
        fields: [{ transform: "identity", "source-id": 7, direction: "desc", "null-order": "nulls-last" }],
      },
    ]);
  });

  test("two requests that differ only in ids give the same table", () => {
    const make = (first_id: number) =>
      freshMetadata({ schema: nested(first_id), location: LOCATION, uuid: UUID }, NOW_MS);
    assert.deepEqual(make(1), make(500));
  });

  test("the format version is taken from a property, which is not stored", () => {
    const table = newTable({ "format-version": "3", "write.format.default": "parquet" });
    assert.equal(table["format-version"], 3);
    assert.deepEqual(table.properties, { "write.format.default": "parquet" });
    assert.throws(() => newTable({ "format-version": "9" }), { code: "INVALID_REQUEST" });
    assert.throws(() => newTable({ "format-version": "two" }), { code: "INVALID_REQUEST" });
  });

  test("a creating commit must set a schema, a spec and a sort order", () => {
    const empty = emptyMetadata(LOCATION, UUID);
    assert.throws(() => after(empty, { action: "add-schema", schema: PRICE_SCHEMA }), { code: "INVALID_REQUEST" });
  });
});
