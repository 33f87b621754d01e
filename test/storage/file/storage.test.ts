import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, win32 } from "node:path";
import { after, before, test } from "node:test";
import { foldersTo } from "../../../src/base/durable-file.ts";
import { canonicalLocation } from "../../../src/storage/location.ts";
import { locationOfPath, pathOfLocation } from "../../../src/storage/file/location.ts";
import { FileStorage } from "../../../src/storage/file/storage.ts";
import { describeStorage } from "../contract.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "coinlake storage "));
});
after(() => rm(folder, { recursive: true, force: true }));

let opened = 0;
describeStorage("the local disk", async () => {
  opened += 1;
  return {
    storage: new FileStorage(),
    root: locationOfPath(join(folder, `root ${opened}`)),
    async writeAsEngine(location, bytes) {
      await mkdir(dirname(pathOfLocation(location)), { recursive: true });
      await writeFile(pathOfLocation(location), bytes);
    },
  };
});

test("a location contains the path unchanged, with forward slashes and the drive letter on Windows", () => {
  assert.equal(locationOfPath("/lake/my tables/"), "file:///lake/my tables");
  assert.equal(pathOfLocation("file:///lake/my tables"), "/lake/my tables");
  assert.equal(pathOfLocation("file:/lake"), "/lake");
  assert.equal(pathOfLocation("file://localhost/lake"), "/lake");
  assert.equal(pathOfLocation("file:///C:/Users/Jo Doe/lake", win32), "C:\\Users\\Jo Doe\\lake");
  assert.throws(() => pathOfLocation("file:///lake", win32), { code: "UNSUPPORTED_LOCATION" });
});

test("folders that engines would misread as URI syntax are rejected", () => {
  for (const path of ["/lake#1", "/lake?", "/lake*", "/la[k]e"]) {
    assert.throws(() => locationOfPath(path), { code: "UNSUPPORTED_LOCATION" });
  }
});

const is_root = process.getuid?.() === 0;
test(
  "a write to a folder without write permission fails with STORAGE_DENIED",
  { skip: is_root ? "root may write everywhere" : false },
  async () => {
    const locked = join(folder, "locked");
    await mkdir(locked);
    await chmod(locked, 0o500);
    await assert.rejects(new FileStorage().write(locationOfPath(join(locked, "file")), new Uint8Array()), {
      code: "STORAGE_DENIED",
    });
  },
);

test("a file counts as durable only once it was synced after it was written", async () => {
  const storage = new FileStorage();
  const [there, later] = ["there", "later"].map((name) => locationOfPath(join(folder, "durable", name)));
  assert.ok(there !== undefined && later !== undefined);
  await mkdir(join(folder, "durable"));
  await writeFile(pathOfLocation(there), "there");
  await storage.syncAll([there, later]);
  assert.deepEqual([storage.isKnownDurable(there), storage.isKnownDurable(later)], [true, false]);
  await writeFile(pathOfLocation(later), "later");
  await storage.syncAll([later]);
  assert.equal(storage.isKnownDurable(later), true);
});

test("foldersTo returns every folder above the files once, the deepest first", () => {
  assert.deepEqual(foldersTo(["warehouse/bronze/t/data/day=1/a", "warehouse/bronze/t/data/day=1/b", "rules.json"]), [
    "warehouse/bronze/t/data/day=1",
    "warehouse/bronze/t/data",
    "warehouse/bronze/t",
    "warehouse/bronze",
    "warehouse",
    ".",
  ]);
});

test("all spellings of a file's location have one canonical form", () => {
  const spellings = {
    "file:///a/b": ["/a//b", "file:/a/b", "file:///a/b", "file://localhost/a/b", "FILE:///a/b"],
    "s3://bucket/a//b": ["s3://bucket/a//b", "s3a://bucket/a//b", "s3n://bucket/a//b", "S3://bucket/a//b"],
  };
  for (const [canonical, all] of Object.entries(spellings)) {
    for (const spelled of all) assert.equal(canonicalLocation(spelled), canonical, spelled);
  }
});
