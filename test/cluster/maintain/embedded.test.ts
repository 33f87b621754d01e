import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "../../../src/base/clock.ts";
import { SparkSession } from "../../../src/spark/session.ts";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { openLake, type OpenLake } from "../../../src/lake/open.ts";
import { openOrCreateLake } from "../../../src/lake/lake.ts";
import { embeddedMaintainer } from "../../../src/maintain/embedded.ts";
import { keepWithin } from "../../../src/maintain/retention.ts";
import { MaintenanceStore } from "../../../src/maintain/store.ts";
import { Servers } from "../servers.ts";

/** Each commit adds a data file, a delete file and their manifests, which every later commit reads. */
const COMMITS = 60;
const TABLE = "silver.events";
const IN_SPARK = `embedded.${TABLE}`;

let servers: Servers;
let spark: SparkSession;
let lake: OpenLake;
let store: MaintenanceStore;
let duckdb: Awaited<ReturnType<typeof openDuckDB>>;
let connection: Awaited<ReturnType<typeof duckdb.connect>>;

before(async () => {
  servers = await Servers.start("spark");
  lake = await openLake(
    openOrCreateLake(join(servers.data, "embedded"), { name: "simulated", kind: "simulated", pipeline: "crypto" }),
  );
  store = new MaintenanceStore(lake.lake.folder);
  await lake.catalog.createNamespace(["silver"]);
  duckdb = await openDuckDB({ threads: 1 });
  connection = await duckdb.connect();
  await attachCatalog(connection, lake.server.url, "lake");
  await connection.run(
    `CREATE TABLE lake.${TABLE} (id BIGINT, coin VARCHAR, value DECIMAL(38, 18), day DATE) PARTITIONED BY (day)`,
  );
  // Compressed, like the metadata of a table with hundreds of snapshots.
  const updates = { "write.metadata.compression-codec": "gzip" };
  await lake.catalog.commit([
    {
      identifier: { namespace: ["silver"], name: "events" },
      requirements: [],
      updates: [{ action: "set-properties", updates }],
    },
  ]);
  for (let commit = 0; commit < COMMITS; commit += 1) await write(commit);
  spark = new SparkSession({ remote: servers.environment.SPARK_REMOTE ?? "" });
  const settings = {
    type: "rest",
    uri: lake.server.url,
    "cache-enabled": "false",
    "io-impl": "org.apache.iceberg.hadoop.HadoopFileIO",
  };
  await spark.sql("set spark.sql.catalog.embedded=org.apache.iceberg.spark.SparkCatalog");
  for (const [key, value] of Object.entries(settings))
    await spark.sql(`set \`spark.sql.catalog.embedded.${key}\`=${value}`);
});
after(async () => {
  await spark?.release();
  connection?.closeSync();
  duckdb?.closeSync();
  store?.close();
  await lake?.close();
  await servers?.leave();
});

/** Deletes and inserts rows in one transaction, as dbt's increments do. */
async function write(commit: number): Promise<void> {
  const rows =
    `SELECT ${commit} * 3 + n, 'coin-' || (n % 2), (${commit}::DECIMAL(38, 18) + n) / 7, ` +
    `DATE '2026-03-01' + (${commit} % 3)::INTEGER FROM range(3) AS r(n)`;
  await connection.run(
    `BEGIN; DELETE FROM lake.${TABLE} WHERE id = ${commit * 3 - 2}; INSERT INTO lake.${TABLE} ${rows}; COMMIT`,
  );
}

const COLUMNS = ["id", "coin", "value", "day"];
async function inDuckDB(snapshot_id?: string): Promise<string[]> {
  const at = snapshot_id === undefined ? "" : ` AT (VERSION => ${snapshot_id})`;
  const reader = await connection.runAndReadAll(
    `SELECT id::VARCHAR, coin, value::VARCHAR, day::VARCHAR FROM lake.${TABLE}${at} ORDER BY id`,
  );
  return reader.getRows().map((row) => row.join(" "));
}
async function inSpark(snapshot_id?: string): Promise<string[]> {
  const at = snapshot_id === undefined ? "" : ` version as of ${snapshot_id}`;
  const rows = await spark.sql(
    "select cast(id as string) as id, coin, cast(value as string) as value, cast(day as string) as day " +
      `from ${IN_SPARK}${at} order by cast(id as bigint)`,
  );
  return rows.map((row) => COLUMNS.map((column) => String(row[column])).join(" "));
}

