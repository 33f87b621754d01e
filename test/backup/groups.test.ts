import assert from "node:assert/strict";
import { test } from "node:test";
import { inGroups } from "../../src/backup/table-files.ts";

test("a failed copy is thrown only after the others of its group have ended, and no further group begins", async () => {
  const ended: string[] = [];
  const slow = Promise.withResolvers<undefined>();
  const grouping = { at_once: 2, max_bytes: Infinity, sizeOf: () => 1 };
  const copied = inGroups(
    ["gone", "slow", "next"],
    new AbortController().signal,
    async (item) => {
      if (item === "gone") throw new Error("gone");
      if (item === "slow") await slow.promise;
      ended.push(item);
    },
    grouping,
  );
  const first = await Promise.race([
    copied.catch(() => "failed"),
    new Promise((resolve) => setImmediate(resolve, "waits")),
  ]);
  assert.equal(first, "waits");
  slow.resolve(undefined);
  await assert.rejects(copied, /gone/);
  assert.deepEqual(ended, ["slow"]);
});
