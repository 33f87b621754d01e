import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Schema } from "../../src/iceberg/model.ts";
import type { SingleValue } from "../../src/iceberg/bounds.ts";
import { decodeManifest, encodeManifest } from "../../src/iceberg/manifest.ts";
import { decodeManifestList, encodeManifestList } from "../../src/iceberg/manifest-list.ts";
import {
  CONTENT,
  MANIFEST_CONTENT,
  STATUS,
  type ManifestEntry,
  type ManifestFile,
} from "../../src/iceberg/manifest-model.ts";
import { avroName } from "../../src/iceberg/manifest-schema.ts";
import { dataFile } from "./data-file.ts";

const TYPES: [type: string, value: SingleValue][] = [
  ["boolean", true],
  ["int", -5],
  ["long", 2n ** 62n],
  ["float", 1.5],
  ["double", -0.25],
  ["string", "Zürich"],
  ["binary", Buffer.from([0, 255])],
  ["date", 20_371],
  ["time", 86_399_999_999],
  ["timestamp", -1],
  ["timestamptz", 1_760_000_000_000_001],
  ["uuid", Buffer.alloc(16, 7)],
  ["fixed[3]", Buffer.from("abc")],
  ["decimal(38,9)", -(10n ** 30n)],
];

const SCHEMA: Schema = {
  type: "struct",
  "schema-id": 3,
  fields: TYPES.map(([type], position) => ({ id: position + 1, name: `c${position}`, required: false, type })),
};
const SPEC = {
  "spec-id": 2,
  fields: [
    ...TYPES.map(([type], position) => ({
      name: `part of ${type}`,
      transform: "identity",
      "source-id": position + 1,
      "field-id": 1000 + position,
    })),
    { name: "hashed", transform: "bucket[16]", "source-id": 6, "field-id": 2000 },
    { name: "by_day", transform: "day", "source-id": 11, "field-id": 2001 },
  ],
};

const MANIFEST: ManifestFile = {
  manifest_path: "file:///m.avro",
  manifest_length: 4321,
  partition_spec_id: 2,
  content: MANIFEST_CONTENT.data,
  sequence_number: 9n * 10n ** 15n * 10n,
  min_sequence_number: 3,
  added_snapshot_id: 2n ** 62n + 1n,
  added_files_count: 1,
  existing_files_count: 2,
  deleted_files_count: 3,
  added_rows_count: 10,
  existing_rows_count: 20,
  deleted_rows_count: 30,
  partitions: [{ contains_null: true, contains_nan: null, lower_bound: Buffer.from("a"), upper_bound: null }],
  key_metadata: null,
};

describe("Manifests", () => {
  it("round-trip with partition values of every type", () => {
    const partition = new Map<number, SingleValue | null>([
      ...TYPES.map(([, value], position): [number, SingleValue] => [1000 + position, value]),
      [2000, 15],
      [2001, 20_371],
    ]);
    const nulls = new Map([...partition.keys()].map((id): [number, null] => [id, null]));
    const full = {
      ...dataFile("a.parquet", partition),
      column_sizes: new Map([[1, 10]]),
      value_counts: new Map([[1, 3n * 2n ** 53n]]),
      null_value_counts: new Map([[1, 0]]),
      nan_value_counts: new Map([[1, 0]]),
      lower_bounds: new Map([[1, Buffer.from("a")]]),
      upper_bounds: new Map([[1, Buffer.from("z")]]),
      key_metadata: Buffer.from("k"),
      split_offsets: [4, 2n ** 60n],
      equality_ids: [1, 2],
      sort_order_id: 0,
      referenced_data_file: "file:///other.parquet",
    };
    const entries: ManifestEntry[] = [
      { status: STATUS.existing, snapshot_id: 1, sequence_number: 2, file_sequence_number: 3, data_file: full },
      {
        status: STATUS.deleted,
        snapshot_id: 2n ** 62n,
        sequence_number: 2,
        file_sequence_number: 3,
        data_file: { ...dataFile("b.parquet", nulls), content: CONTENT.equality_deletes },
      },
    ];
    const bytes = encodeManifest({ schema: SCHEMA, spec: SPEC, content: MANIFEST_CONTENT.data }, entries);
    assert.deepEqual(decodeManifest(bytes, MANIFEST, { schema: SCHEMA, spec: SPEC }), entries);
  });

  it("pass their snapshot id and sequence number on to added entries", () => {
    const partition = new Map<number, SingleValue | null>();
    const spec = { "spec-id": 0, fields: [] };
    const entry = (status: number, sequence_number: number | null): ManifestEntry => ({
      status,
      snapshot_id: null,
      sequence_number,
      file_sequence_number: sequence_number,
      data_file: dataFile("a.parquet", partition),
    });
    const bytes = encodeManifest({ schema: SCHEMA, spec, content: MANIFEST_CONTENT.data }, [
      entry(STATUS.added, null),
      entry(STATUS.existing, 4),
    ]);
    const [added, existing] = decodeManifest(bytes, MANIFEST, { schema: SCHEMA, spec });
    assert.equal(added?.snapshot_id, MANIFEST.added_snapshot_id);
    assert.equal(added?.sequence_number, MANIFEST.sequence_number);
    assert.equal(added?.file_sequence_number, MANIFEST.sequence_number);
    assert.equal(existing?.sequence_number, 4);
  });

  it("reject an unsupported partition transform", () => {
    const spec = { "spec-id": 0, fields: [{ name: "x", transform: "zorder[2]", "source-id": 1, "field-id": 1000 }] };
    assert.throws(() => encodeManifest({ schema: SCHEMA, spec, content: MANIFEST_CONTENT.data }, []), {
      code: "UNSUPPORTED_SPEC",
    });
  });

  it("escape names that Avro does not allow", () => {
    assert.deepEqual(["a_1", "1a", "price.usd", "größe", "💰"].map(avroName), [
      "a_1",
      "_1a",
      "price_x2Eusd",
      "gr_xF6_xDFe",
      "_x1F4B0",
    ]);
  });
});

describe("Manifest lists", () => {
  it("round-trip", () => {
    const bytes = encodeManifestList({ "snapshot-id": 2n ** 62n, "sequence-number": 5 }, [
      MANIFEST,
      { ...MANIFEST, partitions: null },
    ]);
    assert.deepEqual(decodeManifestList(bytes), [MANIFEST, { ...MANIFEST, partitions: null }]);
  });
});
