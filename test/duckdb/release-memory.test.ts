import assert from "node:assert/strict";
import { test } from "node:test";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { closeInstance } from "../../src/duckdb/instances.ts";
import { lockStatements } from "../../src/duckdb/lock.ts";
import { releaseFreeMemory } from "../../src/duckdb/release-memory.ts";

test("memory that a query has freed is released, also where the settings of its instance are locked", async () => {
  const instance = await openDuckDB({ name: "kept", memory_limit_mb: 384 });
  const connection = await instance.connect();
  const used_mb = () => process.memoryUsage.rss() / 2 ** 20;
  try {
    for (const statement of lockStatements([])) await connection.run(statement);
    const before_mb = used_mb();
    let most_mb = before_mb;
    const watch = setInterval(() => (most_mb = Math.max(most_mb, used_mb())), 10);
    try {
      await assert.rejects(connection.run("select list(range) from range(1000000000)"), /Out of Memory/);
    } finally {
      clearInterval(watch);
    }
    await releaseFreeMemory();
    const left_mb = used_mb() - before_mb;
    assert.ok(most_mb - before_mb > 200, `the query took ${most_mb - before_mb} MB`);
    assert.ok(left_mb < 100, `${left_mb} of ${most_mb - before_mb} MB are still resident`);
  } finally {
    connection.closeSync();
    closeInstance(instance);
  }
});
