import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { appendFile, rename, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { openFiles } from "../../producers/files.ts";
import { openFolder, type Folder } from "../../producers/files/folder.ts";
import { FileReading } from "../../producers/files/read-file.ts";
import { FilesSource } from "../../producers/files/source.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { lines, orders, Reading, ScriptedClock } from "./files/reading.ts";

const folder = temporaryFolder();
after(() => folder.remove());
let readings = 0;
const newReading = (): Reading => new Reading(join(folder.path, `${(readings += 1)}`));

const numbered = (file: string, count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `${file}:${from + index}`);

test("files of every layout and compression are read in order of time and name; other files are ignored", async () => {
  const reading = newReading();
  await reading.put("c.json", JSON.stringify(orders("c", 3)));
  await reading.put("b.ndjson", lines(orders("b", 2)));
  await reading.put("2026/a.jsonl.gz", gzipSync(lines(orders("a", 4))));
  await reading.put(
    "d.json",
    orders("d", 2)
      .map((order) => JSON.stringify(order, null, 2))
      .join(""),
  );
  for (const name of [".hidden.json", "x.json.tmp", "x.json.part", "x.json.crdownload", "x.txt", ".git/x.json"])
    await reading.put(name, lines(orders("x", 1)));
  for (const name of ["2026/a.jsonl.gz", "b.ndjson", "c.json"]) await utimes(join(reading.inbox, name), 1e9, 1e9);
  await utimes(join(reading.inbox, "d.json"), 9e8, 9e8);
  const names = await reading.names();
  await reading.run();
  assert.deepEqual(await reading.elements(), [
    ...numbered("d.json", 2),
    ...numbered("2026/a.jsonl.gz", 4),
    ...numbered("b.ndjson", 2),
    ...numbered("c.json", 3),
  ]);
  const payloads = await reading.payloads();
  assert.deepEqual(payloads[1]?.elements, orders("a", 4));
  assert.deepEqual(await reading.names(), names, "the folder of a user is not changed");
  assert.deepEqual(reading.producer?.status?.().state, "ended");
  assert.match(
    reading.producer?.status?.().message ?? "",
    /^4 files read, 0 repeated, 0 waiting; the last is c\.json$/,
  );
  await assert.rejects(openFiles({ location: join(folder.path, "nowhere"), source: "orders" }), {
    code: "FOLDER_NOT_FOUND",
  });
});

test("a file is read once, even when it is renamed, touched or uploaded again; new content is read", async () => {
  const reading = newReading();
  const at = (name: string): string => join(reading.inbox, name);
  await reading.put("a.jsonl", lines(orders("a", 2)));
  const clock = new ScriptedClock()
    .at(10, () => rename(at("a.jsonl"), at("renamed.jsonl")))
    .at(20, () => utimes(at("renamed.jsonl"), 1e9, 1e9))
    .at(30, () => reading.put("again.jsonl", lines(orders("a", 2))))
    .at(40, () => reading.put("renamed.jsonl", lines(orders("r", 3))));
  await reading.run({ clock, for_s: 60 });
  assert.deepEqual(await reading.elements(), [...numbered("a.jsonl", 2), ...numbered("renamed.jsonl", 3)]);
  assert.match(reading.producer?.status?.().message ?? "", /^2 files read, 3 repeated, 0 waiting/);
  // The next start knows them all.
  await reading.run();
  assert.equal((await reading.elements()).length, 5);
});

test("a damaged archive that is replaced while it is read does not count as the new content", async () => {
  const good = gzipSync(randomBytes(3_000_000), { level: 0 });
  const damaged = Buffer.from(good).fill(0xff, 200_000, 300_000);
  const path = join(folder.path, "archive.jsonl.gz");
  const readUpToDamage = async (): Promise<FileReading> => {
    await writeFile(path, damaged);
    const reading = new FileReading(openFolder(folder.path), "archive.jsonl.gz");
    for await (const _chunk of reading.chunks());
    assert.ok(reading.damage !== null);
    return reading;
  };
  const unchanged = await readUpToDamage();
  assert.equal(await unchanged.digest(), createHash("sha256").update(damaged).digest("hex"));
  const replaced = await readUpToDamage();
  await writeFile(path, good);
  await assert.rejects(replaced.digest(), { code: "FILE_CHANGED" });
});

test("a growing file is read once it is complete; a file that stays incomplete is read as far as it goes", async () => {
  const reading = newReading();
  const at = (name: string): string => join(reading.inbox, name);
  const whole = lines(orders("a", 6));
  await reading.put("growing.jsonl", whole.slice(0, 20));
  await reading.put("empty.json", "");
  await reading.put("torn.json", '[{"id":"t0"},{"id":"t1"},{"id":');
  await reading.put("cut.jsonl.gz", gzipSync(lines(orders("z", 2_000))).subarray(0, 2_500));
  // Nobody still writes a file of years ago.
  await reading.put("old.json", '[{"id":"o0"},{"id":');
  await utimes(at("old.json"), 1e9, 1e9);
  const clock = new ScriptedClock();
  for (let second = 1; second <= 30; second += 1)
    clock.at(second, () => appendFile(at("growing.jsonl"), whole.slice(19 + second, 20 + second)));
  clock.at(35, () => reading.put("growing.jsonl", whole));
  await reading.run({ clock, for_s: 50 });
  assert.deepEqual(await reading.elements(), ["old.json:0", "old.json:1!", ...numbered("growing.jsonl", 6)]);
  await reading.run();
  const payloads = await reading.payloads();
  const torn = payloads.filter(({ file }) => file === "torn.json");
  assert.deepEqual(torn, [
    { file: "torn.json", first_element: 0, elements: [{ id: "t0" }, { id: "t1" }] },
    {
      file: "torn.json",
      first_element: 2,
      malformed: '{"id":',
      reason: "the file ends inside this element",
      size_bytes: 6,
      is_utf8: true,
    },
  ]);
  const cut = payloads.filter(({ file }) => file === "cut.jsonl.gz");
  const given = cut.slice(0, -1).flatMap(({ elements }) => elements ?? []);
  assert.ok(given.length > 100);
  assert.deepEqual([cut.at(-1)?.first_element, cut.at(-1)?.elements], [given.length, undefined]);
  assert.ok(!payloads.some(({ file }) => file === "empty.json"));
  assert.equal(reading.codes().filter((code) => code === "FILE_INCOMPLETE").length, 4);
  // The rest arrives after all: the content is new, and read from its start.
  await reading.put("torn.json", JSON.stringify(orders("t", 3)));
  await reading.run();
  assert.deepEqual((await reading.elements()).slice(-3), numbered("torn.json", 3));
});

test("malformed pieces become separate records of at most 10,000 characters", async () => {
  const reading = newReading();
  const long = `{"a":"${"é".repeat(20_000)}}`;
  await reading.put(
    "bad.jsonl",
    Buffer.concat([
      Buffer.from(`${lines(orders("a", 2))}oops\n${lines(orders("b", 1))}${long}\n`),
      Buffer.from([0x7b, 0xc3, 0x28, 0x7d, 0x0a]),
      Buffer.from("{}\n"),
    ]),
  );
  await reading.run();
  assert.deepEqual(
    await reading.elements(),
    [0, 1, "2!", 3, "4!", "5!", 6].map((element) => `bad.jsonl:${element}`),
  );
  const malformed = (await reading.payloads()).filter((payload) => payload.malformed !== undefined);
  assert.deepEqual(
    malformed.map(({ malformed: text = "", size_bytes, is_utf8 }) => [
      text.slice(0, 4),
      text.length,
      size_bytes,
      is_utf8,
    ]),
    [
      ["oops", 4, 4, true],
      ['{"a"', 10_000, 40_007, true],
      ["{\uFFFD(}", 4, 4, false],
    ],
  );
});

test("a large file becomes many records, and reading resumes in the middle of it, even after a rename", async () => {
  const reading = newReading();
  const filler = "x".repeat(1_000);
  const many = orders("m", 6_000).map((order) => ({ ...order, filler }));
  await reading.put("many.jsonl", lines(many));
  const producer = await openFiles({ location: reading.inbox, source: "orders", is_until_drained: true });
  const stop = new AbortController();
  await reading.withLog(async (log) => {
    const { runProducer } = await import("../../src/log/run-producer.ts");
    const appended = (): void => stop.abort();
    const clock = new ScriptedClock();
    const common = { producer, log, topic: "orders.raw", lake_folder: reading.lake_folder, clock, report() {} };
    await runProducer({ ...common, signal: stop.signal, appended });
  });
  const before = (await reading.elements()).length;
  assert.ok(before > 500 && before < 5_000, `${before} elements before the stop`);
  await rename(join(reading.inbox, "many.jsonl"), join(reading.inbox, "moved.jsonl"));
  await reading.put("earlier.jsonl", lines(orders("e", 1)));
  await utimes(join(reading.inbox, "earlier.jsonl"), 1e9, 1e9);
  await reading.run();
  assert.deepEqual(await reading.elements(), [
    ...numbered("many.jsonl", before),
    ...numbered("earlier.jsonl", 1),
    ...numbered("moved.jsonl", 6_000 - before, before),
  ]);
  const payloads = await reading.payloads();
  for (const payload of payloads) assert.ok(JSON.stringify(payload).length < 263_000);
  const given = payloads.filter(({ file }) => file !== "earlier.jsonl").flatMap(({ elements }) => elements ?? []);
  assert.deepEqual(given, many);
});

test("a kill before the ledger is written costs nothing; a lost or damaged ledger costs only duplicates", async () => {
  const reading = newReading();
  await reading.put("a.jsonl", lines(orders("a", 2)));
  await reading.put("b.jsonl", lines(orders("b", 2)));
  await reading.run();
  // The ledger of the moment before the last file was recorded: the position in the log has it.
  const { DatabaseSync } = await import("node:sqlite");
  const ledger = new DatabaseSync(reading.ledger);
  ledger.exec("delete from content where digest = (select digest from listed where name = 'b.jsonl')");
  ledger.exec("delete from listed where name = 'b.jsonl'");
  ledger.close();
  await reading.run();
  assert.equal((await reading.elements()).length, 4);
  await rm(reading.ledger);
  await reading.run();
  const twice = [...numbered("a.jsonl", 2), ...numbered("b.jsonl", 2), ...numbered("a.jsonl", 2)];
  assert.deepEqual(await reading.elements(), twice, "the position still knows the last file");
  await writeFile(reading.ledger, "not a database, and longer than its header of a hundred bytes ".repeat(40));
  await reading.run();
  assert.deepEqual(await reading.elements(), [...twice, ...numbered("b.jsonl", 2)]);
  assert.deepEqual(reading.codes(), ["LEDGER_CORRUPT"]);
});

/** A folder whose listing lags behind: it shows a file that is gone, and hides one for its first listings. */
function lagging(real: Folder, gone: string, hidden: string): Folder {
  let listings = 0;
  return {
    ...real,
    async *list() {
      listings += 1;
      if (listings < 20) yield { name: gone, size_bytes: 1, modified_at_us: 1 };
      for await (const file of real.list()) if (file.name !== hidden || listings > 5) yield file;
    },
  };
}

test("with a lagging listing, a vanished file is skipped with a report, and a late file is read", async () => {
  const reading = newReading();
  await reading.put("a.jsonl", lines(orders("a", 1)));
  await reading.put("late.jsonl", lines(orders("l", 1)));
  const inbox = { folder: lagging(openFolder(reading.inbox), "gone.jsonl", "late.jsonl") };
  const producer = new FilesSource({
    id: "files:lagging",
    kind: "live",
    source: "orders",
    openInbox: async () => inbox,
    settle_ms: 2_000,
    incomplete_after_ms: 60_000,
    interval_ms: 1_000,
    is_until_drained: false,
  });
  await reading.run({ producer, for_s: 15 });
  assert.deepEqual(await reading.elements(), [...numbered("a.jsonl", 1), ...numbered("late.jsonl", 1)]);
  assert.ok(reading.codes().every((code) => code === "FILE_VANISHED"));
  assert.ok(reading.codes().length > 0);
});

test("the source waits while its folder is missing, and continues when the folder is back", async () => {
  const reading = newReading();
  await reading.put("a.jsonl", lines(orders("a", 1)));
  const away = `${reading.inbox}-away`;
  const clock = new ScriptedClock()
    .at(10, () => rename(reading.inbox, away))
    .at(30, async () => {
      assert.equal(reading.producer?.status?.().state, "failed");
      await rename(away, reading.inbox);
      await reading.put("b.jsonl", lines(orders("b", 1)));
    });
  await reading.run({ clock, for_s: 200 });
  assert.deepEqual(await reading.elements(), [...numbered("a.jsonl", 1), ...numbered("b.jsonl", 1)]);
  assert.deepEqual(reading.codes(), ["FOLDER_NOT_FOUND", "FILES_LISTED"]);
});

test("a file that changes while it is read is read again from its start", async () => {
  const reading = newReading();
  const filler = "x".repeat(1_000);
  const many = (letter: string): string => lines(orders(letter, 4_000).map((order) => ({ ...order, filler })));
  await reading.put("a.jsonl", many("a"));
  const real = openFolder(reading.inbox);
  let reads = 0;
  const changing: Folder = {
    ...real,
    storage: Object.assign(Object.create(real.storage), {
      async *readPieces(location: string) {
        reads += 1;
        let pieces = 0;
        for await (const piece of real.storage.readPieces(location)) {
          pieces += 1;
          // The second pass over the file; it was taken once already.
          if (reads === 2 && pieces === 9) {
            await truncate(join(reading.inbox, "a.jsonl"), 0);
            await reading.put("a.jsonl", many("b"));
          }
          yield piece;
        }
      },
    }) as Folder["storage"],
  };
  const producer = new FilesSource({
    id: "files:changing",
    kind: "live",
    source: "orders",
    openInbox: async () => ({ folder: changing }),
    settle_ms: 2_000,
    incomplete_after_ms: 60_000,
    interval_ms: 1_000,
    is_until_drained: true,
  });
  await reading.run({ producer });
  assert.deepEqual(reading.codes(), ["FILE_CHANGED"]);
  const ids = (await reading.payloads()).flatMap(({ elements = [] }) =>
    elements.map((order) => (order as { id: string }).id),
  );
  assert.deepEqual(
    ids.slice(-4_000),
    orders("b", 4_000).map(({ id }) => id),
  );
});

test("time that a simulation takes to write before a listing does not lengthen the pause after it", async () => {
  const reading = newReading();
  const clock = new ScriptedClock();
  const REFRESH_MS = 1_000;
  const producer = new FilesSource({
    id: "files:slow",
    kind: "simulated",
    source: "orders",
    settle_ms: 2_000,
    incomplete_after_ms: 60_000,
    // Longer than the pause after a listing of 0.2 s, as on a busy machine.
    interval_ms: 5_000,
    is_until_drained: false,
    openInbox: async () => ({
      folder: openFolder(reading.inbox),
      async refresh() {
        const until_ms = performance.now() + REFRESH_MS;
        while (performance.now() < until_ms);
        return true;
      },
    }),
  });
  await reading.run({ clock, for_s: 15, producer });
  // A twentieth of the time is spent listing; a listing as slow as the refresh would be followed by 20 s.
  assert.ok(clock.waits_ms.length >= 3 && Math.max(...clock.waits_ms) < 20 * REFRESH_MS, clock.waits_ms.join(" "));
});
