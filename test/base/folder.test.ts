import assert from "node:assert/strict";
import { globSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeFolder } from "../../src/base/folder.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

test("makeFolder creates missing ancestors, and accepts a folder that exists", () => {
  const path = join(folder.path, "a", "b", "c");
  for (let time = 0; time < 2; time += 1) makeFolder(path);
  assert.ok(statSync(path).isDirectory());
});

test("makeFolder fails with the system's error where a file or the system is in the way", () => {
  writeFileSync(join(folder.path, "file"), "");
  assert.throws(() => makeFolder(join(folder.path, "file")), { code: "EEXIST" });
  assert.throws(() => makeFolder(join(folder.path, "file", "below")), { code: "ENOTDIR" });
});

test(
  "makeFolder fails below /proc, where Node's recursive mkdir never returns",
  { skip: process.platform !== "linux" && "needs Linux" },
  () => {
    assert.throws(() => makeFolder("/proc/coinlake/cache"), { code: "ENOENT" });
  },
);

test("src/ creates folders synchronously by makeFolder only", () => {
  const recursive = /mkdirSync\([^;]*recursive: true/;
  assert.deepEqual(
    globSync("src/**/*.ts").filter((file) => recursive.test(readFileSync(file, "utf8"))),
    [],
  );
});
