import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { SHARED_PROJECT } from "../../src/transform/models-version.ts";
import { assertReadersAgree } from "../interop/readers.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { BRONZE, Lakes, type TestLake } from "./lake.ts";
import { copyDbtProject } from "./project-copy.ts";

const START_MS = Date.parse("2026-03-01T12:00:00Z");
const UPDATES = "silver.crypto_price_updates";
const MINUTES = "silver.crypto_prices_clean";

/** A page of one coin in a separate minute. */
function page(minute: number, extra: Record<string, unknown> = {}): SourceRecord {
  const at_ms = START_MS + minute * 60_000;
  const coin = {
    id: "bitcoin",
    symbol: "btc",
    name: "Bitcoin",
    market_cap_rank: 1,
    current_price: 100 + minute,
    last_updated: new Date(at_ms).toISOString(),
  };
  return {
    key: "page",
    source: "simulated",
    payload: Buffer.from(JSON.stringify([{ ...coin, ...extra }])),
    ingested_at_us: at_ms * 1000,
  };
}

/**
 * The pipeline's dbt project as it changes over time: variables select the version. A worker parses its project once,
 * so five versions need only one worker.
 */
function editableProject(parent: string): string {
  const folder = copyDbtProject(parent);
  edit(
    join(folder, "models", "silver", "crypto_price_updates.sql"),
    "    traded_volume_usd,\n",
    "    traded_volume_usd,\n    {% if var('has_rank', false) %}market_cap_rank,{% endif %}\n",
  );
  for (const places of ["24", "8"])
    edit(
      join(parent, SHARED_PROJECT, "macros", "numbers.sql"),
      `return('decimal(38, ${places})')`,
      `return('decimal(38, ' ~ var('places_${places}', ${places}) ~ ')')`,
    );
  // These versions lack their YAML, so the contract is enforced only where a test says so.
  edit(
    join(parent, SHARED_PROJECT, "macros", "contract.sql"),
    "config.get('contract').enforced",
    "config.get('contract').enforced and var('is_contract_enforced', false)",
  );
  const count = "count(*)::integer as price_updates";
  edit(
    join(folder, "models", "silver", "crypto_prices_clean.sql"),
    count,
    "count(*)::{{ var('count_type', 'integer') }} as price_updates",
  );
  return folder;
}

function edit(file: string, before_text: string, after_text: string): void {
  const text = readFileSync(file, "utf8");
  assert.ok(text.includes(before_text), `${file} has the line to edit`);
  writeFileSync(file, text.replace(before_text, after_text));
}

