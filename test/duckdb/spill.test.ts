import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Console } from "../../src/serve/sql-console/console.ts";
import { spillFolder, sweepSpill } from "../../src/duckdb/spill.ts";

test("the spill folder of a dead process is deleted, that of a live one is kept", () => {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  const ours = spillFolder();
  const orphaned = join(dirname(ours), `coinlake-spill-${pid}-left`);
  for (const folder of [ours, orphaned]) mkdirSync(folder);
  try {
    sweepSpill();
    assert.deepEqual([existsSync(ours), existsSync(orphaned)], [true, false]);
  } finally {
    rmSync(ours, { recursive: true });
  }
});

test("exports of the SQL console are in a folder that the next start deletes after a kill", async () => {
  const ofThisProcess = () => readdirSync(tmpdir()).filter((name) => name.startsWith(`coinlake-spill-${process.pid}-`));
  const before = ofThisProcess();
  const console = new Console({ command: process.execPath, args: [] });
  assert.equal(ofThisProcess().length, before.length + 1);
  await console.close();
  assert.deepEqual(ofThisProcess(), before);
});
