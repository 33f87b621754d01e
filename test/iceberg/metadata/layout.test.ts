import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TableMetadata, Update } from "../../../src/iceberg/model.ts";
import { PRICE_SCHEMA } from "../../catalog/lake.ts";
import { after, newTable } from "./fixtures.ts";

const wider = {
  ...PRICE_SCHEMA,
  fields: [...PRICE_SCHEMA.fields, { id: 4, name: "volume", required: false, type: "double" }],
};
const spec = (...fields: object[]): Update => ({ action: "add-spec", spec: { fields } });
const order = (...fields: object[]): Update => ({ action: "add-sort-order", "sort-order": { "order-id": 9, fields } });
const by_coin = { transform: "identity", "source-id": 1, direction: "asc", "null-order": "nulls-first" };

describe("schema updates", () => {
  test("a new schema gets the next id instead of the one it claims, and -1 refers to it", () => {
    const table = after(
      newTable(),
      { action: "add-schema", schema: { ...wider, "schema-id": 77 } },
      { action: "set-current-schema", "schema-id": -1 },
    );
    assert.deepEqual(
      table.schemas.map((schema) => schema["schema-id"]),
      [0, 1],
    );
    assert.equal(table["current-schema-id"], 1);
    assert.equal(table["last-column-id"], 4);
  });

  test("a schema that is added again keeps its id, even with its keys in another order", () => {
    const table = after(
      newTable(),
      { action: "add-schema", schema: wider },
      { action: "set-current-schema", "schema-id": -1 },
    );
    const reordered = {
      fields: PRICE_SCHEMA.fields.map(({ id, name, required, type }) => ({ type, required, name, id })),
      type: "struct",
    };
    const back = after(
      table,
      { action: "add-schema", schema: reordered },
      { action: "set-current-schema", "schema-id": -1 },
    );
    assert.equal(back["current-schema-id"], 0);
    assert.equal(back.schemas.length, 2);
  });

  test("the last column id never decreases", () => {
    const narrow = { type: "struct", fields: PRICE_SCHEMA.fields.slice(0, 1) };
    assert.equal(after(newTable(), { action: "add-schema", schema: narrow, "last-column-id": 1 })["last-column-id"], 3);
    assert.equal(
      after(newTable(), { action: "add-schema", schema: wider, "last-column-id": 12 })["last-column-id"],
      12,
    );
  });

  test("other schemas can be removed, the current one cannot", () => {
    const table = after(
      newTable(),
      { action: "add-schema", schema: wider },
      { action: "set-current-schema", "schema-id": -1 },
    );
    assert.deepEqual(
      after(table, { action: "remove-schemas", "schema-ids": [0, 5] }).schemas.map((schema) => schema["schema-id"]),
      [1],
    );
    assert.throws(() => after(table, { action: "remove-schemas", "schema-ids": [1] }), { code: "INVALID_REQUEST" });
  });
});

describe("partition spec updates", () => {
  test("a new spec gets the next id, and its fields get ids above all earlier ones", () => {
    const table = after(newTable(), spec({ name: "coin_bucket", transform: "bucket[16]", "source-id": 1 }), {
      action: "set-default-spec",
      "spec-id": -1,
    });
    assert.deepEqual(table["partition-specs"].at(-1), {
      "spec-id": 1,
      fields: [{ name: "coin_bucket", transform: "bucket[16]", "source-id": 1, "field-id": 1001 }],
    });
    assert.equal(table["default-spec-id"], 1);
    assert.equal(table["last-partition-id"], 1001);
  });

  test("a spec that is added again keeps its id", () => {
    const table = after(newTable(), spec(), { action: "set-default-spec", "spec-id": -1 });
    const back = after(table, spec({ name: "price_date", transform: "identity", "source-id": 3, "field-id": 1000 }), {
      action: "set-default-spec",
      "spec-id": -1,
    });
    assert.equal(back["default-spec-id"], 0);
    assert.equal(back["partition-specs"].length, 2);
  });

  test("a field equal to one of an older spec reuses its id", () => {
    const table = after(
      newTable(),
      spec(
        { name: "coin", transform: "identity", "source-id": 1 },
        { name: "by_date", transform: "identity", "source-id": 3 },
      ),
    );
    assert.deepEqual(
      table["partition-specs"].at(-1)?.fields.map((field) => field["field-id"]),
      [1001, 1000],
    );
  });

  test("other specs can be removed, the default one cannot", () => {
    const table = after(newTable(), spec());
    assert.equal(after(table, { action: "remove-partition-specs", "spec-ids": [1] })["partition-specs"].length, 1);
    assert.throws(() => after(table, { action: "remove-partition-specs", "spec-ids": [0] }), {
      code: "INVALID_REQUEST",
    });
  });
});

