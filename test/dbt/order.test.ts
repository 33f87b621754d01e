import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as fc from "fast-check";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { Lakes, MODELS, type TestLake } from "./lake.ts";
import { marketStream, shuffled } from "./stream.ts";

/** The course of a stream from the log to gold. */
interface Journey {
  /** Seed of the arrival order. */
  order: number;
  /** Maximum displacement of a record, as a share of the stream; 0 is the order of ingestion. */
  spread: number;
  /**
   * Positions of the cuts between appends, in per mille of the stream; each append is ingested, then one increment
   * runs.
   */
  cuts: number[];
  /** Payload bytes of one commit to bronze. */
  commit_size_bytes: number;
  /** Maximum records of a partition per increment; remaining records are left to the next one. */
  max_records_per_run: number[];
  partitions: number;
}

/** After a cut here, the prices that the next increment compares with are in the partition of the previous day. */
const AFTER_MIDNIGHT_US = Date.parse("2026-02-28T00:20:00Z") * 1000;

const journey = ({ spreads, partitions }: { spreads: number[]; partitions: number[] }) =>
  fc.record<Journey>({
    order: fc.noBias(fc.nat()),
    spread: fc.constantFrom(...spreads),
    cuts: fc.array(fc.noBias(fc.integer({ min: 0, max: 1000 })), { minLength: 1, maxLength: 3 }),
    commit_size_bytes: fc.constantFrom(20_000, 200_000, 64_000_000),
    max_records_per_run: fc.array(fc.constantFrom(90, 500_000, 500_000), { minLength: 4, maxLength: 4 }),
    partitions: fc.constantFrom(...partitions),
  });

const inOrder = journey({ spreads: [0, 0.03], partitions: [1, 2] });
const anyhow = journey({ spreads: [0.2, 1.5], partitions: [2] });

const COORDINATES = "log_topic, log_partition, log_offset, element_index";

/** The content of each table without log positions, which is equal for every arrival order. */
const CONTENT: Record<(typeof MODELS)[number], string> = {
  "silver.crypto_price_updates": `* exclude (ingested_at, is_backfill, ${COORDINATES}, element_count)`,
  "silver.crypto_price_duplicates": "identity, price_at, crypto_id, source",
  "silver.crypto_prices_rejected": `* exclude (${COORDINATES})`,
  "silver.crypto_prices_clean": "*",
  "silver.crypto_listings": "* exclude (log_partition, log_offset, element_index)",
  "gold.fact_crypto_ticks": `* exclude (${COORDINATES})`,
  "gold.fact_crypto_hourly": "*",
  "gold.dim_crypto": "*",
  "gold.dim_time": "*",
};

/** For a long search, run COINLAKE_ORDER_RUNS=100 COINLAKE_ORDER_SEED=7 npm test -- lake/order */
const RUNS = Number(process.env["COINLAKE_ORDER_RUNS"] ?? 2);
const SEED = Number(process.env["COINLAKE_ORDER_SEED"] ?? 20_260_227);

describe("order and batching", () => {
  let lakes: Lakes;
  before(async () => {
    lakes = await Lakes.open();
  });
  after(() => lakes.close());

  async function travel(
    stream: readonly SourceRecord[],
    { order, spread, cuts, commit_size_bytes, max_records_per_run, partitions }: Journey,
  ): Promise<TestLake> {
    const lake = await lakes.fresh({ partitions });
    const records = shuffled(stream, order, spread);
    const after_midnight = stream.findIndex(({ ingested_at_us }) => ingested_at_us > AFTER_MIDNIGHT_US);
    const cut_at = [after_midnight, ...cuts.map((share) => Math.floor((share * records.length) / 1000))].sort(
      (a, b) => a - b,
    );
    const places = [0, ...cut_at, records.length];
    for (const [index, place] of places.slice(1).entries()) {
      await lake.append(records.slice(places[index], place));
      await lake.ingest(commit_size_bytes);
      await lake.increment({ max_records_per_run: max_records_per_run[index] ?? 500_000 });
    }
    await lake.catchUp();
    return lake;
  }

  test("increments give the rows of a full refresh, and every order of arrival gives the same rows", async () => {
    const property = fc.asyncProperty(fc.noBias(fc.nat(1_000_000)), inOrder, anyhow, async (seed, one, other) => {
      const stream = await marketStream(seed);
      const contents: string[][][] = [];
      for (const way of [one, other]) {
        const lake = await travel(stream, way);
        const figures = await lake.reconcile();
        assert.equal(figures.bronze_records, stream.length);
        contents.push(await contentOf(lake));
        await assertRefreshChangesNothing(lake);
      }
      const [first = [], second = []] = contents;
      for (const [index, table] of MODELS.entries()) assertSame(table, first[index], second[index]);
    });
    await fc.assert(property, { seed: SEED, numRuns: RUNS, endOnFailure: true });
  });
});

/** Every row of every table, as sorted text. */
async function contentOf(lake: TestLake): Promise<string[][]> {
  const contents: string[][] = [];
  for (const table of MODELS) {
    const rows = await lake.rows(
      `select to_json(content)::varchar from (select ${CONTENT[table]} from ${table}) as content order by 1`,
    );
    contents.push(rows.map(([row]) => row ?? ""));
  }
  return contents;
}

/** Shows only the first few differing rows. */
function assertSame(table: string, one: readonly string[] = [], other: readonly string[] = []): void {
  const [of_one, of_other] = [new Set(one), new Set(other)];
  const lacking = {
    one: other.filter((row) => !of_one.has(row)).slice(0, 3),
    other: one.filter((row) => !of_other.has(row)).slice(0, 3),
  };
  assert.deepEqual(lacking, { one: [], other: [] }, table);
  assert.equal(one.length, other.length, table);
}

/** Rebuilds all tables from bronze and compares every column of every row, including log positions. */
async function assertRefreshChangesNothing(lake: TestLake): Promise<void> {
  await lake.rows("create or replace schema memory.kept");
  for (const table of MODELS) await lake.rows(`create table memory.kept.${nameOf(table)} as from lake.${table}`);
  await lake.increment({}, "--full-refresh");
  for (const table of MODELS) {
    const [before_refresh, after_refresh] = [`memory.kept.${nameOf(table)}`, `lake.${table}`];
    const differences = await lake.rows(`
      select 'only increments gave' as who, to_json(row)::varchar as what
      from (from ${before_refresh} except all from ${after_refresh}) as row
      union all
      select 'only the refresh gave', to_json(row)::varchar
      from (from ${after_refresh} except all from ${before_refresh}) as row
      order by what limit 6`);
    assert.deepEqual(differences, [], table);
  }
}

function nameOf(table: string): string {
  return table.slice(table.indexOf(".") + 1);
}
