import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Catalog } from "../../../src/catalog/catalog.ts";
import { HiveStore } from "../../../src/catalog/hive/store.ts";
import { startCatalogServer, type CatalogServer } from "../../../src/catalog/server.ts";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { openS3 } from "../../../src/duckdb/s3.ts";
import { pythonExecutable } from "../../../src/lake/tools.ts";
import { s3SettingsFrom } from "../../../src/storage/s3/settings.ts";
import { S3Storage } from "../../../src/storage/s3/storage.ts";
import { Servers } from "../servers.ts";

const run = promisify(execFile);
const script = fileURLToPath(new URL("hive_client.py", import.meta.url));

let servers: Servers;
let catalog: Catalog;
let server: CatalogServer;
/** The script's results, by case. */
let seen: Record<"made_here" | "made_there", Record<string, unknown>>;
before(async () => {
  servers = await Servers.start("hive");
  const { COINLAKE_HIVE_URI: uri = "", COINLAKE_WAREHOUSE: warehouse = "" } = servers.environment;
  const storage = new S3Storage(s3SettingsFrom(servers.environment));
  catalog = new Catalog({ store: new HiveStore({ uri, warehouse }), storage, warehouse });
  server = await startCatalogServer({ catalog, port: 0 });
  const { stdout } = await run(pythonExecutable(), [script, server.url, uri, warehouse], {
    env: { ...process.env, ...servers.environment },
  });
  seen = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
});
after(async () => {
  await server?.close();
  await catalog?.close();
  await servers?.leave();
});

test("Iceberg's Hive catalog reads and commits to a table made over REST; the REST catalog reads the commits", () => {
  const { by_hive, by_rest, by_hive_after, listed } = seen.made_here;
  const namespace = seen.made_here["namespace"] as Record<string, string>;
  assert.deepEqual(
    { by_hive, by_rest, by_hive_after, listed },
    {
      by_hive: ["bitcoin"],
      by_rest: ["bitcoin", "ether", "tether"],
      by_hive_after: ["bitcoin", "ether", "tether"],
      listed: [["ours", "prices"]],
    },
  );
  assert.equal(namespace["comment"], "made over REST");
  assert.equal(namespace["owner"], "ana");
});

test("a table's Hive entry has the columns, location, properties and statistics that Iceberg's catalog writes", () => {
  assert.deepEqual(seen.made_here["in_hive"], {
    type: "EXTERNAL_TABLE",
    columns: [
      ["coin", "string"],
      ["price", "decimal(38,18)"],
      ["price_date", "date"],
      ["note", "string"],
    ],
    is_location_told: true,
    is_pointer: true,
    is_previous: true,
    is_current: true,
    parameters: {
      table_type: "ICEBERG",
      EXTERNAL: "TRUE",
      numRows: "3",
      kept: "yes",
      gone: null,
      noted: "late",
      "engine.hive.lock-enabled": "false",
    },
  });
});

test("a column can be dropped, because Hive does not compare columns by position", () => {
  assert.deepEqual(seen.made_here["without_price"], ["coin", "price_date", "note"]);
});

test("a table made by Iceberg's Hive catalog is read, written, renamed and dropped over REST", () => {
  assert.deepEqual(seen.made_there, {
    by_rest: ["bitcoin"],
    listed: [["theirs", "prices"]],
    by_hive: ["bitcoin", "ether"],
    exists: false,
    namespaces: [["default"], ["ours"]],
  });
});

test("DuckDB writes a table through the catalog with all files in S3, and does not show the secret key", async () => {
  const instance = await openDuckDB();
  const connection = await instance.connect();
  const query = async (sql: string) => (await connection.runAndReadAll(sql)).getRowsJson();
  await openS3(connection, s3SettingsFrom(servers.environment));
  await attachCatalog(connection, server.url, "lake");
  await query("create schema lake.duck");
  await query("create table lake.duck.ticks (id bigint, coin varchar)");
  await query("insert into lake.duck.ticks select range, 'coin ' || range from range(1000)");
  await query("delete from lake.duck.ticks where id >= 900");
  assert.deepEqual(await query("select count(*), max(coin) from lake.duck.ticks"), [["900", "coin 99"]]);
  assert.deepEqual(await query("select coin from lake.ours.prices order by coin"), [
    ["bitcoin"],
    ["ether"],
    ["tether"],
  ]);
  const { metadata } = await catalog.loadTable({ namespace: ["duck"], name: "ticks" });
  assert.match(metadata.location, /^s3:\/\/warehouse\/duck\/ticks-/);
  assert.equal(metadata.properties["engine.hive.lock-enabled"], "false");
  const secrets = JSON.stringify(await query("from duckdb_secrets()"));
  assert.ok(!secrets.includes(servers.environment["AWS_SECRET_ACCESS_KEY"] ?? ""));
  connection.closeSync();
  instance.closeSync();
});