describe("sort order updates", () => {
  test("sort orders are numbered from 1, unsorted is 0, and an order that is added again keeps its id", () => {
    const table = after(newTable(), order(by_coin), { action: "set-default-sort-order", "sort-order-id": -1 });
    assert.equal(table["default-sort-order-id"], 1);
    assert.deepEqual(table["sort-orders"].at(-1), { "order-id": 1, fields: [by_coin] });
    const again = after(table, order(), order(by_coin), { action: "set-default-sort-order", "sort-order-id": -1 });
    assert.equal(again["sort-orders"].length, 2);
    assert.equal(
      after(table, order(), { action: "set-default-sort-order", "sort-order-id": -1 })["default-sort-order-id"],
      0,
    );
  });
});

const field = (extra: object) => ({
  type: "struct",
  fields: [...PRICE_SCHEMA.fields, { id: 9, name: "x", required: false, type: "int", ...extra }],
});
const REJECTED: Record<string, Update[]> = {
  "-1 where no schema was added": [{ action: "set-current-schema", "schema-id": -1 }],
  "-1 where no spec was added": [{ action: "set-default-spec", "spec-id": -1 }],
  "-1 where no sort order was added": [{ action: "set-default-sort-order", "sort-order-id": -1 }],
  "an unknown schema as current": [{ action: "set-current-schema", "schema-id": 4 }],
  "an unknown spec as default": [{ action: "set-default-spec", "spec-id": 4 }],
  "an unknown sort order as default": [{ action: "set-default-sort-order", "sort-order-id": 4 }],
  "add-schema without a schema": [{ action: "add-schema" }],
  "a type that does not exist": [{ action: "add-schema", schema: field({ type: "money" }) }],
  "a nested type that does not exist": [{ action: "add-schema", schema: field({ type: { type: "bag" } }) }],
  "a type newer than the table's format": [{ action: "add-schema", schema: field({ type: "timestamp_ns" }) }],
  "a default newer than the table's format": [{ action: "add-schema", schema: field({ "initial-default": 5 }) }],
  "a field id used twice": [{ action: "add-schema", schema: field({ id: 1 }) }],
  "a column name used twice": [{ action: "add-schema", schema: field({ name: "coin" }) }],
  "a row identifier that is optional": [
    { action: "add-schema", schema: { ...PRICE_SCHEMA, "identifier-field-ids": [1] } },
  ],
  "a row identifier that is unknown": [
    { action: "add-schema", schema: { ...PRICE_SCHEMA, "identifier-field-ids": [70] } },
  ],
  "a schema without the partition column": [
    { action: "add-schema", schema: { type: "struct", fields: PRICE_SCHEMA.fields.slice(0, 2) } },
    { action: "set-current-schema", "schema-id": -1 },
  ],
  "a spec over an unknown column": [spec({ name: "p", transform: "identity", "source-id": 40 })],
  "a spec with an unknown transform": [spec({ name: "p", transform: "week", "source-id": 3 })],
  "a spec whose transform does not take the type": [spec({ name: "p", transform: "hour", "source-id": 3 })],
  "a bucket transform with zero buckets": [spec({ name: "p", transform: "bucket[0]", "source-id": 1 })],
  "a partition named like another column": [spec({ name: "coin", transform: "bucket[4]", "source-id": 1 })],
  "a partition name used twice": [
    spec({ name: "p", transform: "year", "source-id": 3 }, { name: "p", transform: "bucket[4]", "source-id": 1 }),
  ],
  "a redundant partition field": [
    spec({ name: "p", transform: "bucket[4]", "source-id": 1 }, { name: "q", transform: "bucket[8]", "source-id": 1 }),
  ],
  "a partition field id used twice": [
    spec(
      { name: "p", transform: "year", "source-id": 3, "field-id": 1005 },
      { name: "q", transform: "bucket[8]", "source-id": 1, "field-id": 1005 },
    ),
  ],
  "a sort field for an unknown column": [order({ ...by_coin, "source-id": 40 })],
  "a sort field with an invalid direction": [order({ ...by_coin, direction: "up" })],
  "a sort field with an invalid null order": [order({ ...by_coin, "null-order": "nulls-never" })],
};

describe("rejected layouts", () => {
  for (const [what, updates] of Object.entries(REJECTED)) {
    test(what, () => {
      assert.throws(() => after(newTable(), ...updates), { code: "INVALID_REQUEST" });
    });
  }

  test("a schema with 100 levels of nesting", () => {
    let type: unknown = "int";
    for (let depth = 0; depth < 100; depth += 1)
      type = { type: "list", "element-id": depth + 100, element: type, "element-required": false };
    assert.throws(() => after(newTable(), { action: "add-schema", schema: field({ type }) }), {
      code: "INVALID_REQUEST",
    });
  });
});

test("format version 3 accepts the newer types and column defaults", () => {
  const table: TableMetadata = after(
    newTable(),
    { action: "upgrade-format-version", "format-version": 3 },
    { action: "add-schema", schema: field({ type: "timestamptz_ns", "initial-default": "2020-01-01T00:00:00+00:00" }) },
  );
  assert.equal(table.schemas.length, 2);
  assert.equal(table["next-row-id"], 0);
});
