import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { lakeFigures } from "../../bench/lake-figures.ts";
import { SimulatedDay } from "../../bench/day.ts";
import { currentAt, historyOf } from "../../src/iceberg/metadata/history.ts";
import { tableNamed } from "../../src/iceberg/errors.ts";
import { QuerySession } from "../../src/duckdb/session.ts";
import { snapshotsToKeep, DEFAULT_RETENTION } from "../../src/maintain/retention.ts";
import { MaintenanceStore } from "../../src/maintain/store.ts";
import { crypto } from "../../pipelines/crypto.ts";
import { temporaryFolder } from "../support/coinlake.ts";

/**
 * The day of `npm run -s bench -- day`, reduced to forty minutes with few records and without dbt: the same lake twice,
 * over the same simulated time, with and without maintenance.
 */

/** One append-only table, and two whose rows are replaced: one with partitions and one without. */
const light_tables = ["silver.crypto_price_updates", "silver.crypto_prices_clean", "gold.dim_crypto"];
const MARKET = { is_light: true, light_tables, coins: 5, interval_ms: 30_000, history_ms: 0 };
const MINUTES = 40;
const TABLES = [crypto.bronze.table, ...light_tables];
const MAX_FILES = 1_500;

const folder = temporaryFolder();
let maintained: SimulatedDay;
let plain: SimulatedDay;
const sessions: QuerySession[] = [];

before(async () => {
  maintained = await SimulatedDay.open(`${folder.path}/maintained`, MARKET);
  plain = await SimulatedDay.open(`${folder.path}/plain`, { ...MARKET, is_maintained: false });
  for (const day of [maintained, plain]) {
    await day.runUntil(day.clock.now_us() + MINUTES * 60_000_000);
    sessions.push(await QuerySession.open(day.lake));
  }
});
after(async () => {
  for (const session of sessions) session.close();
  await maintained?.close();
  await plain?.close();
  folder.remove();
});

/** Row count and a sum over all values of each snapshot, in one statement. */
async function readSnapshots(day: 0 | 1, table: string, ids: readonly unknown[]): Promise<string[]> {
  const select = (id: unknown, index: number): string =>
    `select ${index} as nth, count(*), sum(hash(rows)::hugeint) ` +
    `from (from lake.${table} at (version => ${String(id)})) as rows`;
  const { rows } = (await sessions[day]?.query(`${ids.map(select).join(" union all ")} order by nth`)) ?? assert.fail();
  return rows.map(([, count, sum]) => `${count} rows, ${sum}`);
}

test("maintenance keeps the lake within its limit of files, and compacts and expires every table", async () => {
  const [with_it, without] = [
    await lakeFigures(maintained.lake.lake, maintained.lake),
    await lakeFigures(plain.lake.lake, plain.lake),
  ];
  assert.ok(with_it.files <= MAX_FILES, `${with_it.files} files`);
  assert.ok(
    with_it.most_live_files < without.most_live_files / 2,
    `${with_it.most_live_files} live files, ${without.most_live_files} without maintenance`,
  );
  const store = new MaintenanceStore(maintained.lake.lake.folder);
  try {
    const done = new Set(store.runs({ limit: 1_000 }).map(({ action, table }) => `${action} ${table}`));
    assert.deepEqual(
      [...done].filter((run) => run.startsWith("compact")).sort(),
      TABLES.map((table) => `compact ${table}`).sort(),
    );
    assert.deepEqual(
      [...done].filter((run) => run.startsWith("expire")).sort(),
      TABLES.map((table) => `expire ${table}`).sort(),
    );
  } finally {
    store.close();
  }
});

test("every snapshot promised by the retention policy has the values of a lake without maintenance", async () => {
  for (const table of TABLES) {
    const [{ metadata }, { metadata: reference }] = [
      await maintained.lake.catalog.loadTable(tableNamed(table)),
      await plain.lake.catalog.loadTable(tableNamed(table)),
    ];
    const times = new Set(historyOf(metadata).map(({ at_ms }) => at_ms));
    const promised = snapshotsToKeep(reference, DEFAULT_RETENTION, maintained.clock.now_us() / 1000);
    for (const { snapshot_id, at_ms } of historyOf(reference)) {
      if (promised.has(snapshot_id))
        assert.ok(times.has(at_ms), `${table} of ${new Date(at_ms).toISOString()} has expired`);
    }
    // One of several snapshots that became current in the same millisecond is enough: a compaction changes no row.
    const idsIn = (of: typeof metadata): unknown[] => [...times].map((at_ms) => currentAt(of, at_ms)?.snapshot_id);
    assert.deepEqual(
      await readSnapshots(0, table, idsIn(metadata)),
      await readSnapshots(1, table, idsIn(reference)),
      table,
    );
  }
});

test("bronze has every log offset exactly once", async () => {
  const [row] = (
    await (sessions[0] ?? assert.fail()).query(
      "select count(*), count(distinct log_offset), max(log_offset) + 1 from lake.bronze.crypto_ticks_raw",
    )
  ).rows;
  assert.deepEqual(row, Array(3).fill(String((MINUTES * 60_000) / MARKET.interval_ms)));
});
