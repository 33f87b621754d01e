import assert from "node:assert/strict";
import { test } from "node:test";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { closeInstance, instanceMemory } from "../../src/duckdb/instances.ts";

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
