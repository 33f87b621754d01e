import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { formatJson, parseJson } from "../../../src/iceberg/json.ts";
import { formatMetadata, parseMetadata } from "../../../src/iceberg/metadata/text.ts";
import {
  droppedVersions,
  metadataLocation,
  nextVersion,
  withPreviousVersion,
} from "../../../src/catalog/metadata-versions.ts";
import { appendOf } from "../../catalog/lake.ts";
import { after, deepFreeze, emptyMetadata, LOCATION, newTable, tableWithSnapshots } from "./fixtures.ts";

const bytesOf = (value: unknown) => Buffer.from(typeof value === "string" ? value : formatJson(value));

describe("metadata as text", () => {
  test("equals the JSON of the object and parses back to it, for any number of snapshots", () => {
    let table = newTable();
    for (let id = 1; id <= 200; id += 1) {
      table = after(table, ...appendOf(id + 2 ** 40, id, id === 1 ? null : id - 1 + 2 ** 40));
      const text = Buffer.concat(formatMetadata(table)).toString();
      assert.equal(text, formatJson(table));
      assert.deepEqual(parseMetadata(Buffer.from(text), "x"), table);
    }
  });

  test("is still exact after snapshots are removed from the front or the middle", () => {
    const table = tableWithSnapshots(150);
    formatMetadata(table);
    for (const removed of [[1], [70], [1, 2, 3, 100], Array.from({ length: 149 }, (_, index) => index + 1)]) {
      const next = after(table, { action: "remove-snapshots", "snapshot-ids": removed });
      assert.equal(Buffer.concat(formatMetadata(next)).toString(), formatJson(next));
    }
  });

  test("reuses the text of snapshots that were formatted before", () => {
    const table = tableWithSnapshots(130);
    const first = formatMetadata(table);
    const second = formatMetadata(after(table, ...appendOf(131, 131, 130)));
    const shared = second.filter((part) => first.includes(part));
    assert.equal(shared.length, 4, "two blocks of 64 snapshots, two of log entries");
  });

  test("keeps snapshot ids beyond 2^53 exact", () => {
    const table = after(newTable(), ...appendOf(9223372036854775807n, 1, null));
    const read = parseMetadata(Buffer.concat(formatMetadata(table)), "x");
    assert.equal(read["current-snapshot-id"], 9223372036854775807n);
  });

  test("is read when gzipped, in one member or several", () => {
    const parts = formatMetadata(tableWithSnapshots(100));
    const expected = parseMetadata(Buffer.concat(parts), "x");
    assert.deepEqual(parseMetadata(gzipSync(Buffer.concat(parts)), "x"), expected);
    assert.deepEqual(parseMetadata(Buffer.concat(parts.map((part) => gzipSync(part))), "x"), expected);
  });

  test("gets defaults for fields that older writers omit", () => {
    const { refs: _refs, "snapshot-log": _log, statistics: _statistics, ...older } = tableWithSnapshots(1);
    const read = parseMetadata(bytesOf(older), "x");
    assert.deepEqual(read.refs, { main: { "snapshot-id": 1, type: "branch" } });
    assert.deepEqual(read["snapshot-log"], []);
    assert.equal(
      parseMetadata(bytesOf({ ...newTable(), "current-snapshot-id": -1 }), "x")["current-snapshot-id"],
      null,
    );
  });

  test("has a single schema and spec in format version 1, both read and written", () => {
    const base = newTable();
    const {
      schemas,
      "partition-specs": specs,
      "sort-orders": _orders,
      "last-sequence-number": _number,
      ...rest
    } = base;
    const v1 = { ...rest, "format-version": 1, schema: schemas[0], "partition-spec": specs[0]?.fields };
    const read = parseMetadata(bytesOf(v1), "x");
    assert.deepEqual(read.schemas, base.schemas);
    assert.deepEqual(read["partition-specs"], base["partition-specs"]);
    const written = parseJson(Buffer.concat(formatMetadata(read)).toString()) as Record<string, unknown>;
    assert.deepEqual(written["schema"], schemas[0]);
    assert.deepEqual(written["partition-spec"], specs[0]?.fields);
  });

  for (const [what, bytes] of Object.entries({
    "invalid JSON": bytesOf("root:x:0:0:secret"),
    "invalid UTF-8": Buffer.from([0xff, 0xfe]),
    "an array instead of an object": bytesOf("[1]"),
    "unrelated JSON": bytesOf({ hello: 1 }),
    "a future format version": bytesOf({ ...newTable(), "format-version": 9 }),
    "no uuid": bytesOf({ ...newTable(), "table-uuid": undefined }),
    "snapshots that are not a list": bytesOf({ ...newTable(), snapshots: {} }),
  })) {
    test(`a file with ${what} is rejected, and the error does not quote it`, () => {
      assert.throws(
        () => parseMetadata(bytes, "file:///x"),
        (error: Error & { code?: string }) => error.code === "INVALID_REQUEST" && !error.message.includes("secret"),
      );
    });
  }
});

describe("the chain of metadata files", () => {
  test("names have a version of at least five digits and a uuid", () => {
    const location = metadataLocation(newTable(), 41, "u-u-i-d", false);
    assert.equal(location, `${LOCATION}/metadata/00041-u-u-i-d.metadata.json`);
    assert.equal(metadataLocation(newTable(), 123456, "u", true), `${LOCATION}/metadata/123456-u.gz.metadata.json`);
    assert.equal(nextVersion(location), 42);
    assert.equal(nextVersion("file:///t/metadata/v7.metadata.json"), 8);
    assert.equal(nextVersion("file:///t/metadata/any.json"), 0);
  });

  test("the metadata log keeps 20 files, more after frequent commits, or as many as the property says", () => {
    const fileOf = (version: number) => `${LOCATION}/metadata/v${version}`;
    const chain = (properties: Record<string, string>, length: number, interval_ms = 3_600_000) => {
      let base = newTable(properties);
      const dropped: string[] = [];
      for (let version = 0; version < length; version += 1) {
        const updated = { ...base, "last-updated-ms": Number(base["last-updated-ms"]) + interval_ms };
        const next = withPreviousVersion(updated, base, fileOf(version));
        dropped.push(...droppedVersions(next, base));
        base = deepFreeze(next);
      }
      return { kept: base["metadata-log"].map((entry) => entry["metadata-file"]), dropped };
    };
    assert.deepEqual(chain({ "write.metadata.previous-versions-max": "2" }, 5), {
      kept: [3, 4].map(fileOf),
      dropped: [0, 1, 2].map(fileOf),
    });
    assert.equal(chain({}, 130).kept.length, 20);
    assert.equal(chain({}, 130).dropped.length, 110);
    assert.deepEqual(
      [60_000, 10_000, 6_000, 1_000].map((interval_ms) => chain({}, 130, interval_ms).kept.length),
      [20, 31, 51, 100],
    );
    assert.equal(chain({ "write.metadata.previous-versions-max": "2" }, 130, 1_000).kept.length, 2);
    assert.deepEqual(chain({ "write.metadata.previous-versions-max": "0" }, 2).kept, [fileOf(1)]);
    assert.deepEqual(chain({ "write.metadata.previous-versions-max": "many" }, 2).kept.length, 2);
    const keeping = {
      "write.metadata.previous-versions-max": "1",
      "write.metadata.delete-after-commit.enabled": "false",
    };
    assert.deepEqual(chain(keeping, 4), { kept: [fileOf(3)], dropped: [] });
  });

  test("an empty table has no metadata log", () => assert.deepEqual(emptyMetadata(LOCATION, "u")["metadata-log"], []));
});
