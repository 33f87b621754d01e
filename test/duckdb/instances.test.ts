import assert from "node:assert/strict";
import { test } from "node:test";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { closeInstance, forgetReleasedBuffers, instanceMemory } from "../../src/duckdb/instances.ts";

test("memory is reported by instance and purpose while the instance is open", async () => {
  const instance = await openDuckDB({ name: "measured", memory_limit_mb: 64 });
  const connection = await instance.connect();
  await connection.run("create table numbers as select range as number from range(500000)");
  const measured = (await instanceMemory()).find(({ name }) => name === "measured");
  assert.ok(
    (measured?.tags.find(({ tag }) => tag === "IN_MEMORY_TABLE")?.size_bytes ?? 0) > 1_000_000,
    JSON.stringify(measured),
  );
  connection.closeSync();
  closeInstance(instance);
  assert.deepEqual(
    (await instanceMemory()).filter(({ name }) => name === "measured"),
    [],
  );
});

test("released buffers are forgotten beside queries, which change in neither rows nor memory limit", async () => {
  const instance = await openDuckDB({ name: "kept", memory_limit_mb: 64 });
  const connection = await instance.connect();
  const beside = await instance.connect();
  const tableBytes = async (): Promise<number> => {
    const kept = (await instanceMemory()).find(({ name }) => name === "kept");
    return kept?.tags.find(({ tag }) => tag === "IN_MEMORY_TABLE")?.size_bytes ?? 0;
  };
  const rows = async (sql: string, of = connection) => (await of.runAndReadAll(sql)).getRows();
  const LIMIT = "select current_setting('memory_limit')";
  // Needs more memory than the limit below the memory in use, which is rejected.
  const SORTED = "select count(*), max(rank) from (select rank() over (order by name desc) as rank from numbers)";
  try {
    await connection.run("create table numbers as select range as number, range::text as name from range(500000)");
    const [limit, sorted, bytes_before] = [await rows(LIMIT), await rows(SORTED), await tableBytes()];
    await forgetReleasedBuffers();
    const bytes_after = await tableBytes();
    assert.ok(bytes_after < bytes_before / 4, `${bytes_before} bytes were not evicted: ${bytes_after}`);
    assert.deepEqual(await rows(LIMIT), limit);
    const over = new AbortController();
    const forgetting = (async () => {
      while (!over.signal.aborted) await forgetReleasedBuffers();
    })();
    try {
      for (let query = 0; query < 5; query += 1) assert.deepEqual(await rows(SORTED, beside), sorted);
    } finally {
      over.abort();
      await forgetting;
    }
    assert.deepEqual([await rows(LIMIT), await rows(SORTED)], [limit, sorted]);
  } finally {
    connection.closeSync();
    beside.closeSync();
    closeInstance(instance);
  }
});
