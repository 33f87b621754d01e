import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { UnknownOutcome } from "../../src/base/errors.ts";
import type { CatalogOptions } from "../../src/catalog/catalog.ts";
import type { Long, TableIdentifier } from "../../src/iceberg/model.ts";
import { SqliteStore } from "../../src/catalog/sqlite/store.ts";
import type { CatalogStore, PointerMove } from "../../src/catalog/store.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { appendChange as appendChangeIn, openLake, PRICE_SCHEMA, PRICES, type Lake } from "./lake.ts";

const filesOf = (location: string, folder = "metadata") =>
  readdir(pathOfLocation(`${location}/${folder}`)).then((names) => names.sort());
const setProperty = (identifier: TableIdentifier, name: string, value: string) => ({
  identifier,
  requirements: [],
  updates: [{ action: "set-properties", updates: { [name]: value } }],
});

let lake: Lake;
let tables = 0;
/** A new table in namespace bronze. */
async function newTable(properties: Record<string, string> = {}): Promise<TableIdentifier> {
  tables += 1;
  const identifier = { namespace: ["bronze"], name: `table_${tables}` };
  await lake.catalog.createTable({ identifier, schema: PRICE_SCHEMA, properties, location: folderOf(identifier) });
  return identifier;
}
const folderOf = ({ name }: TableIdentifier) => `${lake.warehouse}/bronze/${name}`;
const appendChange = (
  identifier: TableIdentifier,
  ...numbers: [id: Long, sequence_number: number, parent_id: Long | null]
) => appendChangeIn(folderOf(identifier), identifier, ...numbers);
before(async () => {
  lake = await openLake();
  await lake.catalog.createNamespace(["bronze"]);
});
after(() => lake.close());

describe("creating tables", () => {
  test("a new table has a metadata file and an empty data folder", async () => {
    const { metadata, metadata_location } = await lake.catalog.createTable({
      identifier: PRICES,
      schema: PRICE_SCHEMA,
      properties: { a: "1" },
    });
    assert.match(metadata_location, /\/metadata\/00000-[0-9a-f-]{36}\.metadata\.json$/);
    assert.ok(metadata.location.startsWith(`${lake.warehouse}/bronze/prices-`));
    assert.deepEqual(await filesOf(metadata.location, "data"), []);
    assert.deepEqual((await lake.openAnother().loadTable(PRICES)).metadata, metadata);
  });

  test("an existing name, a missing namespace and an empty name are rejected", async () => {
    const identifier = await newTable();
    await assert.rejects(lake.catalog.createTable({ identifier, schema: PRICE_SCHEMA }), { code: "TABLE_EXISTS" });
    await assert.rejects(
      lake.catalog.createTable({ identifier: { namespace: ["no"], name: "t" }, schema: PRICE_SCHEMA }),
      { code: "NAMESPACE_NOT_FOUND" },
    );
    await assert.rejects(
      lake.catalog.createTable({ identifier: { namespace: ["bronze"], name: "" }, schema: PRICE_SCHEMA }),
      { code: "INVALID_REQUEST" },
    );
  });

  test("one of three concurrent creations of a table succeeds, and the others leave no file", async () => {
    const identifier = { namespace: ["bronze"], name: "raced" };
    const location = `${lake.warehouse}/bronze/raced`;
    const create = () => lake.catalog.createTable({ identifier, schema: PRICE_SCHEMA, location });
    const outcomes = await Promise.allSettled([create(), create(), create()]);
    assert.deepEqual(outcomes.map((outcome) => outcome.status).sort(), ["fulfilled", "rejected", "rejected"]);
    for (const outcome of outcomes)
      if (outcome.status === "rejected") assert.equal(outcome.reason.code, "TABLE_EXISTS");
    assert.equal((await filesOf(location)).length, 1);
  });

  test("a staged table has folders but no pointer until a commit creates it", async () => {
    const identifier = { namespace: ["bronze"], name: "staged" };
    const metadata = await lake.catalog.stageTable({ identifier, schema: PRICE_SCHEMA });
    assert.equal(await lake.catalog.hasTable(identifier), false);
    assert.deepEqual(await filesOf(metadata.location), []);
    const create = {
      identifier,
      requirements: [{ type: "assert-create" }],
      updates: [
        { action: "assign-uuid", uuid: metadata["table-uuid"] },
        { action: "add-schema", schema: metadata.schemas[0] },
        { action: "set-current-schema", "schema-id": -1 },
        { action: "add-spec", spec: metadata["partition-specs"][0] },
        { action: "set-default-spec", "spec-id": -1 },
        { action: "add-sort-order", "sort-order": metadata["sort-orders"][0] },
        { action: "set-default-sort-order", "sort-order-id": -1 },
        { action: "set-location", location: metadata.location },
      ],
    };
    const [created] = await lake.catalog.commit([create]);
    assert.equal(created?.metadata["table-uuid"], metadata["table-uuid"]);
    await assert.rejects(lake.catalog.commit([create]), { code: "COMMIT_CONFLICT" });
  });

  test("tables of a namespace with a location get folders below it", async () => {
    await lake.catalog.createNamespace(["placed"], { location: `${lake.warehouse}/elsewhere/` });
    const { metadata } = await lake.catalog.createTable({
      identifier: { namespace: ["placed"], name: "días & noches" },
      schema: PRICE_SCHEMA,
    });
    assert.match(metadata.location, /\/elsewhere\/d_as___noches-[0-9a-f]{8}$/);
  });
});

