import assert from "node:assert/strict";
import { appendFileSync, cpSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import type { Clock } from "../../src/base/clock.ts";
import { LOG_OFFSETS_PROPERTY } from "../../src/iceberg/metadata/log-offsets.ts";
import { planChecks, suitesFolder, type Plan, type PlanOptions } from "../../src/quality/plan.ts";
import type { QualityResult } from "../../src/quality/result.ts";
import { produce } from "../browser/market.ts";
import { Lakes, TOPIC, type TestLake } from "../dbt/lake.ts";

const DAY_US = 86_400_000_000;
/** Two hours before midnight, so that one simulated market spans two days. */
const START_US = Math.floor(Date.UTC(2025, 9, 10, 22) * 1000);
const STEP_MS = 60_000;

/** A clock that advances only during waits. */
class PatientClock implements Clock {
  waits = 0;
  #now_us = START_US + DAY_US;

  now_us(): number {
    return this.#now_us;
  }

  async wait(delay_ms: number): Promise<void> {
    this.waits += 1;
    this.#now_us += delay_ms * 1000;
  }
}

describe("the plan of a validation", () => {
  let lakes: Lakes;
  let lake: TestLake;
  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
  });
  after(() => lakes.close());

  const plan = (options: Partial<PlanOptions> = {}) =>
    planChecks({
      open: lake.open,
      pipeline: crypto.name,
      layer: null,
      day: null,
      is_all: false,
      last: null,
      clock: new PatientClock(),
      ...options,
    });

  async function fill(until_step: number): Promise<void> {
    await produce(
      lake,
      { coins: 5, interval_ms: STEP_MS, dirt_rate: 0.1, start_us: START_US, speed: "max", until_step },
      AbortSignal.timeout(60_000),
    );
    await lake.ingest();
  }

  test("fails with a retryable error while tables are missing, and for a pipeline without suites", async () => {
    await assert.rejects(plan(), { code: "TABLE_MISSING", is_retryable: true });
    await assert.rejects(plan({ pipeline: "none" }), { code: "SUITES_NOT_FOUND" });
  });

  test("has one batch per day of a table, and one for a table without days", async () => {
    await fill(60);
    await lake.catchUp();
    assert.deepEqual(partsOf(await plan(), "gold.fact_crypto_ticks"), [
      ["2025-10-10", "price_date = date '2025-10-10'"],
    ]);
    await fill(180);
    await lake.catchUp();
    const { batches, tables } = await plan();
    assert.deepEqual(
      partsOf({ batches }, "gold.fact_crypto_ticks").map(([part]) => part),
      ["2025-10-10", "2025-10-11"],
    );
    assert.deepEqual(partsOf({ batches }, "gold.dim_crypto"), [["whole", "true"]]);
    assert.ok(tables.every(({ snapshot_id }) => /^\d+$/.test(snapshot_id ?? "")));
  });

  test("has only tables of silver if silver is requested", async () => {
    const { batches, tables } = await plan({ layer: "silver" });
    assert.ok(
      [...batches.map(({ table }) => table), ...tables.map(({ name }) => name)].every((name) =>
        name.startsWith("silver."),
      ),
    );
  });

  test("has the requested day, even without rows, and the tables without days", async () => {
    const { batches } = await plan({ day: "2001-02-03" });
    assert.deepEqual(partsOf({ batches }, "gold.fact_crypto_hourly"), [
      ["2001-02-03", "hour_date = date '2001-02-03'"],
    ]);
    assert.deepEqual(partsOf({ batches }, "gold.dim_time"), [["whole", "true"]]);
  });

  test("skips batches that have not changed since they passed; includes failed and requested ones", async () => {
    const first = await plan();
    const last = resultOf(first);
    assert.deepEqual((await plan({ last })).batches, []);
    assert.equal((await plan({ last })).unchanged.length, first.batches.length);
    assert.equal((await plan({ last, is_all: true })).batches.length, first.batches.length);
    assert.equal((await plan({ last, day: "2025-10-10", layer: "gold" })).batches.length, 4);
    const bad = {
      type: "x",
      columns: [],
      description: null,
      severity: "warning",
      is_met: false,
      observed: null,
      unexpected_rows: 1,
      sample: [],
      error: null,
    };
    const of_dim = last.tables.find(({ table }) => table === "gold.dim_crypto");
    of_dim?.batches[0]?.failed.push(bad);
    assert.deepEqual(
      (await plan({ last })).batches.map(({ table }) => table),
      ["gold.dim_crypto"],
    );
  });

  test("has every batch again when a module that suites share has changed", async () => {
    const suites = join(lake.data_folder, "suites");
    cpSync(suitesFolder(crypto.name), suites, { recursive: true });
    const pipeline = relative(dirname(suitesFolder(crypto.name)), suites);
    const first = await plan({ pipeline });
    const last = resultOf(first);
    assert.equal((await plan({ pipeline, last })).unchanged.length, first.batches.length);
    appendFileSync(join(suites, "expectations.py"), "# changed");
    assert.deepEqual((await plan({ pipeline, last })).unchanged, []);
  });

  test("has the day that received rows, and not the day before", async () => {
    const last = resultOf(await plan());
    await fill(200);
    await lake.catchUp();
    const { batches } = await plan({ last });
    assert.deepEqual(
      partsOf({ batches }, "gold.fact_crypto_ticks").map(([part]) => part),
      ["2025-10-11"],
    );
    assert.deepEqual(partsOf({ batches }, "silver.crypto_products"), []);
  });

  test("has a separate batch for rows without a date", async () => {
    await lake.change(
      "insert into lake.gold.fact_crypto_hourly select * replace (null as hour_date) " +
        "from lake.gold.fact_crypto_hourly limit 1",
    );
    const parts = partsOf(await plan(), "gold.fact_crypto_hourly");
    assert.deepEqual(parts.at(-1), ["undated", "hour_date is null"]);
  });

  test("waits until the offsets are equal, and names the table that differs; silver never waits for gold", async () => {
    const identifier = { namespace: ["gold"], name: "fact_crypto_ticks" };
    const { properties } = (await lake.open.catalog.loadTable(identifier)).metadata;
    const goTo = (place: string) =>
      lake.open.catalog.commit([
        {
          identifier,
          requirements: [],
          updates: [{ action: "set-properties", updates: { [LOG_OFFSETS_PROPERTY]: place } }],
        },
      ]);
    // A property that is older than the table's snapshot is ignored.
    await goTo(`{"${TOPIC}/0": 9999}`);
    const clock = new PatientClock();
    await assert.rejects(plan({ clock }), {
      code: "LAYERS_APART",
      message: /gold\.fact_crypto_ticks: crypto\.prices\.raw\/0=9999$/m,
    });
    assert.ok(clock.waits > 10);
    assert.ok((await plan({ layer: "silver" })).batches.length > 0);
    const catching_up = new PatientClock();
    const wait = catching_up.wait.bind(catching_up);
    catching_up.wait = async (delay_ms) => {
      await goTo(properties[LOG_OFFSETS_PROPERTY] ?? "");
      return wait(delay_ms);
    };
    assert.ok((await plan({ clock: catching_up })).batches.length > 0);
    assert.equal(catching_up.waits, 1);
  });
});

function partsOf({ batches }: Pick<Plan, "batches">, table: string): [part: string, condition: string][] {
  return batches.filter((batch) => batch.table === table).map(({ part, condition }) => [part, condition]);
}

/** The result of a run in which every expectation of the plan is met. */
function resultOf({ batches, unchanged }: Plan): QualityResult {
  const tables = Map.groupBy([...batches, ...unchanged], ({ table }) => table);
  const checked_at = "2025-10-12T00:00:00Z";
  return {
    format: 1,
    checked_at,
    tables: [...tables].map(([table, of_table]) => ({
      table,
      batches: of_table.map(({ part, digest }) => ({ part, checked_at, rows: 1, expectations: 1, failed: [], digest })),
    })),
  };
}
