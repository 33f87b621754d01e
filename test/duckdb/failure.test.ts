import assert from "node:assert/strict";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { readRows } from "../../src/duckdb/read.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
let instance: Awaited<ReturnType<typeof openDuckDB>>;
let connection: Awaited<ReturnType<typeof instance.connect>>;
before(async () => {
  instance = await openDuckDB();
  connection = await instance.connect();
  await connection.run(
    `copy (select i from range(5000) t(i)) to '${join(folder.path, "cut.parquet")}' (format parquet)`,
  );
  truncateSync(join(folder.path, "cut.parquet"), 3_000);
  writeFileSync(join(folder.path, "empty.parquet"), "");
});
after(() => {
  connection.closeSync();
  instance.closeSync();
  folder.remove();
});

for (const name of ["missing.parquet", "cut.parquet", "empty.parquet"]) {
  test(`an unreadable data file is not reported as invalid SQL: ${name}`, async () => {
    await assert.rejects(readRows(connection, `from '${join(folder.path, name)}'`), {
      code: "TABLE_FILE_UNREADABLE",
      is_retryable: true,
      next_step: /verify/,
    });
  });
}

for (const sql of [
  "select 1 +",
  "select nothing from range(3)",
  "from nothing",
  "select 'a'::int",
  "select nothing, 'a.parquet' from range(3)",
]) {
  test(`an invalid statement is reported as invalid SQL: ${sql}`, async () => {
    await assert.rejects(readRows(connection, sql), { code: "INVALID_SQL", next_step: /layer\.table/ });
  });
}
