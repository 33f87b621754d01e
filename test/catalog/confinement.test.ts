import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { canonicalFolder, isBelow, overlaps } from "../../src/catalog/confinement.ts";
import { formatJson } from "../../src/iceberg/json.ts";
import type { TableIdentifier, TableMetadata, Update } from "../../src/iceberg/model.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { appendOf, openLake, PRICE_SCHEMA, type Lake } from "./lake.ts";

let lake: Lake;
let outside = "";
before(async () => {
  lake = await openLake();
  outside = `file://${join(lake.folder, "outside")}`;
  await lake.catalog.createNamespace(["bronze"]);
  await new FileStorage().write(`${outside}/metadata/precious.metadata.json`, new Uint8Array(1));
});
after(() => lake.close());

let count = 0;
async function newTable(location?: string): Promise<{ identifier: TableIdentifier; metadata: TableMetadata }> {
  count += 1;
  const identifier = { namespace: ["bronze"], name: `t_${count}` };
  const { metadata } = await lake.catalog.createTable({ identifier, schema: PRICE_SCHEMA, location });
  return { identifier, metadata };
}
const rejected = (error: Error & { code?: string }) =>
  error.code === "INVALID_REQUEST" && error.message.startsWith("Invalid ");

describe("locations", () => {
  test("equivalent locations have one canonical form", () => {
    assert.equal(canonicalFolder("file:/lake/t/"), "file:///lake/t");
    assert.equal(canonicalFolder("file://localhost/lake/t"), "file:///lake/t");
    assert.equal(canonicalFolder("s3a://bucket/t//"), "s3://bucket/t");
  });

  test("only a plain path below a folder counts as below it", () => {
    const folder = "file:///lake/100% mine/warehouse";
    for (const below of ["t", "a b/t-1", "ü/t", "price_date=2026-01-01"])
      assert.ok(isBelow(`${folder}/${below}`, folder), below);
    const paths = ["", "/", "../t", "a/../../t", "./t", "a//t", "a%2F..%2Ft", "%2e%2e/t"];
    for (const not of [...paths, "a\\..\\t", "a\0b", "a\nb", "t?x", "t#x", "t*"]) {
      assert.ok(!isBelow(`${folder}/${not}`, folder), JSON.stringify(not));
    }
    assert.ok(!isBelow("file:///lake/100% mine/warehouse-2/t", folder));
    assert.ok(!isBelow("s3://lake/t", folder));
  });

  test("folders overlap if one equals or contains the other, ignoring case", () => {
    assert.ok(overlaps("file:///w/T", "file:/w/t/x"));
    assert.ok(overlaps("s3a://b/w/t/x", "s3://b/w/t"));
    assert.ok(!overlaps("file:///w/t", "file:///w/t2"));
  });
});

