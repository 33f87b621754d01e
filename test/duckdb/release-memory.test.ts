import assert from "node:assert/strict";
import { test } from "node:test";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { closeInstance } from "../../src/duckdb/instances.ts";
import { lockStatements } from "../../src/duckdb/lock.ts";
import { releaseFreeMemory } from "../../src/duckdb/release-memory.ts";

test("memory that a query has freed is released, also where settings are locked; limit and rows stay", async () => {
  const instance = await openDuckDB({ name: "kept", memory_limit_mb: 384 });
  const connection = await instance.connect();
  const used_mb = () => process.memoryUsage.rss() / 2 ** 20;
  const state = () =>
    connection
      .runAndReadAll("select current_setting('memory_limit'), (select sum(number)::bigint from numbers)")
      .then((reader) => reader.getRows());
  try {
    await connection.run("create table numbers as select range as number from range(1000)");
    for (const statement of lockStatements([])) await connection.run(statement);
    const [state_before, used_before_mb] = [await state(), used_mb()];
    await assert.rejects(connection.run("select list(range) from range(1000000000)"), /Out of Memory/);
    await releaseFreeMemory();
    assert.deepEqual(await state(), state_before);
    const left_mb = used_mb() - used_before_mb;
    assert.ok(left_mb < 100, `${left_mb} MB of a query that had 384 are still resident`);
  } finally {
    connection.closeSync();
    closeInstance(instance);
  }
});
