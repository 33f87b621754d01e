import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { freshMetadata } from "../../../src/iceberg/metadata/fresh.ts";
import { applyUpdates } from "../../../src/iceberg/metadata/updates.ts";
import type { Field, Schema, TableMetadata, Update } from "../../../src/iceberg/model.ts";

const NOW_MS = 1_790_000_000_000;
const struct = (...fields: Field[]) => ({ type: "struct" as const, fields });
const field = (id: number, name: string, type: unknown, more: Record<string, unknown> = {}): Field => ({
  id,
  name,
  required: false,
  type,
  ...more,
});

function tableOf(schema: Schema, format_version = 2): TableMetadata {
  const properties = { "format-version": String(format_version) };
  return freshMetadata(
    { schema, location: "file:///w/t", uuid: "00000000-0000-4000-8000-000000000000", properties },
    NOW_MS,
  );
}
const evolve = (base: TableMetadata, schema: Schema, more: Update[] = []) =>
  applyUpdates(
    base,
    [...more, { action: "add-schema", schema }, { action: "set-current-schema", "schema-id": -1 }],
    NOW_MS,
  );

describe("column type changes", () => {
  const changes: [from: string, to: string, since: number | null][] = [
    ["int", "long", 1],
    ["float", "double", 1],
    ["decimal(10, 2)", "decimal(20,2)", 1],
    ["decimal(38, 18)", "decimal(38,18)", 1],
    ["date", "timestamp", 3],
    ["date", "timestamp_ns", 3],
    ["unknown", "string", 3],
    ["long", "int", null],
    ["double", "float", null],
    ["long", "string", null],
    ["string", "long", null],
    ["decimal(20, 2)", "decimal(10, 2)", null],
    ["decimal(20, 2)", "decimal(20, 3)", null],
    ["date", "timestamptz", null],
    ["timestamp", "timestamptz", null],
    ["string", "binary", null],
    ["int", "double", null],
  ];
  for (const [from, to, since] of changes) {
    test(`${from} to ${to} is ${since === null ? "rejected" : `allowed from format version ${since}`}`, () => {
      for (const version of from === "unknown" ? [3] : [2, 3]) {
        const may_have = to !== "timestamp_ns" || version === 3;
        const change = () => evolve(tableOf(struct(field(1, "a", from)), version), struct(field(1, "a", to)));
        if (since !== null && version >= since) assert.equal(change().schemas.length, 2);
        else
          assert.throws(change, {
            code: "INVALID_REQUEST",
            message: may_have ? /^Cannot change column type: a: / : /./,
          });
      }
    });
  }

  test("follow the same rules for the fields of a struct and the keys and values of a map", () => {
    const nested = (inner: string) => struct(field(1, "s", struct(field(2, "x", inner))));
    assert.equal(evolve(tableOf(nested("int"), 2), nested("long")).schemas.length, 2);
    assert.throws(() => evolve(tableOf(nested("int"), 2), nested("string")), { message: /s\.x: int -> string/ });
    const mapped = (key: string, value: string) =>
      struct(field(1, "m", { type: "map", "key-id": 2, key, "value-id": 3, value, "value-required": false }));
    const map = tableOf(mapped("int", "float"), 3);
    assert.equal(evolve(map, mapped("int", "double")).schemas.length, 2);
    assert.throws(() => evolve(map, mapped("int", "string")), { message: /m\.value: float -> string/ });
    assert.throws(() => evolve(map, mapped("string", "float")), { message: /m\.key: int -> string/ });
  });

  test("follow the same rules for the elements of a list, which cannot become a struct or a primitive", () => {
    const nested = (element: string) =>
      struct(field(1, "l", { type: "list", "element-id": 2, element, "element-required": false }));
    assert.equal(evolve(tableOf(nested("int")), nested("long")).schemas.length, 2);
    assert.throws(() => evolve(tableOf(nested("int")), nested("string")), {
      code: "INVALID_REQUEST",
      message: /l\.element: int -> string/,
    });
    assert.throws(() => evolve(tableOf(nested("int")), struct(field(1, "l", struct(field(2, "element", "int"))))), {
      message: /l: list -> struct/,
    });
    assert.throws(() => evolve(tableOf(nested("int")), struct(field(1, "l", "string"))), {
      message: /l: list -> string/,
    });
  });
});

describe("columns", () => {
  const base = tableOf(struct(field(1, "a", "long"), field(2, "s", struct(field(3, "x", "int")))), 3);

  test("are added with new ids; a required one needs a default value unless its struct is new", () => {
    assert.equal(evolve(base, struct(...base.schemas[0]!.fields, field(4, "b", "string")))["last-column-id"], 4);
    assert.throws(() => evolve(base, struct(...base.schemas[0]!.fields, field(4, "b", "string", { required: true }))), {
      code: "INVALID_REQUEST",
      message: "Incompatible change: cannot add required column without a default value: b",
    });
    const defaults = { required: true, "initial-default": "x", "write-default": "x" };
    assert.equal(evolve(base, struct(...base.schemas[0]!.fields, field(4, "b", "string", defaults))).schemas.length, 2);
    const inside = struct(
      field(1, "a", "long"),
      field(2, "s", struct(field(3, "x", "int"), field(4, "y", "int", { required: true }))),
    );
    assert.throws(() => evolve(base, inside), { message: /cannot add required column without a default value: s\.y/ });
    const whole = struct(...base.schemas[0]!.fields, field(4, "n", struct(field(5, "y", "int", { required: true }))));
    assert.equal(evolve(base, whole)["last-column-id"], 5, "a new struct has no old rows");
  });

  test("never reuse the id of a dropped column, but a dropped column can be restored unchanged", () => {
    const without = evolve(base, struct(base.schemas[0]!.fields[1]!));
    const reused = struct(...without.schemas[1]!.fields, field(1, "other", "long"));
    assert.throws(() => evolve(without, reused), {
      code: "INVALID_REQUEST",
      message: /field id 1 was assigned before/,
    });
    assert.equal(evolve(without, base.schemas[0]!)["current-schema-id"], 0);
  });

  test("cannot become required or move to another struct", () => {
    const [a, s] = base.schemas[0]!.fields;
    const required = struct({ ...a!, required: true }, s!);
    assert.throws(() => evolve(base, required), {
      message: "Cannot change column nullability: a: optional -> required",
    });
    assert.throws(() => evolve(base, struct(a!, s!, field(3, "x", "int"))), { code: "INVALID_REQUEST" });
    const moved = struct(a!, { ...s!, type: struct() }, field(3, "x", "int"));
    assert.throws(() => evolve(base, moved), { message: /Cannot move column s\.x to x/ });
  });

  test("can change in any way when the table is replaced", () => {
    const replaced = struct(field(1, "a", "string", { required: true }));
    const defaults = [
      { action: "set-default-spec", "spec-id": 0 },
      { action: "set-default-sort-order", "sort-order-id": 0 },
    ];
    assert.equal(evolve(base, replaced, defaults).schemas.length, 2);
    assert.throws(() => evolve(base, replaced), { code: "INVALID_REQUEST" });
    assert.equal(evolve(base, replaced, [{ action: "remove-snapshot-ref", "ref-name": "main" }]).schemas.length, 2);
  });
});
