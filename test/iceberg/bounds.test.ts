import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  decodeBound,
  encodeBound,
  encodeFixedDecimal,
  lowerStringBound,
  upperStringBound,
  type SingleValue,
} from "../../src/iceberg/bounds.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("Bounds", () => {
  const golden: [type: string, value: SingleValue, bytes: string][] = [
    ["boolean", true, "01"],
    ["boolean", false, "00"],
    ["int", -2, "feffffff"],
    ["date", 20371, "934f0000"],
    ["long", 1, "0100000000000000"],
    ["timestamptz", 1_760_000_000_000_000n, "0000ceeeb5400600"],
    ["float", 1.5, "0000c03f"],
    ["double", -0.25, "000000000000d0bf"],
    ["string", "é", "c3a9"],
    ["binary", Uint8Array.of(1, 2), "0102"],
    ["decimal(9,2)", 0n, "00"],
    ["decimal(9,2)", 127n, "7f"],
    ["decimal(9,2)", 128n, "0080"],
    ["decimal(9,2)", -128n, "80"],
    ["decimal(9,2)", -129n, "ff7f"],
  ];
  for (const [type, value, bytes] of golden) {
    it(`encode ${type} ${String(value)} as the specification says`, () =>
      assert.equal(hex(encodeBound(type, value)), bytes));
  }

  it("round-trip", () => {
    const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(
        int64,
        fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }),
        fc.double({ noNaN: true }),
        fc.string({ unit: "grapheme" }),
        (long, decimal, double, text) => {
          assert.equal(BigInt(decodeBound("long", encodeBound("long", long)) as bigint), long);
          assert.equal(BigInt(decodeBound("decimal(38,9)", encodeBound("decimal(38,9)", decimal)) as bigint), decimal);
          assert.equal(BigInt(decodeBound("decimal(38,9)", encodeFixedDecimal(decimal, 17)) as bigint), decimal);
          assert.equal(decodeBound("double", encodeBound("double", double)), double);
          assert.equal(decodeBound("string", encodeBound("string", text)), text);
        },
      ),
    );
  });

  it("of a column that was widened later are read at their old width", () => {
    assert.equal(decodeBound("long", encodeBound("int", -7)), -7);
    assert.equal(decodeBound("double", encodeBound("float", 1.5)), 1.5);
  });

  it("of long strings enclose them in byte order, with at most 16 code points", () => {
    const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
    const text = fc.string({
      unit: fc.constantFrom("a", "é", "\ud7ff", "\uffff", "🪙", "\u{10ffff}"),
      minLength: 10,
      maxLength: 20,
    });
    fc.assert(
      fc.property(text, (value) => {
        const lower = lowerStringBound(value);
        const upper = upperStringBound(value);
        assert.ok([...lower].length <= 16 && compare(lower, value) <= 0);
        if (upper === null) assert.ok([...value].slice(0, 16).every((point) => point === "\u{10ffff}"));
        else assert.ok([...upper].length <= 16 && compare(upper, value) >= 0);
      }),
    );
    assert.equal(upperStringBound(`${"a".repeat(15)}\ud7ffz`), `${"a".repeat(15)}\ue000`);
    assert.equal(upperStringBound("\u{10ffff}".repeat(17)), null);
  });
});
