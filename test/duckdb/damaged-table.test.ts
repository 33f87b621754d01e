import assert from "node:assert/strict";
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { attachCatalog, openDuckDB } from "../../src/duckdb/duckdb.ts";
import { QuerySession } from "../../src/duckdb/session.ts";
import { openLake, type OpenLake } from "../../src/lake/open.ts";
import { openOrCreateLake } from "../../src/lake/lake.ts";
import { temporaryFolder } from "../support/coinlake.ts";

/** A given token, so that the test can search the sessions' output for it. */
const TOKEN = "0123456789abcdef0123456789abcdef";
const folder = temporaryFolder();
let lake: OpenLake;
let instance: DuckDBInstance;
let writer: DuckDBConnection;
let session: QuerySession;

before(async () => {
  const simulated = openOrCreateLake(folder.path, { name: "simulated", kind: "simulated", pipeline: "crypto" });
  lake = await openLake(simulated, { env: { COINLAKE_CATALOG_TOKEN: TOKEN } });
  session = await QuerySession.open(lake);
  instance = await openDuckDB();
  writer = await instance.connect();
  await attachCatalog(writer, lake.server.url, "lake", { token: TOKEN });
});
after(async () => {
  writer.closeSync();
  instance.closeSync();
  session.close();
  await lake.close();
  folder.remove();
});

let count = 0;
/** A table of two snapshots, and the manifests that each snapshot added, oldest first. */
async function newTable(): Promise<{ name: string; manifests: [string, string] }> {
  count += 1;
  const name = `silver.t_${count}`;
  const manifestsOf = async () => {
    const { metadata } = await lake.catalog.loadTable({ namespace: ["silver"], name: `t_${count}` });
    const cwd = pathOfLocation(`${metadata.location}/metadata`);
    return globSync("*-m*.avro", { cwd }).map((file) => join(cwd, file));
  };
  await writer.run(`create table lake.${name} (id bigint); insert into lake.${name} values (1)`);
  const first = await manifestsOf();
  await writer.run(`insert into lake.${name} values (2)`);
  const [one = "", two = ""] = [first[0], (await manifestsOf()).find((file) => !first.includes(file))];
  return { name, manifests: [one, two] };
}

const DAMAGE: Record<string, (file: string) => void> = {
  absent: (file) => rmSync(file),
  empty: (file) => writeFileSync(file, ""),
  truncated: (file) => writeFileSync(file, readFileSync(file).subarray(0, 1500)),
  overwritten: (file) => writeFileSync(file, Buffer.alloc(2000, 7)),
  "changed by one flipped byte": (file) => {
    const bytes = readFileSync(file);
    bytes[bytes.length - 60]! ^= 0xff;
    writeFileSync(file, bytes);
  },
};

describe("an unreadable manifest is an error that names it and never ends the process", () => {
  for (const [what, damage] of Object.entries(DAMAGE)) {
    test(`if it is ${what}`, async () => {
      const { name, manifests } = await newTable();
      assert.equal(await session.figure(`select count(*) from ${name}`), "2");
      damage(manifests[1]);
      const isNamed = (error: Error) => error.message.includes(manifests[1]) && error.message.includes("damaged");
      await assert.rejects(session.query(`select count(*) from ${name}`), isNamed);
      await assert.rejects(writer.run(`insert into lake.${name} values (3)`), isNamed);
      assert.equal(await session.figure("select 1"), "1", "the engine still works");
    });
  }

  test("if only an earlier snapshot needs it", async () => {
    await writer.run("create table lake.silver.emptied (id bigint); insert into lake.silver.emptied values (1)");
    const table = await lake.catalog.loadTable({ namespace: ["silver"], name: "emptied" });
    const [only = ""] = globSync("*-m*.avro", { cwd: pathOfLocation(`${table.metadata.location}/metadata`) });
    const updates = [{ action: "remove-snapshot-ref", "ref-name": "main" }];
    await lake.catalog.commit([{ identifier: table.identifier, requirements: [], updates }]);
    rmSync(join(pathOfLocation(`${table.metadata.location}/metadata`), only));
    assert.equal(await session.figure("select count(*) from silver.emptied"), "0", "now it is empty");
    const isNamed = (error: Error & { code?: string }) =>
      error.code === "TABLE_DAMAGED" && error.message.includes(only);
    await session.travelTo(Date.now());
    await assert.rejects(session.query("select count(*) from silver.emptied"), isNamed);
    await session.travelTo(null);
  });
});

test("a damaged table fails only the queries that use it, at present and in time travel", async () => {
  const { name: whole } = await newTable();
  const { name: damaged, manifests } = await newTable();
  rmSync(manifests[1]);
  const { name: without_metadata } = await newTable();
  const [, table = ""] = without_metadata.split(".");
  const { metadata_location } = await lake.catalog.loadTable({ namespace: ["silver"], name: table });
  rmSync(pathOfLocation(metadata_location));
  // Another process has read no metadata file yet.
  const other = await openLake(lake.lake, { env: { COINLAKE_CATALOG_TOKEN: TOKEN } });
  const reader = await QuerySession.open(other);
  try {
    for (const bind of [() => reader.travelTo(null), () => reader.hold(), () => reader.travelTo(Date.now())]) {
      await bind();
      assert.equal(await reader.figure(`select count(*) from ${whole}`), "2");
      for (const [unreadable, file] of [
        [damaged, manifests[1]],
        [without_metadata, metadata_location],
      ] as const) {
        await assert.rejects(reader.query(`select count(*) from ${unreadable}`), (error: Error) =>
          error.message.includes(file),
        );
      }
    }
    assert.ok(reader.has(whole));
    assert.throws(() => reader.has(damaged), { code: "TABLE_DAMAGED" });
    assert.ok(!reader.has("silver.none"));
  } finally {
    reader.close();
    await other.close();
  }
});

test("table metadata with another partition spec than the manifests fails a query, never the process", async () => {
  const identifier = { namespace: ["silver"], name: "parts" };
  const fields = [{ id: 1, name: "day", type: "date", required: false }];
  const spec = [{ name: "day", transform: "identity", "source-id": 1, "field-id": 1000 }];
  await lake.catalog.createTable({
    identifier,
    schema: { type: "struct", "schema-id": 0, fields },
    partition_spec: { "spec-id": 0, fields: spec },
  });
  await writer.run("insert into lake.silver.parts values (date '2026-01-01')");
  assert.equal(await session.figure("select count(*) from silver.parts"), "1");
  const file = pathOfLocation((await lake.catalog.loadTable(identifier)).metadata_location);
  const whole = readFileSync(file, "utf8");
  for (const changed of [[], [{ ...spec[0], transform: "bucket[16]" }]]) {
    const metadata = JSON.parse(whole) as { "partition-specs": { fields: object[] }[] };
    for (const one of metadata["partition-specs"]) one.fields = changed;
    writeFileSync(file, JSON.stringify(metadata));
    const other = await openLake(lake.lake, { env: { COINLAKE_CATALOG_TOKEN: TOKEN } });
    const reader = await QuerySession.open(other);
    try {
      const damaged = { code: "TABLE_DAMAGED", message: /it is partitioned by identity of 1 as 1000, and the table/ };
      await assert.rejects(reader.query("select count(*) from silver.parts"), damaged);
      await reader.hold();
      await assert.rejects(reader.query("select count(*) from silver.parts"), damaged);
    } finally {
      reader.close();
      await other.close();
    }
  }
  writeFileSync(file, whole);
});
