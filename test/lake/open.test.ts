import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { startCatalogServer } from "../../src/catalog/server.ts";
import { openLake } from "../../src/lake/open.ts";
import { QuerySession } from "../../src/duckdb/session.ts";
import { checkLakeName, findLake, openOrCreateLake, rememberAsCurrent, type Lake } from "../../src/lake/lake.ts";
import { claimLake } from "../../src/lake/ownership.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

const NO_DATABASE = "this is no database, and long enough to differ from an empty one\n".repeat(200);

test("a lake whose log cannot be opened leaves no catalog server running", async () => {
  const lake = openOrCreateLake(folder.path, { name: "torn", kind: "simulated", pipeline: "test" });
  const whole = await openLake(lake);
  const { port } = whole.server;
  await whole.close();
  writeFileSync(lake.log_file, NO_DATABASE);
  await assert.rejects(openLake(lake, { catalog_port: port }), { code: "LOG_CORRUPT" });
  const again = await startCatalogServer({ catalog: whole.catalog, port });
  await again.close();
});

test("a query session is read-only, and reads a table without a snapshot as empty", async () => {
  const open = await openLake(openOrCreateLake(folder.path, { name: "read", kind: "simulated", pipeline: "test" }));
  try {
    const session = await QuerySession.open(open);
    try {
      const schema = {
        type: "struct" as const,
        "schema-id": 0,
        fields: [{ id: 1, name: "price", type: "long", required: false }],
      };
      await open.catalog.createTable({ identifier: { namespace: ["gold"], name: "prices" }, schema });
      await assert.rejects(session.query("insert into gold.prices values (1)"), {
        code: "INVALID_SQL",
        message: /read-only/,
      });
      await assert.rejects(session.query("drop table gold.prices"), {
        code: "INVALID_SQL",
        message: /read-only/,
        next_step: /SELECT/,
      });
      assert.deepEqual(await session.hold(), [], "a table without a snapshot");
      assert.equal(await session.figure("select count(*) from gold.prices"), "0");
    } finally {
      session.close();
    }
  } finally {
    await open.close();
  }
});

test("a second claim of a lake fails with LAKE_IN_USE, a claim with a damaged file fails with another code", () => {
  const lake = openOrCreateLake(folder.path, { name: "owned", kind: "simulated", pipeline: "test" });
  const claim = claimLake(lake, "start");
  assert.throws(() => claimLake(lake, "start"), { code: "LAKE_IN_USE", message: new RegExp(`process ${process.pid}`) });
  claim.release();
  writeFileSync(join(lake.folder, "owner.db"), NO_DATABASE);
  assert.throws(() => claimLake(lake, "start"), { code: "LAKE_CANNOT_BE_CLAIMED" });
});

test("the lake started last is the default, and the previous one is returned", () => {
  const data = join(folder.path, "two");
  const [one, two] = ["one", "two"].map((name) =>
    openOrCreateLake(data, { name, kind: "simulated", pipeline: "test" }),
  ) as [Lake, Lake];
  assert.equal(rememberAsCurrent(data, one), null);
  assert.equal(rememberAsCurrent(data, one), null, "the same again");
  assert.equal(rememberAsCurrent(data, two), "one");
  assert.equal(findLake(data, null).name, "two");
});

test("a lake's name must be valid as the name of a folder", () => {
  for (const name of ["live", "replay-a.b", "two words", "é"]) assert.equal(checkLakeName(name), name);
  for (const name of ["", ".", "..", ".hidden", "../x", "a/b", "/x", "a\\b", " x", "a\0", "current", "cluster"])
    assert.throws(() => checkLakeName(name), { code: "INVALID_LAKE_NAME" }, name);
});

test("a modified lake description is rejected, so that real and simulated data never mix", () => {
  const data = join(folder.path, "changed");
  const request = { name: "simulated", kind: "simulated", pipeline: "crypto" } as const;
  const file = join(openOrCreateLake(data, request).folder, "lake.json");
  const whole = readFileSync(file, "utf8");
  const { sha256: _digest, ...described } = JSON.parse(whole) as Record<string, unknown>;
  for (const change of [{ kind: "live" }, { pipeline: "ecommerce" }, { warehouse: "file:///elsewhere" }]) {
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(whole) as object), ...change }));
    const changed = { code: "LAKE_UNREADABLE", message: /lake\.json: it was changed after Coinlake wrote it/ };
    assert.throws(() => findLake(data, "simulated"), changed);
    assert.throws(() => openOrCreateLake(data, { ...request, ...change } as typeof request), changed);
  }
  writeFileSync(file, JSON.stringify(described));
  assert.equal(findLake(data, "simulated").kind, "simulated", "an earlier version wrote no digest");
});
