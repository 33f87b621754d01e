import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { openLake, type OpenLake } from "../../../src/lake/open.ts";
import { QuerySession } from "../../../src/duckdb/session.ts";
import { findLake, openOrCreateLake } from "../../../src/lake/lake.ts";
import { s3SettingsFrom } from "../../../src/storage/s3/settings.ts";
import { S3Storage } from "../../../src/storage/s3/storage.ts";
import { coinlake } from "../../support/coinlake.ts";
import { read, type Found } from "../../interop/readers.ts";
import { makeBucket } from "../s3.ts";
import { Servers } from "../servers.ts";

const LAKE = "simulated";
const TABLE = "gold.events";
const COMMITS = 4;

let servers: Servers;
let bucket = "";
let content: Found[];

before(async () => {
  servers = await Servers.start("minio");
  bucket = await makeBucket(s3SettingsFrom(servers.environment));
  const lake = openOrCreateLake(join(servers.data, "original"), {
    name: LAKE,
    kind: "simulated",
    pipeline: "crypto",
    warehouse: `s3://${bucket}/original`,
  });
  const open = await openLake(lake, { env: servers.environment });
  await open.catalog.createNamespace(["gold"]);
  const statements = [`CREATE TABLE lake.${TABLE} (id BIGINT, value DECIMAL(38, 18), day DATE) PARTITIONED BY (day)`];
  for (let commit = 0; commit < COMMITS; commit += 1) {
    const rows =
      `SELECT ${commit} * 3 + n, (${commit}::DECIMAL(38, 18) + n) / 7, DATE '2026-03-01' + (n % 2)::INTEGER ` +
      "FROM range(3) AS r(n)";
    statements.push(
      `BEGIN; DELETE FROM lake.${TABLE} WHERE id = ${commit * 3 - 2}; INSERT INTO lake.${TABLE} ${rows}; COMMIT`,
    );
  }
  await writeTo(open, ...statements);
  content = await contentOf(open);
  await open.close();
});
after(() => servers?.leave());

/** Runs statements by DuckDB, in which the catalog's name is `lake`. */
async function writeTo(open: OpenLake, ...statements: string[]): Promise<void> {
  const duckdb = await openDuckDB({ s3: open.s3 });
  const connection = await duckdb.connect();
  try {
    await attachCatalog(connection, open.server.url, "lake");
    for (const statement of statements) await connection.run(statement);
  } finally {
    connection.closeSync();
    duckdb.closeSync();
  }
}

async function contentOf(open: OpenLake): Promise<Found[]> {
  const session = await QuerySession.open(open);
  try {
    const { metadata } = await open.catalog.loadTable({ namespace: ["gold"], name: "events" });
    const found: Found[] = [];
    for (const id of [null, ...metadata.snapshots.map((snapshot) => String(snapshot["snapshot-id"]))])
      found.push(await read(session, TABLE, id));
    return found;
  } finally {
    session.close();
  }
}

async function run(...args: string[]): Promise<void> {
  const { code, stderr } = await coinlake(args, { ...servers.environment });
  assert.equal(code, 0, stderr);
}

test("a lake with tables in S3 is restored from S3, with its tables in S3 or on the local disk", async () => {
  assert.equal(content.length, COMMITS + 1);
  await run("backup", `s3://${bucket}/backup`, "--data", join(servers.data, "original"), "--lake", LAKE);
  await run("restore", `s3://${bucket}/backup`, "--data", join(servers.data, "local"));
  await run(
    "restore",
    `s3://${bucket}/backup`,
    "--data",
    join(servers.data, "again"),
    "--warehouse",
    `s3://${bucket}/again`,
  );
  const storage = new S3Storage(s3SettingsFrom(servers.environment));
  for await (const { location } of storage.list(`s3://${bucket}/original`)) await storage.delete(location);
  for (const data of ["local", "again"]) {
    const open = await openLake(findLake(join(servers.data, data), LAKE), { env: servers.environment });
    assert.deepEqual(await contentOf(open).finally(() => open.close()), content, data);
  }
});

test("a local lake is restored to S3, where every snapshot can be read and further commits succeed", async () => {
  const [data, warehouse] = [join(servers.data, "moved-to-s3"), `s3://${bucket}/moved`];
  await run("backup", join(servers.data, "on-disk"), "--data", join(servers.data, "local"), "--lake", LAKE);
  await run("restore", join(servers.data, "on-disk"), "--data", data, "--warehouse", warehouse);
  const lake = findLake(data, LAKE);
  assert.equal(lake.warehouse, warehouse);
  const open = await openLake(lake, { env: servers.environment });
  try {
    assert.deepEqual(await contentOf(open), content);
    await writeTo(open, `INSERT INTO lake.${TABLE} VALUES (100, 1, DATE '2026-03-01')`);
    const [now, ...earlier] = await contentOf(open);
    assert.notDeepEqual(now, content[0]);
    assert.deepEqual(earlier.slice(0, COMMITS), content.slice(1));
  } finally {
    await open.close();
  }
});

test("a restore does not write into a warehouse that has files", async () => {
  const { code, stderr } = await coinlake(
    ["restore", `s3://${bucket}/backup`, "--data", join(servers.data, "over"), "--warehouse", `s3://${bucket}/again`],
    { ...servers.environment },
  );
  assert.deepEqual([code, stderr.includes("WAREHOUSE_NOT_EMPTY")], [1, true], stderr);
});
