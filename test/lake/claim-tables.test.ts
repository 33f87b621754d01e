import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { Catalog } from "../../src/catalog/catalog.ts";
import { SqliteStore } from "../../src/catalog/sqlite/store.ts";
import { claimTables } from "../../src/lake/cluster-services.ts";
import { openOrCreateLake } from "../../src/lake/lake.ts";
import { LAYERS } from "../../src/lake/layers.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { locationOfPath } from "../../src/storage/file/location.ts";
import { PRICE_SCHEMA } from "../catalog/lake.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

const lakeNamed = (name: string) => openOrCreateLake(folder.path, { name, kind: "simulated", pipeline: "crypto" });
const warehouse = locationOfPath(join(folder.path, "warehouse"));
const catalog = new Catalog({
  store: new SqliteStore(join(folder.path, "catalog.db")),
  storage: new FileStorage(),
  warehouse,
});
after(() => catalog.close());

const ownersOf = () =>
  Promise.all(LAYERS.map(async (layer) => (await catalog.namespaceProperties([layer]))["coinlake.lake"]));

test("a namespace with tables of another owner cannot be claimed as a layer", async () => {
  await catalog.createNamespace(["gold"], {});
  await catalog.createTable({ identifier: { namespace: ["gold"], name: "theirs" }, schema: PRICE_SCHEMA });
  await assert.rejects(claimTables(catalog, lakeNamed("one")), { code: "NAMESPACE_NOT_OWNED", message: /"gold"/ });
  assert.equal((await catalog.namespaceProperties(["gold"]))["coinlake.lake"], undefined);
  await catalog.dropTable({ namespace: ["gold"], name: "theirs" });
});

test("new and empty unclaimed layers are claimed for the lake, and another lake is rejected", async () => {
  await Promise.all([claimTables(catalog, lakeNamed("one")), claimTables(catalog, lakeNamed("one"))]);
  assert.deepEqual(
    await ownersOf(),
    LAYERS.map(() => "one"),
  );
  await claimTables(catalog, lakeNamed("one"));
  await assert.rejects(claimTables(catalog, lakeNamed("two")), { code: "TABLES_OF_ANOTHER_LAKE", message: /"one"/ });
});
