import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { HISTORY_PROPERTY, historyOf, historyProperty } from "../../src/iceberg/metadata/history.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { coinlake } from "../support/coinlake.ts";
import { BRONZE, Lakes, MODELS, type TestLake } from "./lake.ts";

const TWO_HOURS_MS = 2 * 3_600_000;
const MINUTE_MS = 60_000;

/** A price of Ether, ingested at its event time. */
function tick(price: string, at_ms: number): SourceRecord {
  const payload = JSON.stringify({ product: "ethereum", price, time: new Date(at_ms).toISOString() });
  return { key: "ethereum", source: "exchange", payload: Buffer.from(payload), ingested_at_us: at_ms * 1000 };
}

/** Output of the command line for one state of a lake. */
interface Answers {
  answers: {
    parts: {
      rows: Record<string, string>[];
      note: string | null;
      lake_at: string | null;
      snapshots: { table: string; snapshot_id: string; committed_at: string }[];
    }[];
  }[];
}

describe("time travel", () => {
  let lakes: Lakes;
  let lake: TestLake;
  const events_ms = [10, 9].map((minutes) => Date.now() - minutes * MINUTE_MS);
  /** Lake times: the empty lake, the first price, both prices. They are independent of event times. */
  let empty_ms = 0;
  let first_ms = 0;
  let both_ms = 0;
  /** All rows at first_ms, by table; a table that never had rows has no snapshot. */
  const rows_then = new Map<string, (string | null)[][]>();

  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
    empty_ms = Date.now();
    await arrive(tick("3000.1", events_ms[0] ?? 0));
    first_ms = Date.now();
    for (const { table } of await lake.session.travelTo(null))
      rows_then.set(table, await lake.rows(`from ${table} order by all`));
    await arrive(tick("2000.2", events_ms[1] ?? 0));
    both_ms = Date.now();
  });
  after(() => lakes.close());

  async function arrive(record: SourceRecord): Promise<void> {
    await lake.append([record]);
    await lake.ingest();
    await lake.increment();
  }

  async function run(...args: string[]): Promise<unknown> {
    const { code, stdout, stderr } = await coinlake([...args, "--json", "--data", lake.data_folder]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  }

  test("every table reads as of an earlier lake time, and as of now afterwards", async () => {
    assert.ok(rows_then.size >= 7);
    await lake.session.travelTo(first_ms);
    for (const [table, rows] of rows_then) assert.deepEqual(await lake.rows(`from ${table} order by all`), rows, table);
    await lake.session.travelTo(null);
    assert.deepEqual(await lake.rows("select price_usd::varchar from gold.fact_crypto_ticks order by price_at"), [
      ["3000.100000000000000000000000"],
      ["2000.200000000000000000000000"],
    ]);
  });

  test("a table without a snapshot at that time is an error, never today's table", async () => {
    assert.deepEqual(await lake.session.travelTo(empty_ms), []);
    for (const table of [BRONZE, ...MODELS]) {
      await assert.rejects(
        lake.rows(`from ${table}`),
        { code: "INVALID_SQL", message: new RegExp(`^${table} has no snapshot that old: its first one is of `) },
        table,
      );
    }
    await assert.rejects(lake.rows("from gold.nothing"), { code: "INVALID_SQL", message: /does not exist/ });
    await lake.session.travelTo(null);
  });

  test("a snapshot is current from its exact millisecond on", async () => {
    const { metadata } = await lake.open.catalog.loadTable({ namespace: ["gold"], name: "fact_crypto_ticks" });
    for (const entry of metadata["snapshot-log"]) {
      const at_ms = Number(entry["timestamp-ms"]);
      const snapshotAt = async (ms: number) =>
        (await lake.session.travelTo(ms)).find(({ table }) => table === "gold.fact_crypto_ticks")?.snapshot_id;
      assert.equal(await snapshotAt(at_ms), String(entry["snapshot-id"]));
      assert.notEqual(await snapshotAt(at_ms - 1), String(entry["snapshot-id"]));
    }
    await lake.session.travelTo(null);
  });

  test("query --at reads the earlier state", async () => {
    const sql = "select price_usd::varchar as price from gold.fact_crypto_ticks order by price_at";
    const at = new Date(first_ms).toISOString();
    assert.deepEqual(await run("query", sql, "--at", at), [{ price: "3000.100000000000000000000000" }]);
    assert.deepEqual(await run("query", sql), [
      { price: "3000.100000000000000000000000" },
      { price: "2000.200000000000000000000000" },
    ]);
  });

  test("question 3 returns the price two hours earlier by event time, and as the lake held it then", async () => {
    const askAt = async (lake_ms: number) => {
      const as_of = new Date(lake_ms + TWO_HOURS_MS).toISOString();
      const { answers } = (await run("ask", "3", "--as-of", as_of)) as Answers;
      const [by_event, by_lake] = answers[0]?.parts ?? [];
      assert.equal(by_lake?.lake_at, new Date(lake_ms).toISOString());
      for (const { committed_at } of by_lake?.snapshots ?? []) assert.ok(Date.parse(committed_at) <= lake_ms);
      return { event: by_event?.rows[0]?.["price_usd"], lake: by_lake?.rows[0]?.["price_usd"], note: by_lake?.note };
    };
    assert.deepEqual(await askAt(both_ms), {
      event: "2000.200000000000000000000000",
      lake: "2000.200000000000000000000000",
      note: null,
    });
    assert.deepEqual(await askAt(first_ms), {
      event: "2000.200000000000000000000000",
      lake: "3000.100000000000000000000000",
      note: null,
    });
    const { lake: nothing, note } = await askAt(empty_ms);
    assert.equal(nothing, undefined);
    assert.match(note ?? "", /first snapshot of gold\.\w+ is of \d{4}-/);
  });

  test("after expiry the nearest retained snapshot is read, and a missing one is reported", async () => {
    const identifier = { namespace: ["gold"], name: "fact_crypto_ticks" };
    const before_third_ms = Date.now();
    await arrive(tick("1000.3", before_third_ms));
    const { metadata } = await lake.open.catalog.loadTable(identifier);
    const [first, second, ...later] = historyOf(metadata);
    assert.ok(first !== undefined && second !== undefined && later.length > 0);
    const expire = async (...ids: (number | bigint)[]): Promise<void> => {
      const { snapshots } = (await lake.open.catalog.loadTable(identifier)).metadata;
      const kept = snapshots.map((snapshot) => snapshot["snapshot-id"]).filter((id) => !ids.includes(id));
      const updates = [
        { action: "set-properties", updates: { [HISTORY_PROPERTY]: historyProperty(metadata, kept) } },
        { action: "remove-snapshots", "snapshot-ids": ids },
      ];
      await lake.open.catalog.commit([{ identifier, requirements: [], updates }]);
    };
    const pricesAt = async (at_ms: number) => {
      await lake.session.travelTo(at_ms);
      return (
        await lake.rows("select price_usd::double::varchar from gold.fact_crypto_ticks order by price_at")
      ).flat();
    };
    await expire(second.snapshot_id);
    assert.deepEqual(await pricesAt(first_ms), ["3000.1"]);
    assert.deepEqual(await pricesAt(both_ms), ["3000.1"], "the nearest retained state before");
    assert.deepEqual(await pricesAt(Date.now()), ["3000.1", "2000.2", "1000.3"]);
    assert.deepEqual(await lake.session.oldestSnapshot(identifier), {
      at: new Date(first.at_ms).toISOString(),
      is_first: true,
    });
    await expire(first.snapshot_id);
    await assert.rejects(pricesAt(both_ms), {
      code: "INVALID_SQL",
      message: /^gold\.fact_crypto_ticks has no snapshot that old: its oldest retained one is of \d{4}-/,
    });
    await lake.session.travelTo(null);
    const as_of = new Date(first_ms + TWO_HOURS_MS).toISOString();
    const { answers } = (await run("ask", "3", "--as-of", as_of)) as Answers;
    assert.match(answers[0]?.parts[1]?.note ?? "", /oldest retained snapshot of gold\.fact_crypto_ticks is of \d{4}-/);
  });
});
