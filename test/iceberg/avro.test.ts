import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { decodeAvro, encodeAvro, type AvroSchema } from "../../src/iceberg/avro.ts";

const SCHEMA: AvroSchema = {
  type: "record",
  name: "entry",
  fields: [
    { name: "id", type: "long", "field-id": 1 },
    { name: "at", type: ["null", { type: "long", logicalType: "timestamp-micros" }], default: null },
    { name: "note", type: ["null", "string"], default: null, "field-id": 2 },
    {
      name: "bounds",
      type: [
        "null",
        {
          type: "array",
          logicalType: "map",
          items: {
            type: "record",
            name: "k3_v4",
            fields: [
              { name: "key", type: "int", "field-id": 3 },
              { name: "value", type: "bytes", "field-id": 4 },
            ],
          },
        },
      ],
      default: null,
      "field-id": 5,
    },
  ],
};

const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? `${item}n` : item)));

describe("Avro files", () => {
  it("round-trip, including 64-bit integers", () => {
    const record = fc.record({
      id: fc.oneof(
        fc.maxSafeInteger(),
        fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
        fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
      ),
      at: fc.option(fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n })),
      note: fc.option(fc.string({ unit: "grapheme" })),
      bounds: fc.option(
        fc.array(fc.record({ key: fc.nat(), value: fc.uint8Array().map((bytes) => Buffer.from(bytes)) })),
      ),
    });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 20 }), (records) => {
        const { records: read } = decodeAvro(encodeAvro(SCHEMA, records, {}), new Map());
        assert.deepEqual(plain(read), plain(records));
      }),
    );
  });

  it("of many blocks are read completely", () => {
    const records = Array.from({ length: 2500 }, (_, id) => ({ id, at: null, note: null, bounds: null }));
    const { records: read } = decodeAvro(encodeAvro(SCHEMA, records, {}), new Map());
    assert.deepEqual(
      read.map(({ id }) => id),
      records.map(({ id }) => id),
    );
  });

  it("keep field ids and metadata in the header", () => {
    const { metadata } = decodeAvro(encodeAvro(SCHEMA, [], { "format-version": "2" }), new Map());
    assert.deepEqual(JSON.parse(metadata.get("avro.schema") ?? ""), SCHEMA);
    assert.equal(metadata.get("format-version"), "2");
  });

  it("of another writer are resolved by field id, not by name", () => {
    const names = new Map([
      [1, "snapshot_id"],
      [4, "bound"],
    ]);
    const written = encodeAvro(
      SCHEMA,
      [{ id: 7, at: null, note: "x", bounds: [{ key: 1, value: Buffer.from("b") }] }],
      {},
    );
    assert.deepEqual(
      plain(decodeAvro(written, names).records),
      plain([{ snapshot_id: 7, at: null, note: "x", bounds: [{ key: 1, bound: Buffer.from("b") }] }]),
    );
  });

  it("are rejected if truncated inside the header or a block, or if they are not Avro", () => {
    const written = encodeAvro(SCHEMA, [{ id: 7, at: null, note: "x".repeat(100), bounds: null }], {});
    const whole_blocks = written.length;
    for (let length = 0; length < whole_blocks; length += 1) {
      try {
        // A file may end after its header; it then has no records.
        assert.deepEqual(decodeAvro(written.subarray(0, length), new Map()).records, []);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "INVALID_AVRO", `cut at ${length}: ${String(error)}`);
      }
    }
    assert.throws(() => decodeAvro(Buffer.from("PAR1 is another format"), new Map()), { code: "INVALID_AVRO" });
  });
});
