import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { LoadedTable } from "../../src/iceberg/model.ts";
import { amplificationOf, DiskUsage } from "../../src/serve/disk-usage.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { newTable } from "../iceberg/metadata/fixtures.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { eventually } from "../support/eventually.ts";

const SECOND_US = 1_000_000;

function tableIn(folder: string): LoadedTable {
  return {
    identifier: { namespace: ["gold"], name: "facts" },
    metadata: { ...newTable(), location: `file://${folder}` },
    metadata_location: "",
  };
}

test("a table's folder is measured, and again only after half a minute, without delaying the request", async () => {
  const folder = temporaryFolder();
  let now_us = 1_000 * SECOND_US;
  const clock = { now_us: () => now_us, wait: () => Promise.reject(new Error("nothing here waits by the clock")) };
  const disk = new DiskUsage({
    tables: { all: async () => [tableIn(folder.path)] },
    storage: new FileStorage(),
    clock,
  });
  const facts = async () => (await disk.measured()).get("gold.facts");
  try {
    writeFileSync(join(folder.path, "a"), "12345");
    assert.deepEqual(await facts(), { disk_files: 1, disk_bytes: 5 });
    writeFileSync(join(folder.path, "b"), "123");
    now_us += 29 * SECOND_US;
    assert.deepEqual(await facts(), { disk_files: 1, disk_bytes: 5 });
    now_us += 2 * SECOND_US;
    await eventually(async () => (await facts())?.disk_files === 2, { what: "two files on the disk" });
    assert.deepEqual(await facts(), { disk_files: 2, disk_bytes: 8 });
  } finally {
    folder.remove();
  }
});

test("a request does not wait for the first measurement of very many files", async () => {
  const endless = {
    list: async function* () {
      await new Promise(() => {});
      yield { location: "", size_bytes: 0, modified_at_us: 0 };
    },
  };
  const clock = { now_us: () => 0, wait: () => Promise.reject(new Error("nothing here waits by the clock")) };
  const disk = new DiskUsage({ tables: { all: async () => [tableIn("/nowhere")] }, storage: endless, clock });
  assert.equal((await disk.measured()).size, 0);
});

test("amplification is known if the bytes on disk are known and the table has live bytes", () => {
  assert.deepEqual([amplificationOf(150, 100), amplificationOf(null, 100), amplificationOf(10, 0)], [1.5, null, null]);
});