async function snapshotIds(): Promise<string[]> {
  const { metadata } = await lake.catalog.loadTable({ namespace: ["silver"], name: "events" });
  return metadata.snapshots.map((snapshot) => String(snapshot["snapshot-id"]));
}

function maintain(actions: ("compact" | "expire")[], options = {}) {
  const maintainer = embeddedMaintainer({
    open: lake,
    store,
    clock: systemClock,
    signal: new AbortController().signal,
  });
  return maintainer.maintain(TABLE, actions, options);
}

test("Spark reads the same rows as DuckDB, now and by snapshot, before and after compaction and expiry", async () => {
  const was = await inDuckDB();
  assert.deepEqual(await inSpark(), was);
  const [compaction] = await maintain(["compact"]);
  assert.ok(
    compaction !== undefined && compaction.after.files < compaction.before.files && compaction.after.delete_files === 0,
    JSON.stringify(compaction),
  );
  assert.deepEqual(await inSpark(), was);
  const [some] = (await snapshotIds()).slice(25, 26);
  assert.deepEqual(await inSpark(some), await inDuckDB(some));
  const ids = await snapshotIds();
  await maintain(["expire"], { expire: { snapshot_ids: ids.slice(0, -20).map(BigInt) } });
  assert.equal((await snapshotIds()).length, 20);
  assert.deepEqual(await inSpark(), was);
  for (const id of (await snapshotIds()).slice(0, 3)) assert.deepEqual(await inSpark(id), await inDuckDB(id));
});

test("Coinlake and Spark each compact and expire tables that the other wrote, without changing a row", async () => {
  await spark.sql(`insert into ${IN_SPARK} values (9001, 'coin-s', cast(1.5 as decimal(38, 18)), date '2026-03-02')`);
  await spark.sql(
    `alter table ${IN_SPARK} set tblproperties ` +
      "('write.delete.mode' = 'merge-on-read', 'write.merge.mode' = 'merge-on-read')",
  );
  await spark.sql(`delete from ${IN_SPARK} where id in (6, 9, 90)`);
  await spark.sql(
    `merge into ${IN_SPARK} as t using (select 12L as id) as s on t.id = s.id ` +
      "when matched then update set coin = 'merged'",
  );
  const was = await inSpark();
  assert.deepEqual(await inDuckDB(), was);
  await maintain(["compact"], { compact: { fan_in: 2 } });
  assert.deepEqual(await inDuckDB(), was);
  assert.deepEqual(await inSpark(), was);
  await write(COMMITS);
  await spark.sql(`delete from ${IN_SPARK} where id = ${COMMITS * 3}`);
  await spark.sql(
    `call embedded.system.rewrite_data_files(table => '${TABLE}', ` +
      "options => map('rewrite-all', 'true', 'remove-dangling-deletes', 'true'))",
    { timeout_ms: null },
  );
  await spark.sql(`call embedded.system.rewrite_manifests(table => '${TABLE}')`, { timeout_ms: null });
  await spark.sql(
    `call embedded.system.expire_snapshots(table => '${TABLE}', ` +
      "older_than => timestamp '2100-01-01', retain_last => 3)",
    { timeout_ms: null },
  );
  const now = await inSpark();
  assert.equal(now.length, was.length + 1);
  assert.deepEqual(await inDuckDB(), now);
  await write(COMMITS + 1);
  await maintain(["compact", "expire"], { compact: { fan_in: 2 }, expire: { policy: keepWithin(0) } });
  assert.deepEqual(await inSpark(), await inDuckDB());
  assert.equal((await snapshotIds()).length, 1);
});
