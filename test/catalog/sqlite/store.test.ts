import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transact } from "../../../src/catalog/sqlite/database.ts";
import { SqliteStore } from "../../../src/catalog/sqlite/store.ts";
import { pointerMove } from "../pointer-move.ts";
import { describeCatalogStore } from "../store-contract.ts";

const run = promisify(execFile);
let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "coinlake-store-"));
});
after(() => rm(folder, { recursive: true, force: true }));

describeCatalogStore("SQLite", async () => {
  const path = join(folder, "contract", "catalog.sqlite");
  const store = new SqliteStore(path);
  return {
    store,
    is_nesting: true,
    warehouse: "file:///lake/warehouse",
    unusual_name: "with space",
    openAnother: async () => new SqliteStore(path),
    close: () => store.close(),
  };
});

test("four processes that create a new file concurrently and increment one pointer lose no update", async () => {
  const path = join(folder, "processes.sqlite");
  const script = fileURLToPath(new URL("move-pointer.ts", import.meta.url));
  await Promise.all(Array.from({ length: 4 }, () => run(process.execPath, [script, path, "50"])));
  const reopened = new SqliteStore(path);
  assert.equal(await reopened.pointer({ namespace: ["shared"], name: "counter" }), "200");
  await reopened.close();
});

test("committed changes persist after the file is reopened", async () => {
  const path = join(folder, "again.sqlite");
  const first = new SqliteStore(path);
  await first.createNamespace(["n"], { a: "1" });
  await first.move([pointerMove({ namespace: ["n"], name: "t" }, null, "file:///1")]);
  await first.close();
  await first.close();
  const second = new SqliteStore(path);
  assert.equal(await second.pointer({ namespace: ["n"], name: "t" }), "file:///1");
  await second.close();
});

test("a corrupt file, a file of a later version and a path that cannot be opened are rejected", async () => {
  const junk = join(folder, "junk.sqlite");
  await writeFile(junk, "this is not a database, but long enough to look at ".repeat(20));
  assert.throws(() => new SqliteStore(junk), { code: "CATALOG_CORRUPT" });
  const later = join(folder, "later.sqlite");
  const database = new DatabaseSync(later);
  database.exec("pragma user_version = 99");
  database.close();
  assert.throws(() => new SqliteStore(later), { code: "CATALOG_FORMAT_UNKNOWN", message: /format 99/ });
  await writeFile(join(folder, "file"), "");
  assert.throws(() => new SqliteStore(join(folder, "file", "catalog.sqlite")), { code: "CATALOG_CANNOT_OPEN" });
});

test("a transaction that fails halfway changes nothing", async () => {
  const store = new SqliteStore(join(folder, "half.sqlite"));
  await store.createNamespace(["n"], {});
  const moves = [
    pointerMove({ namespace: ["n"], name: "first" }, null, "1"),
    pointerMove({ namespace: ["missing"], name: "second" }, null, "2"),
  ];
  await assert.rejects(store.move(moves), { code: "NAMESPACE_NOT_FOUND" });
  assert.deepEqual(await store.tableNames(["n"]), []);
  await store.close();
});

test("a transaction that fails at its commit for an unexpected reason has an unknown outcome", () => {
  const database = new DatabaseSync(":memory:");
  database.exec("create table parent (id integer primary key); create table child (id integer references parent (id))");
  const violate = () => database.exec("pragma defer_foreign_keys = on; insert into child values (1)");
  assert.throws(() => transact(database, violate), { code: "UNKNOWN_OUTCOME" });
  assert.equal(database.isTransaction, false);
  database.close();
});

test("a store that another process keeps locked fails with a retryable error instead of waiting forever", async () => {
  const path = join(folder, "locked.sqlite");
  const store = new SqliteStore(path);
  const holder = new DatabaseSync(path);
  holder.exec("begin immediate");
  await assert.rejects(store.createNamespace(["n"], {}), { code: "CATALOG_LOCKED", is_retryable: true });
  holder.exec("rollback");
  await store.createNamespace(["n"], {});
  holder.close();
  await store.close();
});
