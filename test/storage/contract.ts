import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Storage } from "../../src/storage/storage.ts";

export interface StorageUnderTest {
  storage: Storage;
  /** A separate empty folder (or prefix) for each test. */
  root: string;
  /** Writes a file as an engine does: directly, without this project's Storage. */
  writeAsEngine(location: string, bytes: Uint8Array): Promise<void>;
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function inOne(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

async function listed(storage: Storage, location: string): Promise<string[]> {
  const locations = [];
  for await (const file of storage.list(location)) locations.push(file.location);
  return locations.sort();
}

/** The contract of every Storage implementation. */
export function describeStorage(name: string, open: () => Promise<StorageUnderTest>): void {
  describe(`storage on ${name}`, () => {
    test("a file is read back byte for byte, even an empty one", async () => {
      const { storage, root } = await open();
      const all_bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      await storage.write(`${root}/a/b/all.bin`, all_bytes);
      await storage.write(`${root}/empty`, new Uint8Array());
      assert.deepEqual(new Uint8Array(await storage.read(`${root}/a/b/all.bin`)), all_bytes);
      assert.equal((await storage.read(`${root}/empty`)).length, 0);
    });

    test("reading in pieces returns the same bytes for any length, and fails for a missing file", async () => {
      const { storage, root } = await open();
      // Objects are read in ranges of 4 MiB.
      const large = Uint8Array.from({ length: 9_000_000 }, (_, index) => index % 251);
      const range = large.subarray(0, 4 * 1024 * 1024);
      for (const [name, bytes] of [
        ["large", large],
        ["range", range],
        ["none", new Uint8Array()],
      ] as const) {
        await storage.write(`${root}/${name}`, bytes);
        assert.deepEqual(await inOne(storage.readPieces(`${root}/${name}`)), Buffer.from(bytes), name);
      }
      // A reader that stops after one piece leaves no file open.
      for await (const piece of storage.readPieces(`${root}/large`)) if (piece.length > 0) break;
      await assert.rejects(inOne(storage.readPieces(`${root}/missing`)), { code: "FILE_NOT_FOUND" });
    });

    test("names with spaces, percent signs and other scripts are taken literally", async () => {
      const { storage, root, writeAsEngine } = await open();
      const files = ["my file.txt", "100%.txt", "a%20b.txt", "día/ค่า.txt", "a+b=c&d.txt", "it's (1)!.txt"];
      for (const file of files) {
        await storage.write(`${root}/${file}`, bytesOf(file));
        assert.equal(textOf(await storage.read(`${root}/${file}`)), file);
      }
      await writeAsEngine(`${root}/by engine %41.txt`, bytesOf("engine"));
      assert.equal(textOf(await storage.read(`${root}/by engine %41.txt`)), "engine");
      assert.deepEqual(
        await listed(storage, root),
        [...files, "by engine %41.txt"].map((file) => `${root}/${file}`).sort(),
      );
    });

    test("a second write to the same location is rejected and changes nothing", async () => {
      const { storage, root } = await open();
      await storage.write(`${root}/once`, bytesOf("first"));
      await assert.rejects(storage.write(`${root}/once`, bytesOf("second")), { code: "FILE_EXISTS" });
      assert.equal(textOf(await storage.read(`${root}/once`)), "first");
    });

    test("exactly one of many concurrent writers of a location succeeds", async () => {
      const { storage, root } = await open();
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, index) => storage.write(`${root}/race`, bytesOf(`writer ${index}`))),
      );
      const winners = outcomes.flatMap((outcome, index) => (outcome.status === "fulfilled" ? [index] : []));
      assert.equal(winners.length, 1);
      assert.equal(textOf(await storage.read(`${root}/race`)), `writer ${winners[0]}`);
    });

    test("reading a missing file fails with FILE_NOT_FOUND", async () => {
      const { storage, root } = await open();
      await assert.rejects(storage.read(`${root}/nothing`), { code: "FILE_NOT_FOUND" });
    });

    test("statOf returns a file's size and time, and null for a folder or a missing file", async () => {
      const { storage, root } = await open();
      await storage.write(`${root}/t/file`, bytesOf("12345"));
      const found = await storage.statOf(`${root}/t/file`);
      assert.equal(found?.size_bytes, 5);
      assert.ok(Math.abs((found?.modified_at_us ?? 0) - Date.now() * 1000) < 86_400_000_000);
      assert.deepEqual([await storage.statOf(`${root}/t`), await storage.statOf(`${root}/nothing`)], [null, null]);
    });

    test("deleting a file twice is not an error", async () => {
      const { storage, root } = await open();
      await storage.write(`${root}/gone`, bytesOf("x"));
      await storage.delete(`${root}/gone`);
      await storage.delete(`${root}/gone`);
      await assert.rejects(storage.read(`${root}/gone`), { code: "FILE_NOT_FOUND" });
    });

    test("a listing has every file below the location with size and time, and nothing else", async () => {
      const { storage, root } = await open();
      const before_us = Date.now() * 1000;
      await storage.write(`${root}/t/data/1.parquet`, bytesOf("12345"));
      await storage.write(`${root}/t/metadata/2.json`, bytesOf("{}"));
      await storage.write(`${root}/t-other/3`, bytesOf("not below t"));
      assert.deepEqual(await listed(storage, `${root}/t`), [`${root}/t/data/1.parquet`, `${root}/t/metadata/2.json`]);
      assert.deepEqual(await listed(storage, `${root}/never`), []);
      const one_day_us = 86_400_000_000;
      for await (const file of storage.list(`${root}/t/data`)) {
        assert.equal(file.size_bytes, 5);
        assert.ok(Math.abs(file.modified_at_us - before_us) < one_day_us);
      }
    });

    test("an engine can write into a folder created for it, and its file can be made durable", async () => {
      const { storage, root, writeAsEngine } = await open();
      await storage.makeFolder(`${root}/t/data`);
      await storage.makeFolder(`${root}/t/data`);
      await writeAsEngine(`${root}/t/data/part.parquet`, bytesOf("rows"));
      await storage.sync(`${root}/t/data/part.parquet`);
      assert.equal(textOf(await storage.read(`${root}/t/data/part.parquet`)), "rows");
    });

    test("removing a folder keeps the files that are still in it", async () => {
      const { storage, root } = await open();
      await storage.write(`${root}/t/kept/file`, bytesOf("x"));
      await storage.makeFolder(`${root}/t/empty/deep`);
      await storage.removeFolder(`${root}/t`);
      assert.equal(textOf(await storage.read(`${root}/t/kept/file`)), "x");
      await storage.delete(`${root}/t/kept/file`);
      await storage.removeFolder(`${root}/t`);
      await storage.removeFolder(`${root}/t`);
      assert.deepEqual(await listed(storage, `${root}/t`), []);
    });

    test("unsupported locations are rejected", async () => {
      const { storage, root } = await open();
      for (const location of ["relative/file", "", "gopher://host/file", `${root}/../escape`]) {
        await assert.rejects(storage.read(location), { code: "UNSUPPORTED_LOCATION" });
      }
    });
  });
}