describe("a schema that changes", () => {
  const folder = temporaryFolder();
  let lakes: Lakes;
  let lake: TestLake;

  before(async () => {
    lakes = await Lakes.open({ project: editableProject(join(folder.path, "project")) });
    lake = await lakes.fresh();
    await arrive([page(0), page(1)], {});
  });
  after(async () => {
    await lakes.close();
    folder.remove();
  });

  async function arrive(records: SourceRecord[], vars: Record<string, string | boolean>): Promise<void> {
    await lake.append(records);
    await lake.ingest();
    await lake.increment(vars);
  }

  /** Data files of the table's current snapshot, including those with deletes. */
  async function dataFiles(table: string): Promise<string[]> {
    const rows = await lake.rows(
      `select file_path from iceberg_metadata(lake.${table}) where manifest_content = 'DATA' and status <> 'DELETED'`,
    );
    return rows.map(([path]) => path ?? "");
  }

  async function typeOf(table: string, column: string): Promise<string | undefined> {
    const { columns } = await lake.session.query(`from ${table} limit 0`);
    return columns.find(({ name }) => name === column)?.type;
  }

  async function assertReadEverywhere(table: string): Promise<void> {
    await assertReadersAgree(lake.session, lake.open.server.url, [
      [table, null],
      [table, await firstSnapshot(table)],
    ]);
  }

  async function firstSnapshot(table: string): Promise<string> {
    const [layer = "", name = ""] = table.split(".");
    const [first] = (await lake.open.catalog.loadTable({ namespace: [layer], name })).metadata["snapshot-log"];
    return String(first?.["snapshot-id"]);
  }

  test("a new field of the source is kept in bronze, and its records count like the others", async () => {
    await arrive([page(2, { sentiment: { votes_up: 7 } })], {});
    assert.equal((await lake.reconcile()).accepted, 3);
    assert.deepEqual(
      await lake.rows(`select payload ->> '$[0].sentiment.votes_up' from ${BRONZE} order by log_offset`),
      [[null], [null], ["7"]],
    );
  });

  test("a column added to a model is null in old rows, and no file is rewritten", async () => {
    const files = await dataFiles(UPDATES);
    const broken = arrive([page(3)], { has_rank: true, is_contract_enforced: true });
    await assert.rejects(broken, /enforced contract that failed[\s\S]*market_cap_rank[\s\S]*missing in contract/);
    assert.equal(await typeOf(UPDATES, "market_cap_rank"), undefined);
    await lake.increment({ has_rank: true });
    assert.deepEqual(await lake.rows(`select market_cap_rank from ${UPDATES} order by price_at`), [
      [null],
      [null],
      [null],
      ["1"],
    ]);
    assert.equal(await typeOf(UPDATES, "market_cap_rank"), "INTEGER");
    const files_after = await dataFiles(UPDATES);
    assert.deepEqual(
      files.filter((file) => !files_after.includes(file)),
      [],
    );
    assert.equal(files_after.length, files.length + 1);
    await assertReadEverywhere(UPDATES);
  });

  test("a wider type widens the column, and no file is rewritten", async () => {
    const files = await dataFiles(MINUTES);
    assert.equal(await typeOf(MINUTES, "price_updates"), "INTEGER");
    await arrive([page(4)], { has_rank: true, count_type: "bigint" });
    assert.equal(await typeOf(MINUTES, "price_updates"), "BIGINT");
    assert.deepEqual(await lake.rows(`select price_updates from ${MINUTES} order by minute_at`), [
      ["1"],
      ["1"],
      ["1"],
      ["1"],
      ["1"],
    ]);
    const files_after = await dataFiles(MINUTES);
    assert.deepEqual(
      files.filter((file) => !files_after.includes(file)),
      [],
    );
    await assertReadEverywhere(MINUTES);
  });

  test("a narrower type is rejected with a next step, and no record is lost meanwhile", async () => {
    const shrunk = arrive([page(5)], { has_rank: true, count_type: "integer" });
    await assert.rejects(
      shrunk,
      /price_updates.* is BIGINT and the model gives INTEGER: Iceberg widens int to bigint.*Cast it in the model/s,
    );
    assert.equal((await lake.rows(`from ${MINUTES}`)).length, 5);
    await lake.increment({ has_rank: true, count_type: "bigint" });
    assert.equal((await lake.rows(`from ${MINUTES}`)).length, 6);
    assert.equal((await lake.reconcile()).accepted, 6);
  });

  test("a column removed from a model stays in the table, and is null in new rows", async () => {
    await arrive([page(6)], { count_type: "bigint" });
    const ranks = await lake.rows(`select market_cap_rank from ${UPDATES} order by price_at`);
    assert.deepEqual(ranks.flat(), [null, null, null, "1", "1", "1", null]);
    await assertReadEverywhere(UPDATES);
  });

  test("a column that bronze lacks is added before the next commit, and no file is rewritten", async () => {
    await lake.change(`alter table lake.${BRONZE} drop column payload_bytes`);
    const files = await dataFiles(BRONZE);
    const torn: SourceRecord = { ...page(7), payload: Buffer.from([0xc3, 0x28]) };
    await arrive([torn, page(7)], { count_type: "bigint" });
    assert.deepEqual((await lake.rows(`select hex(payload_bytes) from ${BRONZE} order by log_offset`)).flat(), [
      ...Array(7).fill(null),
      "C328",
      null,
    ]);
    const files_after = await dataFiles(BRONZE);
    assert.deepEqual(
      files.filter((file) => !files_after.includes(file)),
      [],
    );
    const { accepted, rejected_by_reason } = await lake.reconcile();
    assert.equal(accepted, 8);
    assert.deepEqual(rejected_by_reason, { not_utf8: 1 });
    await assertReadEverywhere(BRONZE);
  });

  test("a full refresh fills every column in every row", async () => {
    await lake.increment({ has_rank: true, count_type: "bigint" }, "--full-refresh");
    assert.deepEqual((await lake.rows(`select distinct market_cap_rank from ${UPDATES}`)).flat(), ["1"]);
    await lake.reconcile();
  });
});