describe("a table's folder", () => {
  test("must be below the warehouse and apart from that of every other table", async () => {
    const { metadata } = await newTable();
    const { location: own } = metadata;
    const bad = [
      outside,
      lake.warehouse,
      `${lake.warehouse}/../x`,
      `${lake.warehouse}/bronze`,
      own,
      `${own}/data/x`,
      `${own}/metadata`,
    ];
    for (const location of [...bad, `${lake.warehouse}/bronze/${own.split("/").at(-1)?.toUpperCase()}`]) {
      const identifier = { namespace: ["bronze"], name: "elsewhere" };
      await assert.rejects(
        lake.catalog.createTable({ identifier, schema: PRICE_SCHEMA, location }),
        rejected,
        location,
      );
      await assert.rejects(lake.catalog.stageTable({ identifier, schema: PRICE_SCHEMA, location }), rejected, location);
      const updates = [...CREATION, { action: "set-location", location }];
      await assert.rejects(
        lake.catalog.commit([{ identifier, requirements: [{ type: "assert-create" }], updates }]),
        rejected,
        location,
      );
    }
    assert.ok(!existsSync(pathOfLocation(`${outside}/data`)), "nothing was made there");
  });

  test("must stay apart from other tables when a commit moves it", async () => {
    const [one, other] = [await newTable(), await newTable()];
    const move = (location: string) =>
      lake.catalog.commit([
        { identifier: one.identifier, requirements: [], updates: [{ action: "set-location", location }] },
      ]);
    for (const location of [outside, lake.warehouse, other.metadata.location, `${other.metadata.location}/data`]) {
      await assert.rejects(move(location), rejected, location);
    }
    await move(`${lake.warehouse}/moved/one`);
    // The table's earlier files are still in the earlier folder.
    await assert.rejects(newTable(one.metadata.location), rejected);
  });

  test("must be below the warehouse for a namespace too", async () => {
    await assert.rejects(lake.catalog.createNamespace(["away"], { location: outside }), rejected);
    const change = { updates: { location: `${lake.warehouse}/..` }, removals: [] };
    await assert.rejects(lake.catalog.changeNamespaceProperties(["bronze"], change), rejected);
  });

  /** The updates of a commit that creates a table, without its location. */
  const CREATION: readonly Update[] = [
    { action: "add-schema", schema: PRICE_SCHEMA },
    { action: "set-current-schema", "schema-id": -1 },
    { action: "add-spec", spec: { fields: [] } },
    { action: "set-default-spec", "spec-id": -1 },
    { action: "add-sort-order", "sort-order": { fields: [] } },
    { action: "set-default-sort-order", "sort-order-id": -1 },
  ];
});

const setProperties = (updates: Record<string, string>): Update[] => [{ action: "set-properties", updates }];

describe("files named by a commit", () => {
  test("must be in the table's folder: manifest lists, statistics, folders for new files", async () => {
    const { identifier, metadata } = await newTable();
    const statistics = { "snapshot-id": 1, "statistics-path": `${outside}/x.stats`, "file-size-in-bytes": 1 };
    const updates: Update[][] = [
      appendOf(1, 1, null, "main", outside),
      appendOf(1, 1, null, "main", `${metadata.location}/../x`),
      [{ action: "set-statistics", statistics }],
      [{ action: "set-partition-statistics", "partition-statistics": statistics }],
      ...["write.data.path", "write.metadata.path", "write.object-storage.path"].map((name) =>
        setProperties({ [name]: `${outside}/data` }),
      ),
    ];
    const commit = (change: Update[]) => lake.catalog.commit([{ identifier, requirements: [], updates: change }]);
    for (const change of updates) await assert.rejects(commit(change), rejected, JSON.stringify(change));
    await commit([
      ...appendOf(1, 1, null, "main", metadata.location),
      ...setProperties({ "write.data.path": `${metadata.location}/d` }),
    ]);
  });

  test("are not deleted outside the table's folder, even if another program's metadata log names them", async () => {
    const { identifier, metadata } = await newTable();
    const precious = `${outside}/metadata/precious.metadata.json`;
    // The metadata of a program that writes files directly.
    const log = [{ "metadata-file": precious, "timestamp-ms": 1 }];
    const crafted = { ...metadata, "metadata-log": log, properties: { "write.metadata.previous-versions-max": "1" } };
    const location = `${metadata.location}/metadata/00001-crafted.metadata.json`;
    await new FileStorage().write(location, Buffer.from(formatJson(crafted)));
    await lake.catalog.dropTable(identifier);
    await assert.rejects(lake.catalog.registerTable({ identifier, metadata_location: location }), rejected);
    const store = lake.openAnother();
    await lake.catalog.createTable({ identifier, schema: PRICE_SCHEMA });
    // The same if the metadata reached the store without the catalog.
    const { metadata_location } = await store.loadTable(identifier);
    await unlink(pathOfLocation(metadata_location));
    await new FileStorage().write(metadata_location, Buffer.from(formatJson(crafted)));
    const fresh = lake.openAnother();
    for (const value of ["1", "2", "3"])
      await fresh.commit([{ identifier, requirements: [], updates: setProperties({ value }) }]);
    await fresh.close();
    assert.equal((await readFile(pathOfLocation(precious))).length, 1);
  });
});

