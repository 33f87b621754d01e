import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
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
