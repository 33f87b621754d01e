import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { test } from "node:test";
import { projectFolder } from "../../src/lake/tools.ts";

/** The bootstrap's settings reach glibc's allocator, and the one that DuckDB contains for Linux. */
const skip =
  process.platform === "linux" && "glibcVersionRuntime" in (process.report.getReport() as { header: object }).header
    ? false
    : "settings of glibc";

test(
  "DuckDB's allocator keeps few free blocks for each thread, and free pages for a tenth of a second",
  { skip },
  () => {
    const open = `import { DuckDBInstance } from "@duckdb/node-api"; await DuckDBInstance.create(":memory:");`;
    const { stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", open], {
      cwd: projectFolder(),
      encoding: "utf8",
      env: { ...process.env, DUCKDB_JE_MALLOC_CONF: `${process.env["DUCKDB_JE_MALLOC_CONF"]},stats_print:true` },
    });
    assert.match(stderr, /opt\.tcache_nslots_small_max: 20\n[^]*opt\.tcache_nslots_large: 2\n/);
    assert.match(stderr, /opt\.background_thread: true [^]*opt\.dirty_decay_ms: 100 [^]*opt\.muzzy_decay_ms: 0 /);
  },
);

test("freed buffers are returned to the operating system, even with blocks in use between them", { skip }, () => {
  const free = `
    const mb = () => process.memoryUsage.rss() / 1e6;
    const fill = () => Array.from({ length: 100 }, () => [Buffer.alloc(1e6, 1), Buffer.allocUnsafeSlow(60_000)]);
    // By default glibc maps no buffer separately that is smaller than one freed before.
    fill();
    gc();
    gc();
    let blocks = fill();
    const used_mb = mb();
    blocks = blocks.map(([, small]) => small);
    gc();
    gc();
    console.log(used_mb - mb(), blocks.length);`;
  const printed = execFileSync(process.execPath, ["--expose-gc", "--input-type=module", "--eval", free], {
    encoding: "utf8",
  });
  assert.ok(Number.parseFloat(printed) > 80, `of 100 MB, ${Number.parseFloat(printed)} returned`);
});
