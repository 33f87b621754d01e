import assert from "node:assert/strict";
import { test } from "node:test";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { closeInstance, instanceMemory, releaseFreeMemory } from "../../src/duckdb/instances.ts";

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

test("releasing free memory keeps an instance's memory limit and rows", async () => {
  await releaseFreeMemory();
  const instance = await openDuckDB({ name: "kept", memory_limit_mb: 64 });
  const connection = await instance.connect();
  try {
    await connection.run("create table numbers as select range as number from range(1000)");
    const settings = () =>
      connection
        .runAndReadAll("select current_setting('memory_limit'), (select sum(number)::bigint from numbers)")
        .then((reader) => reader.getRows());
    const before = await settings();
    await releaseFreeMemory();
    assert.deepEqual(await settings(), before);
  } finally {
    connection.closeSync();
    closeInstance(instance);
  }
});
