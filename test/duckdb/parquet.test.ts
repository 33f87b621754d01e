import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { OperatingError } from "../../src/base/errors.ts";
import { parseStatistic } from "../../src/duckdb/column-stats.ts";
import { openParquetWriter } from "../../src/duckdb/parquet.ts";
import { decodeBound } from "../../src/iceberg/bounds.ts";
import { BRONZE_SCHEMA } from "../../src/ingest/bronze.ts";
import { locationOfPath } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";

describe("A Parquet file of log records", () => {
  it("has counts of every column, and bounds of all but the payload.", async () => {
    const folder = await mkdtemp(join(tmpdir(), "coinlake-parquet-"));
    const writer = await openParquetWriter({ storage: new FileStorage() });
    try {
      const columns = BRONZE_SCHEMA.fields.map((field) => ({ ...field, id: field.id + 40 }));
      const record = (offset: number, source: string, payload: Buffer, ingested_at_us: number) => ({
        key: "k",
        source,
        payload,
        ingested_at_us,
        partition: 3,
        offset,
      });
      async function* batches() {
        yield [record(2 ** 40, "b".repeat(100), Buffer.from("text"), 1_760_000_000_000_001)];
        yield [record(2 ** 40 + 1, "'a' \"quoted\"", Buffer.from([0xff]), 1_760_000_000_120_000)];
      }
      const [file, ...others] = await writer.write(
        { location: locationOfPath(folder), topic: "it's a topic", columns, partition_field_id: 1000 },
        batches(),
      );
      assert.ok(file !== undefined && others.length === 0);
      assert.deepEqual([file.record_count, file.partition], [2, new Map([[1000, 20_370]])]);
      const id = (name: string) => columns.find((column) => column.name === name)!.id;
      const bounds = (name: string) => {
        const type = String(columns.find((column) => column.name === name)!.type);
        const [lower, upper] = [file.lower_bounds?.get(id(name)), file.upper_bounds?.get(id(name))];
        return [lower && decodeBound(type, lower), upper && decodeBound(type, upper)];
      };
      assert.deepEqual(bounds("source"), ["'a' \"quoted\"", `${"b".repeat(15)}c`]);
      assert.deepEqual(bounds("ingested_at"), [1_760_000_000_000_001, 1_760_000_000_120_000]);
      assert.deepEqual(bounds("ingestion_date"), [20_370, 20_370]);
      assert.deepEqual(bounds("log_topic"), ["it's a topic", "it's a topic"]);
      assert.deepEqual(bounds("log_partition"), [3, 3]);
      assert.deepEqual(bounds("log_offset"), [2 ** 40, 2 ** 40 + 1]);
      assert.deepEqual(
        [bounds("payload"), bounds("payload_bytes")],
        [
          [undefined, undefined],
          [undefined, undefined],
        ],
      );
      assert.equal(file.null_value_counts?.get(id("payload")), 1);
      assert.equal(file.null_value_counts?.get(id("payload_bytes")), 1);
      assert.equal(file.value_counts?.get(id("source")), 2);
    } finally {
      writer.close();
      await rm(folder, { recursive: true });
    }
  });

  it("has no record of a write that failed, also where its files could not be deleted.", async () => {
    const folder = await mkdtemp(join(tmpdir(), "coinlake-parquet-"));
    let is_away = false;
    class FailingStorage extends FileStorage {
      override async sync(location: string): Promise<void> {
        if (is_away) throw new OperatingError("STORAGE_UNREACHABLE", "away", { next_step: "wait" });
        await super.sync(location);
      }
      override async delete(): Promise<void> {
        throw new OperatingError("STORAGE_UNREACHABLE", "away", { next_step: "wait" });
      }
    }
    const writer = await openParquetWriter({ storage: new FailingStorage() });
    const write = async (count: number) => {
      async function* batches() {
        yield Array.from({ length: count }, (_, offset) => ({
          key: "k",
          source: "s",
          payload: Buffer.from("{}"),
          ingested_at_us: 1_760_000_000_000_000,
          partition: 0,
          offset,
        }));
      }
      const target = {
        location: locationOfPath(folder),
        topic: "topic",
        columns: BRONZE_SCHEMA.fields,
        partition_field_id: 1000,
      };
      return (await writer.write(target, batches())).map(({ record_count }) => record_count);
    };
    try {
      is_away = true;
      await assert.rejects(write(20), { code: "STORAGE_UNREACHABLE" });
      is_away = false;
      assert.deepEqual(await write(30), [30]);
    } finally {
      writer.close();
      await rm(folder, { recursive: true });
    }
  });

  it("has no statistic where DuckDB's text of it cannot be parsed.", () => {
    assert.equal(parseStatistic("timestamptz", "2025-10-09 08:53:20.5+00"), 1_760_000_000_500_000);
    assert.equal(parseStatistic("timestamptz", "1969-12-31 23:59:59.999999+00"), -1);
    assert.equal(parseStatistic("timestamptz", "2025-10-09 08:53:20+02"), null);
    assert.equal(parseStatistic("timestamptz", "infinity"), null);
    assert.equal(parseStatistic("date", "1969-12-31"), -1);
    assert.equal(parseStatistic("date", "5877642-06-25 (BC)"), null);
    assert.equal(parseStatistic("long", "9223372036854775807"), 9_223_372_036_854_775_807n);
    assert.equal(parseStatistic("double", "nan"), null);
    assert.equal(parseStatistic("double", "-inf"), null);
    assert.equal(parseStatistic("double", "-1.5e300"), -1.5e300);
    assert.equal(parseStatistic("decimal(38, 3)", "-1.5"), -1500);
    assert.equal(parseStatistic("decimal(38, 3)", "1.5001"), null);
    assert.equal(parseStatistic("boolean", "maybe"), null);
  });
});
