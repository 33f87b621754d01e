import assert from "node:assert/strict";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { locationOfPath } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { deleteOwnFiles, isInFolder } from "../../src/storage/own-files.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
const storage = new FileStorage();
const pathIn = (...names: string[]): string => join(folder.path, ...names);
const warehouse = locationOfPath(pathIn("warehouse"));
const table = `${warehouse}/gold/own`;

function file(...names: string[]): string {
  const path = pathIn(...names);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "precious");
  return path;
}

before(() => {
  file("warehouse", "gold", "own", "data", "inside.parquet");
  mkdirSync(pathIn("outside"));
  symlinkSync(pathIn("outside"), pathIn("warehouse", "gold", "own", "link"));
  symlinkSync(pathIn("outside"), pathIn("warehouse", "gold", "linked"));
  symlinkSync(pathIn("warehouse"), pathIn("alias"));
});
after(() => folder.remove());

/** Locations of files outside the table's folder. */
const OUTSIDE: [name: string, folder: string, location: () => string][] = [
  ["elsewhere on the disk", table, () => locationOfPath(file("outside", "a"))],
  ["by ..", table, () => `${table}/../../../${file("outside", "b").split("/").slice(-2).join("/")}`],
  [
    "by .. in the folder's own name",
    `${table}/../../../outside`,
    () => `${table}/../../../outside/${file("outside", "c").split("/").at(-1)}`,
  ],
  ["through a symbolic link in the folder", table, () => `${table}/link/${file("outside", "d").split("/").at(-1)}`],
  [
    "in a folder that is a symbolic link",
    `${warehouse}/gold/linked`,
    () => `${warehouse}/gold/linked/${file("outside", "e").split("/").at(-1)}`,
  ],
  [
    "in a folder outside of the warehouse",
    locationOfPath(pathIn("outside")),
    () => locationOfPath(file("outside", "f")),
  ],
  ["in the warehouse as the folder", warehouse, () => locationOfPath(file("warehouse", "gold", "other", "g"))],
  ["in a sibling whose name begins alike", table, () => locationOfPath(file("warehouse", "gold", "own-2", "h"))],
];

for (const [name, own, location] of OUTSIDE) {
  test(`a file outside the table's folder is not deleted: ${name}`, async () => {
    const named = location();
    assert.deepEqual(await deleteOwnFiles({ storage, warehouse }, own, [named]), [named]);
    const path = named.slice("file://".length);
    assert.ok(existsSync(path), path);
  });
}

test("a table's file is deleted for any spelling of its location and folder, a link without its target", async () => {
  const inside = `${table}/data/inside.parquet`;
  assert.deepEqual(
    await deleteOwnFiles({ storage, warehouse }, table, [
      inside.replace("file:///", "file:/"),
      `${table}/data/gone.parquet`,
    ]),
    [],
  );
  assert.equal(existsSync(pathIn("warehouse", "gold", "own", "data", "inside.parquet")), false);
  const target = file("outside", "target");
  symlinkSync(target, pathIn("warehouse", "gold", "own", "data", "pointer"));
  file("warehouse", "gold", "own", "data", "again");
  const alias = locationOfPath(pathIn("alias"));
  const locations = [`${alias}/gold/own/data/pointer`, `${alias}/gold/own/data/again`];
  assert.deepEqual(await deleteOwnFiles({ storage, warehouse: alias }, `${alias}/gold/own`, locations), []);
  assert.deepEqual(
    [existsSync(pathIn("warehouse", "gold", "own", "data", "again")), existsSync(target)],
    [false, true],
  );
});

test("in an object store, the location alone decides whether a file is in a folder", () => {
  assert.ok(isInFolder("s3a://bucket/w/t/data/a", "s3://bucket/w/t/"));
  for (const location of [
    "s3://bucket/w/t",
    "s3://bucket/w/t/",
    "s3://bucket/w/t2/a",
    "s3://bucket/w/t/../u/a",
    "s3://other/w/t/a",
  ]) {
    assert.ok(!isInFolder(location, "s3://bucket/w/t"), location);
  }
});
