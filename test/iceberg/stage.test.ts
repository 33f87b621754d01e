import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { OperatingError } from "../../src/base/errors.ts";
import { writeAll } from "../../src/iceberg/stage.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { locationOfPath } from "../../src/storage/file/location.ts";
import { overrideStorage } from "../../src/storage/override.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

test("a failed write reports its own error, also where its files cannot be deleted", async () => {
  const place = locationOfPath(join(folder.path, "table"));
  const storage = new FileStorage();
  const failing = overrideStorage(storage, {
    write: (location, bytes) =>
      location.endsWith("2.avro")
        ? Promise.reject(new OperatingError("STORAGE_FULL", "The disk is full", { next_step: "Free space." }))
        : storage.write(location, bytes),
    delete: () =>
      Promise.reject(
        new OperatingError("STORAGE_UNREACHABLE", "S3 is away", { next_step: "Wait.", is_retryable: true }),
      ),
  });
  const files = [1, 2].map((number): [string, Uint8Array] => [`${place}/${number}.avro`, Buffer.from("x")]);
  await assert.rejects(writeAll(failing, place, files), { code: "STORAGE_FULL" });
});