describe("a lake with decimals of another scale", () => {
  const folder = temporaryFolder();
  const OLD = { places_24: 18, places_8: 18 };
  const HELD = [UPDATES, MINUTES, "gold.fact_crypto_ticks", "gold.fact_crypto_hourly"];
  let lakes: Lakes;
  let lake: TestLake;

  before(async () => {
    lakes = await Lakes.open({ project: editableProject(join(folder.path, "project")) });
    lake = await lakes.fresh();
  });
  after(async () => {
    await lakes.close();
    folder.remove();
  });

  async function arrive(records: SourceRecord[], vars: Record<string, number>): Promise<void> {
    await lake.append(records);
    await lake.ingest();
    await lake.increment(vars);
  }

  async function load(table: string) {
    const [layer = "", name = ""] = table.split(".");
    return (await lake.open.catalog.loadTable({ namespace: [layer], name })).metadata;
  }

  const prices = () =>
    lake.rows(
      "select price::varchar, market_cap::varchar, dropped_figures from silver.crypto_price_updates order by price_at",
    );

  test("is converted by its next increment from its own rows, and earlier snapshots keep the old types", async () => {
    await arrive([page(0, { market_cap: 5 }), page(1, { market_cap: 1e23 })], OLD);
    assert.deepEqual(await prices(), [
      ["100.000000000000000000", "5.000000000000000000", null],
      ["101.000000000000000000", null, "market_cap"],
    ]);
    const before_tables = await Promise.all(HELD.map(load));
    await arrive([page(2, { current_price: 3.2e-20, market_cap: 1e23 })], {});
    assert.deepEqual(await prices(), [
      ["100.000000000000000000000000", "5.00000000", null],
      ["101.000000000000000000000000", null, "market_cap"],
      ["0.000000000000000000032000", "100000000000000000000000.00000000", null],
    ]);
    for (const [index, table] of HELD.entries()) {
      const [was, is] = [before_tables[index]!, await load(table)];
      // One snapshot for the conversion, one for the new rows.
      assert.equal(is.snapshots.length - was.snapshots.length, 2, table);
      const old = await lake.session.query(`select * from lake.${table} at (version => ${was["current-snapshot-id"]})`);
      assert.ok(
        old.columns.some(({ type }) => type === "DECIMAL(38,18)") &&
          !old.columns.some(({ type }) => type === "DECIMAL(38,24)"),
        table,
      );
    }
    await assertReadersAgree(
      lake.session,
      lake.open.server.url,
      HELD.map((table) => [table, null]),
    );
    await lake.reconcile();
  });

  test("recovers the values that the old type dropped by a full refresh, under its enforced contract", async () => {
    const broken = lake.increment({ places_8: 18, is_contract_enforced: true }, "--full-refresh");
    await assert.rejects(broken, /volume_24h[\s\S]*DECIMAL\(38,18\)[\s\S]*DECIMAL\(38,8\)[\s\S]*data type mismatch/);
    await lake.increment({ is_contract_enforced: true }, "--full-refresh");
    assert.deepEqual((await prices())[1], ["101.000000000000000000000000", "100000000000000000000000.00000000", null]);
    assert.deepEqual(
      (await lake.dbt("test", "--no-write-json", "--select", "tables_are_as_documented")).nodes.filter(
        ({ status }) => status === "fail",
      ),
      [],
    );
  });
});
