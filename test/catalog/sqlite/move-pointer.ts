/** A separate process of the store's test: increments one pointer `count` times, while other processes do the same. */
import { OperatingError } from "../../../src/base/errors.ts";
import { SqliteStore } from "../../../src/catalog/sqlite/store.ts";
import { pointerMove } from "../pointer-move.ts";

const [path = "", count = "0"] = process.argv.slice(2);
const identifier = { namespace: ["shared"], name: "counter" };
const store = new SqliteStore(path);
try {
  await store.createNamespace(identifier.namespace, {});
} catch (error) {
  if (!(error instanceof OperatingError) || error.code !== "NAMESPACE_EXISTS") throw error;
}
for (let moved = 0; moved < Number(count);) {
  const expected = await store.pointer(identifier);
  try {
    await store.move([pointerMove(identifier, expected, String(Number(expected ?? 0) + 1))]);
    moved += 1;
  } catch (error) {
    if (!(error instanceof OperatingError) || error.code !== "COMMIT_CONFLICT") throw error;
  }
}
await store.close();
