import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openLake } from "../catalog/lake.ts";
import { openSqliteLog } from "../../src/log/sqlite/log.ts";
import { assertSameRows, readBronze, readLog, recordsOf } from "./lake.ts";

const STEPS = [
  "before append",
  "after append",
  "before files",
  "after files",
  "before pointer",
  "after pointer",
  "before acknowledgement",
];
const COUNT = 2000;

async function run(
  folder: string,
  instruction: string | null,
): Promise<{ code: number | null; signal: string | null }> {
  const env = { ...process.env, ...(instruction === null ? {} : { COINLAKE_KILL_AT: instruction }) };
  const child = fork(join(import.meta.dirname, "crash-child.ts"), [folder, String(COUNT)], { env });
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  return { code, signal };
}

describe("Ingest under SIGKILL", () => {
  it("loses and duplicates no record when the process is killed repeatedly, at every failpoint.", async () => {
    const lake = await openLake();
    try {
      for (const [i, step] of STEPS.entries())
        assert.deepEqual(await run(lake.folder, `${step}:${(i % 3) + 1}`), { code: null, signal: "SIGKILL" }, step);
      for (const step of STEPS.toReversed())
        assert.deepEqual(await run(lake.folder, `${step}:2`), { code: null, signal: "SIGKILL" }, step);
      assert.deepEqual(await run(lake.folder, null), { code: 0, signal: null });
      const rows = await readBronze((await lake.serve()).url);
      const log = openSqliteLog({ file: join(lake.folder, "log.sqlite") });
      assertSameRows(rows, await readLog(log));
      await log.close();
      const sent = recordsOf(0, COUNT).map(({ payload, source, ingested_at_us }) => [
        Buffer.from(payload).toString(),
        source,
        ingested_at_us,
      ]);
      const arrived = rows.map(({ payload, source, ingested_at_us }) => [payload, source, ingested_at_us]);
      arrived.sort((a, b) => Number(a[2]) - Number(b[2]));
      assert.deepEqual(arrived, sent);
    } finally {
      await lake.close();
    }
  });
});
