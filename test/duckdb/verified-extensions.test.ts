import assert from "node:assert/strict";
import { appendFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { VerifiedExtensions } from "../../src/duckdb/verified-extensions.ts";
import { toolsFolder } from "../../src/lake/tools.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

test("Extensions count as verified once they were loaded, until a file changes or is added.", () => {
  const files = join(folder.path, "v1.0.0", "linux_amd64");
  const file = join(files, "one.duckdb_extension");
  const isVerified = (): boolean => new VerifiedExtensions(folder.path).is_verified;
  assert.equal(isVerified(), false, "a folder without extensions");
  mkdirSync(files, { recursive: true });
  writeFileSync(file, "one");
  const before = new VerifiedExtensions(folder.path);
  assert.equal(before.is_verified, false);
  before.remember();
  assert.equal(isVerified(), true);
  const changing = new VerifiedExtensions(folder.path);
  appendFileSync(file, "more");
  assert.equal(isVerified(), false, "a file of another size");
  changing.remember();
  assert.equal(isVerified(), false, "a file that changed while it was loaded");
  new VerifiedExtensions(folder.path).remember();
  assert.equal(isVerified(), true);
  writeFileSync(join(files, "two.duckdb_extension"), "two");
  assert.equal(isVerified(), false, "another file");
  rmSync(join(files, "two.duckdb_extension"));
  assert.equal(isVerified(), true);
});

test("No instance loads unsigned extensions, neither the first nor a later one.", async () => {
  const [signed = ""] = globSync("duckdb/v*/*/avro.duckdb_extension", { cwd: toolsFolder() });
  const bytes = readFileSync(join(toolsFolder(), signed));
  // The signature is at the end of the file.
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  const unsigned = join(folder.path, "other.duckdb_extension");
  writeFileSync(unsigned, bytes);
  for (let opening = 0; opening < 2; opening += 1) {
    const instance = await openDuckDB();
    const connection = await instance.connect();
    try {
      const { length } = (await connection.runAndReadAll("from duckdb_extensions() where loaded")).getRows();
      assert.ok(length >= 3);
      await assert.rejects(connection.run(`load '${unsigned}'`), /signature/i);
      await assert.rejects(connection.run("set global allow_unsigned_extensions = true"), /Cannot change/);
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }
});
