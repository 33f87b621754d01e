import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, win32 } from "node:path";
import { after, before, test } from "node:test";
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

test("a location keeps the path as it is, with forward slashes and the drive letter on Windows", () => {
  assert.equal(locationOfPath("/lake/my tables/"), "file:///lake/my tables");
  assert.equal(pathOfLocation("file:///lake/my tables"), "/lake/my tables");
  assert.equal(pathOfLocation("file:/lake"), "/lake");
  assert.equal(pathOfLocation("file://localhost/lake"), "/lake");
  assert.equal(pathOfLocation("file:///C:/Users/Jo Doe/lake", win32), "C:\\Users\\Jo Doe\\lake");
  assert.throws(() => pathOfLocation("file:///lake", win32), { code: "UNSUPPORTED_LOCATION" });
});

test("folders that engines would misread as URI syntax are refused at once", () => {
  for (const path of ["/lake#1", "/lake?", "/lake*", "/la[k]e"]) {
    assert.throws(() => locationOfPath(path), { code: "UNSUPPORTED_LOCATION" });
  }
});

const is_root = process.getuid?.() === 0;
test("a folder without write permission is named", { skip: is_root ? "root may write everywhere" : false }, async () => {
  const locked = join(folder, "locked");
  await mkdir(locked);
  await chmod(locked, 0o500);
  await assert.rejects(new FileStorage().write(locationOfPath(join(locked, "file")), new Uint8Array()), { code: "STORAGE_DENIED" });
});
