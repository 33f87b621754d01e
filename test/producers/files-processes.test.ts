import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { temporaryFolder } from "../support/coinlake.ts";
import { lines, orders, Reading } from "./files/reading.ts";

const CHILD = fileURLToPath(new URL("files/read-child.ts", import.meta.url));
const folder = temporaryFolder();
after(() => folder.remove());

function startReading(...given: string[]) {
  return spawn(process.execPath, [CHILD, ...given], { stdio: ["ignore", "pipe", "inherit"] });
}

test("the log has every element of every file exactly once, however often the reading process is killed", async () => {
  const reading = new Reading(join(folder.path, "kills"));
  const filler = "x".repeat(500);
  const sizes = [1, 5_000, 30, 200, 8_000, 2, 400, 3_000];
  for (const [index, size] of sizes.entries()) {
    const values = orders(`${index}-`, size).map((order) => ({ ...order, filler }));
    const content = index % 2 === 0 ? lines(values) : JSON.stringify(values);
    await reading.put(`${index}.json${index % 3 === 0 ? ".gz" : ""}`, index % 3 === 0 ? gzipSync(content) : content);
  }
  // Failpoint: after an append, before the ledger has its position. The last two kills strike at any time.
  const kills: (number | null)[] = [1, 2, 3, 1, null, null];
  let killed = 0;
  for (const kill_after of kills) {
    const child = startReading(join(folder.path, "kills"), "log", String(kill_after ?? 0));
    const timer = kill_after === null ? setTimeout(() => child.kill("SIGKILL"), 300 + Math.random() * 500) : undefined;
    const [, signal] = (await once(child, "exit")) as [number | null, string | null];
    clearTimeout(timer);
    if (signal === "SIGKILL") killed += 1;
  }
  assert.ok(killed >= 4, `${killed} processes were killed`);
  const [code] = (await once(startReading(join(folder.path, "kills"), "log"), "exit")) as [number | null];
  assert.equal(code, 0);
  const ids = (await reading.payloads()).flatMap(({ elements = [] }) =>
    elements.map((order) => (order as { id: string }).id),
  );
  const expected = sizes.flatMap((size, index) => orders(`${index}-`, size).map(({ id }) => id));
  assert.deepEqual(ids.toSorted(), expected.toSorted());
});

test("a file of 100 MB is read in bounded memory", async () => {
  const path = join(folder.path, "large");
  await mkdir(join(path, "inbox"), { recursive: true });
  const filler = "x".repeat(300);
  const chunk = lines(orders("m", 3_000).map((order) => ({ ...order, filler })));
  const file = await open(join(path, "inbox", "large.jsonl"), "w");
  const chunks = Math.ceil(100e6 / chunk.length);
  for (let written = 0; written < chunks; written += 1) await file.write(chunk);
  await file.close();
  const child = startReading(path, "memory");
  const printed = JSON.parse(await text(child.stdout)) as { grown_mb: number; records: number };
  assert.ok(printed.records >= 100e6 / (256 * 1024), `${printed.records} records`);
  process.stdout.write(`Reading 100 MB took ${printed.grown_mb.toFixed(0)} MB of memory\n`);
  assert.ok(printed.grown_mb < 100, `${printed.grown_mb} MB`);
});