describe("committing", () => {
  test("a commit writes one metadata file, whose metadata log names the previous one", async () => {
    const identifier = await newTable();
    const before_commit = await lake.catalog.loadTable(identifier);
    const [loaded] = await lake.catalog.commit([appendChange(identifier, 7n ** 22n, 1, null)]);
    assert.match(loaded?.metadata_location ?? "", /\/00001-/);
    assert.deepEqual(
      loaded?.metadata["metadata-log"].map((entry) => entry["metadata-file"]),
      [before_commit.metadata_location],
    );
    assert.deepEqual(await lake.catalog.loadTable(identifier), loaded);
    assert.deepEqual((await lake.openAnother().loadTable(identifier)).metadata, loaded?.metadata);
    assert.equal((await filesOf(before_commit.metadata.location)).length, 2);
  });

  test("a commit without changes writes no file", async () => {
    const identifier = await newTable();
    const { metadata_location, metadata } = await lake.catalog.loadTable(identifier);
    const [loaded] = await lake.catalog.commit([
      { identifier, requirements: [{ type: "assert-table-uuid", uuid: metadata["table-uuid"] }], updates: [] },
    ]);
    assert.equal(loaded?.metadata_location, metadata_location);
    assert.equal((await filesOf(metadata.location)).length, 1);
  });

  test("a failed requirement changes no table of the commit and leaves no file", async () => {
    const [left, right] = [await newTable(), await newTable()];
    const before_commit = [await lake.catalog.loadTable(left), await lake.catalog.loadTable(right)];
    await assert.rejects(lake.catalog.commit([appendChange(left, 1, 1, null), appendChange(right, 2, 1, 99)]), {
      code: "COMMIT_CONFLICT",
    });
    assert.deepEqual([await lake.catalog.loadTable(left), await lake.catalog.loadTable(right)], before_commit);
    for (const table of before_commit) assert.equal((await filesOf(table.metadata.location)).length, 1);
  });

  test("one commit changes several tables, but not one table twice, no table or a missing one", async () => {
    const [left, right] = [await newTable(), await newTable()];
    const loaded = await lake.catalog.commit([appendChange(left, 1, 1, null), appendChange(right, 2, 1, null)]);
    assert.deepEqual(
      loaded.map((table) => table.metadata["current-snapshot-id"]),
      [1, 2],
    );
    await assert.rejects(lake.catalog.commit([setProperty(left, "a", "1"), setProperty(left, "b", "2")]), {
      code: "INVALID_REQUEST",
    });
    await assert.rejects(lake.catalog.commit([]), { code: "INVALID_REQUEST" });
    await assert.rejects(lake.catalog.commit([setProperty({ namespace: ["bronze"], name: "nothing" }, "a", "1")]), {
      code: "TABLE_NOT_FOUND",
    });
  });

  test("concurrent compatible changes of a table all succeed", async () => {
    const identifier = await newTable();
    const other = lake.openAnother();
    await Promise.all(
      [0, 1, 2, 3].map((index) =>
        (index % 2 === 0 ? lake.catalog : other).commit([setProperty(identifier, `p${index}`, "set")]),
      ),
    );
    const { metadata } = await other.loadTable(identifier);
    assert.deepEqual(Object.keys(metadata.properties).sort(), ["p0", "p1", "p2", "p3"]);
    assert.equal((await filesOf(metadata.location)).length, 5);
  });

  test("metadata files that leave the metadata log are deleted", async () => {
    const own = await openLake();
    await own.catalog.createNamespace(["bronze"]);
    const { metadata } = await own.catalog.createTable({
      identifier: PRICES,
      schema: PRICE_SCHEMA,
      properties: { "write.metadata.previous-versions-max": "3" },
    });
    for (let index = 0; index < 10; index += 1) await own.catalog.commit([setProperty(PRICES, "index", String(index))]);
    await own.catalog.close();
    assert.deepEqual(
      (await filesOf(metadata.location)).map((name) => name.slice(0, 5)),
      ["00007", "00008", "00009", "00010"],
    );
    await own.close();
  });

  test("a commit without a requirement on main cannot discard another writer's snapshot", async () => {
    const identifier = await newTable();
    await lake.catalog.commit([{ ...appendChange(identifier, 1, 1, null), requirements: [] }]);
    const late = { ...appendChange(identifier, 2, 2, null), requirements: [] };
    await assert.rejects(lake.catalog.commit([late]), { code: "COMMIT_CONFLICT", is_retryable: true });
    assert.equal((await lake.catalog.loadTable(identifier)).metadata["current-snapshot-id"], 1);
  });

  test("the manifest list of a snapshot joined into another is deleted only after a successful commit", async () => {
    const own = await openLake();
    await own.catalog.createNamespace(["bronze"]);
    const { metadata } = await own.catalog.createTable({ identifier: PRICES, schema: PRICE_SCHEMA });
    const storage = new FileStorage();
    const listOf = (id: number) => `${metadata.location}/metadata/snap-${id}.avro`;
    const snapshot = (id: number, parent_id: number | null, summary: Record<string, string>) => ({
      action: "add-snapshot",
      snapshot: {
        "snapshot-id": id,
        "parent-snapshot-id": parent_id,
        "sequence-number": id,
        "timestamp-ms": 1_790_000_000_000,
        "manifest-list": listOf(id),
        summary,
      },
    });
    const change = {
      identifier: PRICES,
      requirements: [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": null }],
      updates: [
        snapshot(1, null, { operation: "delete", "added-delete-files": "1" }),
        snapshot(2, 1, { operation: "append", "added-data-files": "1" }),
        { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": 2 },
      ],
    };
    const lists = async () => (await filesOf(metadata.location)).filter((name) => name.endsWith(".avro"));
    for (const id of [1, 2]) await storage.write(listOf(id), new Uint8Array(1));
    const failing = own.openAnother({ step: (step) => assert.notEqual(step, "before pointer") });
    await assert.rejects(failing.commit([change]));
    const conflicting = {
      ...change,
      requirements: [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": 7 }],
    };
    await assert.rejects(own.catalog.commit([conflicting]), { code: "COMMIT_CONFLICT" });
    assert.deepEqual(await lists(), ["snap-1.avro", "snap-2.avro"]);
    const [loaded] = await own.catalog.commit([change]);
    assert.deepEqual(
      loaded?.metadata.snapshots.map((each) => each["snapshot-id"]),
      [2],
    );
    await own.catalog.close();
    assert.deepEqual(await lists(), ["snap-2.avro"]);
    assert.deepEqual(own.warnings, []);
    await own.close();
  });

  test("the failpoints before and after the pointer move are reached in order", async () => {
    const steps: string[] = [];
    const catalog = lake.openAnother({ step: (step) => steps.push(step) });
    const identifier = await newTable();
    await catalog.commit([setProperty(identifier, "a", "1")]);
    assert.deepEqual(steps, ["before pointer", "after pointer"]);
  });
});

/** A store whose pointer moves are replaced by `move`, and which is otherwise unchanged. */
function storeWith(inner: CatalogStore, move: (moves: readonly PointerMove[]) => Promise<void>): CatalogStore {
  return new Proxy(inner, {
    get(target, key) {
      if (key === "move") return move;
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("when moving the pointer fails", () => {
  function faulty(
    move: (inner: CatalogStore, moves: readonly PointerMove[]) => Promise<void>,
  ): Partial<CatalogOptions> {
    const inner = new SqliteStore(join(lake.folder, "catalog.sqlite"));
    return { store: storeWith(inner, (moves) => move(inner, moves)) };
  }

  test("an unknown outcome is reported as such, and files that may be published are kept", async () => {
    const identifier = await newTable();
    const catalog = lake.openAnother(
      faulty(async (inner, moves) => {
        await inner.move(moves);
        throw new UnknownOutcome("the answer got lost", null);
      }),
    );
    await assert.rejects(catalog.commit([appendChange(identifier, 1, 1, null)]), { code: "UNKNOWN_OUTCOME" });
    assert.equal(
      (await lake.openAnother().loadTable(identifier)).metadata["current-snapshot-id"],
      1,
      "it was published after all",
    );
  });

  test("an unexpected error is reported as an unknown outcome, and files are kept", async () => {
    const identifier = await newTable();
    const catalog = lake.openAnother(faulty(() => Promise.reject(new TypeError("surprise"))));
    await assert.rejects(catalog.commit([appendChange(identifier, 1, 1, null)]), { code: "UNKNOWN_OUTCOME" });
    const { metadata } = await lake.catalog.loadTable(identifier);
    assert.equal(metadata["current-snapshot-id"], null);
    assert.equal((await filesOf(metadata.location)).length, 2, "nothing was deleted");
  });

  test("a commit that loses to other writers five times fails with a conflict and leaves no file", async () => {
    const identifier = await newTable();
    let attempts = 0;
    const catalog = lake.openAnother(
      faulty(async (inner, moves) => {
        attempts += 1;
        await lake.catalog.commit([setProperty(identifier, "winner", String(attempts))]);
        await inner.move(moves);
      }),
    );
    await assert.rejects(catalog.commit([setProperty(identifier, "loser", "1")]), { code: "COMMIT_CONFLICT" });
    assert.equal(attempts, 5);
    const { metadata } = await lake.catalog.loadTable(identifier);
    assert.equal(metadata.properties["loser"], undefined);
    assert.equal((await filesOf(metadata.location)).length, 1 + attempts);
  });

  test("a failed write fails the commit and removes the files written before it", async () => {
    const [left, right] = [await newTable(), await newTable()];
    const { metadata } = await lake.catalog.loadTable(left);
    class FullDisk extends FileStorage {
      override async write(location: string, bytes: Uint8Array): Promise<void> {
        if (location.includes("/table_") && !location.startsWith(metadata.location))
          throw Object.assign(new Error("disk full"), { code: "STORAGE_FULL" });
        await super.write(location, bytes);
      }
    }
    const catalog = lake.openAnother({ storage: new FullDisk() });
    await assert.rejects(catalog.commit([setProperty(left, "a", "1"), setProperty(right, "a", "1")]), {
      code: "STORAGE_FULL",
    });
    assert.equal((await filesOf(metadata.location)).length, 1);
    assert.equal((await lake.catalog.loadTable(left)).metadata.properties["a"], undefined);
  });

  test("a store without multi-table commits rejects a commit of several tables", async () => {
    const [left, right] = [await newTable(), await newTable()];
    const inner = new SqliteStore(join(lake.folder, "catalog.sqlite"));
    const store = new Proxy(inner, {
      get: (target, key) => {
        const value = key === "is_multi_table" ? false : (Reflect.get(target, key, target) as unknown);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const catalog = lake.openAnother({ store });
    await assert.rejects(catalog.commit([setProperty(left, "a", "1"), setProperty(right, "a", "1")]), {
      code: "UNSUPPORTED",
    });
    await catalog.commit([setProperty(left, "a", "1")]);
  });
});

test("concurrent appends by three catalogs lose no update: each commits once or gets a conflict", async () => {
  const identifier = await newTable();
  const catalogs = [lake.catalog, lake.openAnother(), lake.openAnother()];
  const landed: number[] = [];
  let conflicts = 0;
  const write = async (writer: number) => {
    const catalog = catalogs[writer % catalogs.length] ?? lake.catalog;
    for (let row = 1; row <= 15;) {
      const { metadata } = await catalog.loadTable(identifier);
      const id = writer * 1000 + row;
      try {
        await catalog.commit([
          appendChange(identifier, id, Number(metadata["last-sequence-number"]) + 1, metadata["current-snapshot-id"]),
        ]);
        landed.push(id);
        row += 1;
      } catch (error) {
        assert.equal((error as { code?: string }).code, "COMMIT_CONFLICT");
        conflicts += 1;
      }
    }
  };
  await Promise.all([1, 2, 3, 4].map(write));
  const { metadata } = await lake.catalog.loadTable(identifier);
  assert.deepEqual(
    metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]),
    landed,
  );
  assert.deepEqual(
    metadata.snapshots.map((snapshot) => snapshot["sequence-number"]),
    Array.from({ length: 60 }, (_, index) => index + 1),
  );
  for (const [index, snapshot] of metadata.snapshots.entries())
    assert.equal(snapshot["parent-snapshot-id"], landed[index - 1]);
  assert.ok(conflicts > 0, "the race was one");
});

describe("listing", () => {
  test("pages contain every name once although a table is dropped meanwhile", async () => {
    const namespace = ["paged"];
    await lake.catalog.createNamespace(namespace);
    for (const name of ["a", "b", "c", "d", "e"])
      await lake.catalog.createTable({ identifier: { namespace, name }, schema: PRICE_SCHEMA });
    const seen: string[] = [];
    let page_token: string | undefined;
    for (;;) {
      const page = await lake.catalog.listTablesPage(namespace, { page_size: 2, page_token });
      seen.push(...page.items.map((identifier) => identifier.name));
      if (seen.includes("b") && (await lake.catalog.hasTable({ namespace, name: "a" })))
        await lake.catalog.dropTable({ namespace, name: "a" });
      if (page.next_page_token === null) break;
      page_token = page.next_page_token;
    }
    assert.deepEqual(seen, ["a", "b", "c", "d", "e"]);
    assert.deepEqual(
      (await lake.catalog.listTables(namespace)).map((identifier) => identifier.name),
      ["b", "c", "d", "e"],
    );
    await assert.rejects(lake.catalog.listTablesPage(namespace, { page_token: "not a token!" }), {
      code: "INVALID_REQUEST",
    });
  });

  test("nested namespaces are listed below their parent", async () => {
    await lake.catalog.createNamespace(["outer"]);
    await lake.catalog.createNamespace(["outer", "one"]);
    await lake.catalog.createNamespace(["outer", "two"]);
    const { items, next_page_token } = await lake.catalog.listNamespaces(["outer"], { page_size: 1 });
    assert.deepEqual(items, [["outer", "one"]]);
    assert.deepEqual((await lake.catalog.listNamespaces(["outer"], { page_token: next_page_token ?? "" })).items, [
      ["outer", "two"],
    ]);
    await assert.rejects(lake.catalog.listNamespaces(["nowhere"]), { code: "NAMESPACE_NOT_FOUND" });
  });
});

describe("renaming, registering and dropping", () => {
  test("a renamed table keeps its folder, and a new table of the old name gets another", async () => {
    const from = await newTable();
    const { metadata } = await lake.catalog.loadTable(from);
    const to = { namespace: ["bronze"], name: "renamed" };
    await lake.catalog.renameTable(from, to);
    assert.equal((await lake.catalog.loadTable(to)).metadata.location, metadata.location);
    await assert.rejects(lake.catalog.loadTable(from), { code: "TABLE_NOT_FOUND" });
    const again = await lake.catalog.createTable({ identifier: from, schema: PRICE_SCHEMA });
    assert.notEqual(again.metadata.location, metadata.location);
  });

  test("a dropped table can be registered from its metadata file, and replaced only with is_overwriting", async () => {
    const identifier = await newTable();
    const { metadata_location } = await lake.catalog.loadTable(identifier);
    await lake.catalog.commit([appendChange(identifier, 1, 1, null)]);
    await lake.catalog.dropTable(identifier);
    const registered = await lake.catalog.registerTable({ identifier, metadata_location });
    assert.equal(registered.metadata["current-snapshot-id"], null);
    await assert.rejects(lake.catalog.registerTable({ identifier, metadata_location }), { code: "TABLE_EXISTS" });
    await lake.catalog.registerTable({ identifier, metadata_location, is_overwriting: true });
  });

  test("a file that is not metadata cannot be registered, and the error does not quote it", async () => {
    const secret = join(lake.folder, "secret.txt");
    await writeFile(secret, "password");
    for (const metadata_location of [
      `${lake.warehouse}/nothing.json`,
      `file://${secret}`,
      "https://elsewhere/x.json",
    ]) {
      await assert.rejects(
        lake.catalog.registerTable({ identifier: { namespace: ["bronze"], name: "foreign" }, metadata_location }),
        (error: Error & { code?: string }) => error.code === "INVALID_REQUEST" && !error.message.includes("password"),
      );
    }
  });

  test("a drop keeps all files, a purge deletes those of its table", async () => {
    const [kept, purged] = [await newTable(), await newTable()];
    const [kept_location, purged_location] = [
      (await lake.catalog.loadTable(kept)).metadata.location,
      (await lake.catalog.loadTable(purged)).metadata.location,
    ];
    await new FileStorage().write(`${purged_location}/data/price_date=2025-10-10/1.parquet`, new Uint8Array(8));
    await lake.catalog.dropTable(kept);
    await lake.catalog.dropTable(purged, { is_purging: true });
    assert.equal((await filesOf(kept_location)).length, 1);
    await assert.rejects(filesOf(purged_location), { code: "ENOENT" });
    await assert.rejects(lake.catalog.dropTable(purged, { is_purging: true }), { code: "TABLE_NOT_FOUND" });
  });

  test("a purge keeps the files of a table with gc.enabled=false", async () => {
    const kept = await newTable({ "gc.enabled": "false" });
    await lake.catalog.dropTable(kept, { is_purging: true });
    assert.equal((await filesOf(folderOf(kept))).length, 1);
    assert.equal(lake.warnings.pop()?.code, "FILES_LEFT_BEHIND");
  });
});

test("changing namespace properties reports the updated, removed and missing ones", async () => {
  await lake.catalog.createNamespace(["described"], { a: "1", b: "2" });
  const change = { updates: { c: "3" }, removals: ["a", "a", "zzz"] };
  assert.deepEqual(await lake.catalog.changeNamespaceProperties(["described"], change), {
    updated: ["c"],
    removed: ["a"],
    missing: ["zzz"],
  });
  await assert.rejects(
    lake.catalog.changeNamespaceProperties(["described"], { updates: { b: "1" }, removals: ["b"] }),
    { code: "UNPROCESSABLE" },
  );
  assert.deepEqual(await lake.catalog.namespaceProperties(["described"]), { b: "2", c: "3" });
});

test("large metadata is compressed and small metadata is not, unless a table property says otherwise", async () => {
  const nameAfter = async (properties: Record<string, string>, snapshots: number) => {
    const identifier = await newTable(properties);
    for (let id = 1; id <= snapshots; id += 1)
      await lake.catalog.commit([appendChange(identifier, id, id, id === 1 ? null : id - 1)]);
    const loaded = await lake.catalog.loadTable(identifier);
    assert.deepEqual((await lake.openAnother().loadTable(identifier)).metadata, loaded.metadata);
    return loaded.metadata_location;
  };
  const long_text = "x".repeat(200_000);
  assert.doesNotMatch(await nameAfter({}, 1), /\.gz\./);
  assert.match(await nameAfter({ long_text }, 1), /\.gz\.metadata\.json$/);
  assert.match(await nameAfter({ "write.metadata.compression-codec": "gzip" }, 70), /\.gz\.metadata\.json$/);
  assert.doesNotMatch(await nameAfter({ long_text, "write.metadata.compression-codec": "none" }, 1), /\.gz\./);
});

test("a crafted metadata log cannot make a commit delete other files than the table's metadata", async () => {
  const storage = new FileStorage();
  const identifier = await newTable({ "write.metadata.previous-versions-max": "1" });
  const { metadata, metadata_location } = await lake.catalog.loadTable(identifier);
  const precious = [
    `file://${join(lake.folder, "v1.metadata.json")}`,
    `${lake.warehouse}/bronze/other/metadata/v1.metadata.json`,
    `${metadata.location}/../other/metadata/v2.metadata.json`,
    `${metadata.location}/data/1.parquet`,
  ];
  for (const location of precious) {
    await storage.makeFolder(location.replace("/../", "/").replace(/\/[^/]+$/, ""));
    await writeFile(location.slice("file://".length), "precious").catch((error: NodeJS.ErrnoException) =>
      assert.equal(error.code, "ENOENT"),
    );
  }
  const own = `${metadata.location}/metadata/00000-old.metadata.json`;
  await storage.write(own, new Uint8Array(1));
  const log = [...precious, own].map((file) => ({ "metadata-file": file, "timestamp-ms": 1 }));
  const crafted = `${metadata.location}/metadata/00001-crafted.metadata.json`;
  await storage.write(crafted, Buffer.from(JSON.stringify({ ...metadata, "metadata-log": log })));
  const store = new SqliteStore(join(lake.folder, "catalog.sqlite"));
  await store.move([{ identifier, expected: metadata_location, next: crafted, metadata, base: null }]);
  await store.close();
  const another = lake.openAnother();
  await another.commit([setProperty(identifier, "crafted", "yes")]);
  await another.close();
  for (const location of precious)
    if (!location.includes("/../")) assert.equal((await storage.read(location)).length, 8, location);
  await assert.rejects(storage.read(own), { code: "FILE_NOT_FOUND" });
});
