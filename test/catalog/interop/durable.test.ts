import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { OperatingError } from "../../../src/base/errors.ts";
import { createMakeDurable } from "../../../src/catalog/durable-snapshot.ts";
import { currentSnapshot } from "../../../src/iceberg/stage.ts";
import { pathOfLocation } from "../../../src/storage/file/location.ts";
import { FileStorage } from "../../../src/storage/file/storage.ts";
import { appendChange, openLake, PRICE_SCHEMA, type Lake } from "../lake.ts";

const storage = new FileStorage();
let lake: Lake;
let duckdb: DuckDBInstance;
let connection: DuckDBConnection;
/** Files in the tables' folders that were not durable before a pointer move. */
let late: string[] = [];
let pointers = 0;

function step(name: string): void {
  if (name !== "before pointer") return;
  pointers += 1;
  for (const entry of readdirSync(pathOfLocation(lake.warehouse), { recursive: true, withFileTypes: true })) {
    const path = `${entry.parentPath}/${entry.name}`;
    if (entry.isFile() && !storage.isKnownDurable(`file://${path}`)) late.push(path);
  }
}

/** Omits the manifest list of a snapshot that its own commit dropped (see join.ts), because the catalog deletes it. */
async function keptOf(paths: readonly string[]): Promise<string[]> {
  const tables = await lake.catalog.listTables(["gold"]);
  const loaded = await Promise.all(tables.map((identifier) => lake.catalog.loadTable(identifier)));
  const kept = new Set(
    loaded.flatMap(({ metadata }) => metadata.snapshots.map((snapshot) => String(snapshot["snapshot-id"]))),
  );
  return paths.filter((path) => kept.has(/\/snap-(\d+)-/.exec(path)?.[1] ?? "") || !path.includes("/snap-"));
}

before(async () => {
  lake = await openLake({ storage, makeDurable: createMakeDurable(storage), step });
  const { url } = await lake.serve();
  duckdb = await openDuckDB();
  connection = await duckdb.connect();
  await attachCatalog(connection, url, "lake");
  await lake.catalog.createNamespace(["gold"]);
});
after(async () => {
  connection.closeSync();
  duckdb.closeSync();
  await lake.close();
});

describe("all files of an engine's commit are durable before the pointer moves", () => {
  const statements = {
    "a table created from a query": "create table lake.gold.prices as select i as id, i % 3 as day from range(9) t(i)",
    "an empty table with partitions": "create table lake.gold.days (id bigint, day bigint) partitioned by (day)",
    "an insert into new partitions": "insert into lake.gold.days select i, i % 3 from range(9) t(i)",
    "a delete": "delete from lake.gold.days where id = 4",
    "a delete and an insert that are joined into one snapshot":
      "begin; delete from lake.gold.days where id < 3; " +
      "insert into lake.gold.days select i, i % 4 from range(20, 29) t(i); commit",
    "two tables in one transaction":
      "begin; insert into lake.gold.prices values (99, 1); insert into lake.gold.days values (99, 1); commit",
  };
  for (const [title, sql] of Object.entries(statements)) {
    test(title, async () => {
      late = [];
      pointers = 0;
      await connection.run(sql);
      assert.ok(pointers > 0);
      assert.deepEqual(await keptOf(late), []);
    });
  }

  test("a manifest that cannot be decoded makes every file of the table durable", async () => {
    const identifier = { namespace: ["gold"], name: "prices" };
    const { metadata } = await lake.catalog.loadTable(identifier);
    const head = currentSnapshot(metadata);
    assert.ok(head);
    const list = `${metadata.location}/metadata/foreign.avro`;
    const odd = `${metadata.location}/data/by another.parquet`;
    writeFileSync(
      pathOfLocation(list),
      Buffer.concat([readFileSync(pathOfLocation(head["manifest-list"])).subarray(0, 60)]),
    );
    writeFileSync(pathOfLocation(odd), "rows");
    const change = appendChange(
      metadata.location,
      identifier,
      4711,
      Number(metadata["last-sequence-number"]) + 1,
      head["snapshot-id"],
    );
    Object.assign(change.updates[0]?.["snapshot"] as object, { "manifest-list": list });
    late = [];
    await lake.catalog.commit([change]);
    assert.deepEqual(late, []);
    await lake.catalog.commit([
      {
        identifier,
        requirements: [],
        updates: [
          { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": head["snapshot-id"] },
        ],
      },
    ]);
  });

  test("a table that is registered from its metadata file", async () => {
    const { metadata_location } = await lake.catalog.loadTable({ namespace: ["gold"], name: "days" });
    await lake.catalog.dropTable({ namespace: ["gold"], name: "days" });
    const other_storage = new FileStorage();
    const other = lake.openAnother({ storage: other_storage, makeDurable: createMakeDurable(other_storage) });
    await other.registerTable({ identifier: { namespace: ["gold"], name: "registered" }, metadata_location });
    const table = await other.loadTable({ namespace: ["gold"], name: "registered" });
    const head = currentSnapshot(table.metadata);
    assert.ok(
      head && other_storage.isKnownDurable(head["manifest-list"]) && other_storage.isKnownDurable(metadata_location),
    );
    const data = readdirSync(pathOfLocation(`${table.metadata.location}/data`), {
      recursive: true,
      withFileTypes: true,
    }).filter((entry) => entry.isFile());
    assert.ok(data.length > 3);
    for (const file of data)
      assert.ok(other_storage.isKnownDurable(`file://${file.parentPath}/${file.name}`), file.name);
  });
});

describe("files that cannot be made durable", () => {
  test("fail the commit, and leave the table unchanged and no metadata file", async () => {
    const broken = Object.assign(Object.create(storage) as FileStorage, {
      syncAll: () =>
        Promise.reject(
          new OperatingError("STORAGE_FAILED", "the disk fails", { next_step: "Try again.", is_retryable: true }),
        ),
    });
    const catalog = lake.openAnother({ storage: broken, makeDurable: createMakeDurable(broken) });
    const identifier = { namespace: ["gold"], name: "unlucky" };
    const { metadata } = await catalog.createTable({ identifier, schema: PRICE_SCHEMA });
    await assert.rejects(catalog.commit([appendChange(metadata.location, identifier, 1, 1, null)]), {
      code: "STORAGE_FAILED",
    });
    assert.equal((await catalog.loadTable(identifier)).metadata["current-snapshot-id"], null);
    assert.equal(readdirSync(pathOfLocation(`${metadata.location}/metadata`)).length, 1);
  });

  test(
    "are skipped if missing, if pipes, or if outside local storage",
    { skip: process.platform === "win32" ? "no pipes in folders" : false },
    async () => {
      const folder = pathOfLocation(lake.warehouse);
      execFileSync("mkfifo", [`${folder}/pipe`]);
      const own = new FileStorage();
      await own.syncAll([
        `file://${folder}/pipe`,
        `file://${folder}/nothing/at all`,
        "s3://bucket/file",
        "relative",
        `file://${folder}/../x`,
        "file:///a\0b",
      ]);
      assert.equal(own.isKnownDurable("s3://bucket/file"), false);
    },
  );
});
