import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Catalog } from "../../../src/catalog/catalog.ts";
import { startCatalogServer, type CatalogServer } from "../../../src/catalog/server.ts";
import { SqliteStore } from "../../../src/catalog/sqlite/store.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { openS3 } from "../../../src/duckdb/s3.ts";
import { openOrCreateLake } from "../../../src/lake/lake.ts";
import { runChecks } from "../../../src/quality/check.ts";
import { qualityPython } from "../../../src/quality/install.ts";
import { nameOf } from "../../../src/quality/result.ts";
import { s3SettingsFrom, type S3Settings } from "../../../src/storage/s3/settings.ts";
import { S3Storage } from "../../../src/storage/s3/storage.ts";
import { temporaryFolder } from "../../support/coinlake.ts";
import { makeBucket } from "../s3.ts";
import { Servers } from "../servers.ts";

const PRODUCTS = `select * from (values
  ('kraken', 'BTC/USD', 'bitcoin', 'BTC', 'USD'),
  ('kraken', 'ETH/EUR', 'ethereum', 'ETH', 'EUR')) as products (source, product, crypto_id, symbol, quote)`;

let servers: Servers;
let settings: S3Settings;
let catalog: Catalog;
let server: CatalogServer;
const folder = temporaryFolder();
before(async () => {
  servers = await Servers.start("minio");
  settings = s3SettingsFrom(servers.environment);
  const storage = new S3Storage(settings);
  catalog = new Catalog({
    store: new SqliteStore(join(folder.path, "catalog.db")),
    storage,
    warehouse: `s3://${await makeBucket(settings)}/warehouse`,
    warn: () => {},
  });
  server = await startCatalogServer({ catalog, port: 0 });
});
after(async () => {
  await server.close();
  await catalog.close();
  await servers.leave();
  folder.remove();
});

test("Great Expectations validates a table in S3, and reports the failed expectation with a sample", async () => {
  await catalog.createNamespace(["silver"]);
  await asEngine(`create table lake.silver.crypto_products as ${PRODUCTS}`);
  const { metadata } = await catalog.loadTable({ namespace: ["silver"], name: "crypto_products" });
  assert.match(metadata.location, /^s3:/);
  const name = "silver.crypto_products";
  const results = await runChecks({
    open: {
      lake: openOrCreateLake(folder.path, { name: "simulated", kind: "simulated", pipeline: "crypto" }),
      server,
      s3: settings,
    },
    plan: {
      tables: [{ name, snapshot_id: String(metadata["current-snapshot-id"]) }],
      batches: [{ table: name, part: "whole", condition: "true", digest: "" }],
      unchanged: [],
    },
    python: await qualityPython({ clock: systemClock, say: () => {} }),
    clock: systemClock,
  });
  assert.deepEqual(
    results.map(({ table, result }) => [table, result.rows, result.failed.map(nameOf)]),
    [[name, 2, ["Quotes are dollars or coins worth a dollar"]]],
  );
  assert.deepEqual(results[0]?.result.failed[0]?.sample, ["EUR"]);
});

async function asEngine(sql: string): Promise<void> {
  const instance = await openDuckDB();
  const connection = await instance.connect();
  try {
    await openS3(connection, settings);
    await attachCatalog(connection, server.url, "lake");
    await connection.run(sql);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