describe("a registered table", () => {
  const register = (metadata_location: string, name = "adopted") =>
    lake.catalog.registerTable({ identifier: { namespace: ["bronze"], name }, metadata_location });

  test("must have its metadata file in its own folder and share that folder with no other table", async () => {
    const { identifier, metadata } = await newTable();
    const { metadata_location } = await lake.catalog.loadTable(identifier);
    await assert.rejects(register(metadata_location), rejected, "another table is there");
    await assert.rejects(register(`${outside}/metadata/precious.metadata.json`), rejected);
    await assert.rejects(register(`${lake.warehouse}/../outside/metadata/precious.metadata.json`), rejected);
    await lake.catalog.dropTable(identifier);
    const write = async (name: string, changes: Partial<TableMetadata>) => {
      const location = `${metadata.location}/metadata/${name}.metadata.json`;
      await new FileStorage().write(location, Buffer.from(formatJson({ ...metadata, ...changes })));
      return location;
    };
    await assert.rejects(register(await write("a", { location: outside })), rejected);
    await assert.rejects(register(await write("b", { location: lake.warehouse })), rejected);
    await assert.rejects(register(await write("c", { location: `${lake.warehouse}/bronze/elsewhere` })), rejected);
    await assert.rejects(
      register(await write("d", { statistics: [{ "snapshot-id": 1, "statistics-path": `${outside}/x` }] })),
      rejected,
    );
    assert.equal((await register(metadata_location)).metadata_location, metadata_location);
  });

  test("is read only from a regular file of bounded size", { skip: process.platform === "win32" }, async () => {
    const folder = pathOfLocation(`${lake.warehouse}/odd/metadata`);
    mkdirSync(folder, { recursive: true });
    const make: Record<string, (path: string) => void> = {
      pipe: (path) => execFileSync("mkfifo", [path]),
      folder: (path) => mkdirSync(path),
      large: (path) => {
        writeFileSync(path, "{");
        truncateSync(path, 10 * 1024 ** 3);
      },
    };
    for (const [name, put] of Object.entries(make)) put(join(folder, `${name}.metadata.json`));
    // More pipes at once than the process has threads for file access.
    const names = [...Array.from({ length: 12 }, () => "pipe"), "folder", "large", "none"];
    const attempts = names.map((name) => register(`${lake.warehouse}/odd/metadata/${name}.metadata.json`, "odd"));
    await Promise.all(attempts.map((attempt) => assert.rejects(attempt, { code: "INVALID_REQUEST" })));
  });
});

test("invalid names are rejected, and unusual names become safe folder names", async () => {
  const bad = ["", ".", "..", "a\nb", "a\x00b", "a\x7fb", "\x1f", "\uD800", "x".repeat(256)];
  for (const name of bad) {
    const identifier = { namespace: ["bronze"], name };
    await assert.rejects(
      lake.catalog.createTable({ identifier, schema: PRICE_SCHEMA }),
      rejected,
      JSON.stringify(name),
    );
    await assert.rejects(lake.catalog.createNamespace([name]), rejected, JSON.stringify(name));
    await assert.rejects(lake.catalog.createNamespace(["bronze", name]), rejected, JSON.stringify(name));
  }
  const { identifier } = await newTable();
  for (const name of bad) {
    await assert.rejects(
      lake.catalog.renameTable(identifier, { namespace: ["bronze"], name }),
      rejected,
      JSON.stringify(name),
    );
  }
  for (const name of ["a%2Fb", "../x", "a/b", "x".repeat(255), "ünï", "...", "C:\\x", "-rf", "$(x)"]) {
    const { metadata } = await lake.catalog.createTable({
      identifier: { namespace: ["bronze"], name },
      schema: PRICE_SCHEMA,
    });
    assert.match(metadata.location.slice(lake.warehouse.length), /^\/bronze\/[A-Za-z0-9_-]+$/);
  }
});
