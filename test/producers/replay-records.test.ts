import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { openReplay } from "../../producers/replay.ts";
import { isoFromMicros } from "../../src/base/clock.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { collect, textOf } from "../producer/collect.ts";
import { FakeClock } from "../producer/fake-clock.ts";
import { recordLine } from "../producer/record-line.ts";

let folder: string;
before(async () => void (folder = await mkdtemp(join(tmpdir(), "coinlake-replay-"))));
after(async () => await rm(folder, { recursive: true, force: true }));

async function fileOf(content: string | Uint8Array, name = "records.jsonl"): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, content);
  return file;
}

const start_us = Date.parse("2025-10-10T21:00:00Z") * 1000;
const recordAt = (seconds: number, payload: Uint8Array = Buffer.from(`{"n":${seconds}}`)): SourceRecord => ({
  key: "coingecko",
  source: "coingecko",
  payload: new Uint8Array(payload),
  ingested_at_us: start_us + seconds * 1_000_000 + 7,
});

const plain = (records: readonly SourceRecord[]): unknown[] =>
  records.map((record) => ({ ...record, payload: [...record.payload] }));

test("records are replayed in file order with their source, key, time and bytes, compressed or not", async () => {
  const records = [
    recordAt(5),
    recordAt(3),
    recordAt(9, Buffer.from([0xff, 0x00, 0x0a])),
    { ...recordAt(10), key: "BTC" },
  ];
  const text = records.map((record) => `${recordLine(record)}\n`).join("");
  for (const [content, name] of [
    [text, "r.jsonl"],
    [gzipSync(text), "r.ndjson.gz"],
    [text, "no-telling-name"],
  ] as const) {
    const { records: replayed } = await collect(await openReplay({ file: await fileOf(content, name), speed: "max" }));
    assert.deepEqual(plain(replayed), plain(records));
  }
});

test("malformed lines are replayed unchanged with the time of the record above, or of the first record", async () => {
  const bad = ["{", '{"source":"x"}', "[]", "{}\ttoo much"];
  const file = await fileOf(
    [bad[0], recordLine(recordAt(5)), bad[1], bad[2], recordLine(recordAt(3)), "", bad[3]].join("\n"),
  );
  const { records } = await collect(await openReplay({ file, speed: "max" }));
  const rejected = records.filter(({ source }) => source === "replay");
  assert.deepEqual(rejected.map(textOf), bad);
  assert.deepEqual(
    rejected.map(({ ingested_at_us }) => (ingested_at_us - start_us - 7) / 1_000_000),
    [5, 5, 5, 3],
  );
});

test("the last line of a truncated file is rejected even if it can be parsed", async () => {
  const first = recordLine(recordAt(1));
  const torn = gzipSync(`${first}\n${first}`).subarray(0, -8);
  const { records } = await collect(await openReplay({ file: await fileOf(torn, "torn.jsonl.gz"), speed: "max" }));
  assert.deepEqual(
    records.map(({ source }) => source),
    ["coingecko", "replay"],
  );
});

test("a replay of any file resumes after any number of records with exactly the rest", async () => {
  const line = fc.oneof(
    fc
      .record({ seconds: fc.nat(1000), payload: fc.uint8Array({ maxLength: 300 }) })
      .map(({ seconds, payload }) => recordLine(recordAt(seconds, payload))),
    fc.string({ minLength: 1 }).map((text) => `{${text.replaceAll(/[\r\n]/g, " ")}`),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 40 }), fc.nat(), async (lines, kill) => {
      const file = await fileOf(lines.join("\n"), "property.jsonl");
      await utimes(file, 1_700_000_000, 1_700_000_000);
      const whole = await collect(await openReplay({ file, speed: "max" }));
      assert.equal(whole.records.length, lines.length);
      const records = kill % (lines.length + 1);
      const rest = await collect(await openReplay({ file, speed: "max" }), { position: JSON.stringify({ records }) });
      assert.deepEqual(plain(rest.records), plain(whole.records.slice(records)));
    }),
    { numRuns: 60 },
  );
});

test("a time that steps back is replayed at once, and a day's gap is waited for in slices", async () => {
  const file = await fileOf([recordAt(100), recordAt(40), recordAt(100 + 86_400)].map(recordLine).join("\n"));
  const clock = new FakeClock();
  const begun_us = clock.now_us();
  const { records } = await collect(await openReplay({ file, speed: 2 }), { clock });
  assert.equal(records.length, 3);
  assert.equal((clock.now_us() - begun_us) / 1_000_000, 43_200);
  assert.ok(Math.max(...clock.waits_ms) <= 30_000);
});

test("a replay at speed max yields batches of at most 1,000 records", async () => {
  const lines = Array.from({ length: 2500 }, (_, index) => recordLine(recordAt(index)));
  const { batches } = await collect(await openReplay({ file: await fileOf(lines.join("\n")), speed: "max" }));
  assert.ok(batches.every(({ records }) => records.length <= 1000));
  assert.deepEqual(JSON.parse(batches.at(-1)!.position!), { records: 2500 });
});

const is_root = process.getuid?.() === 0;
const REJECTED: { title: string; code: string; skip?: string | false; make(): Promise<string> }[] = [
  { title: "a missing file", code: "FILE_NOT_FOUND", make: async () => join(folder, "none.csv") },
  {
    title: "a folder",
    code: "FILE_IS_FOLDER",
    make: async () => (await mkdir(join(folder, "dir"), { recursive: true }), join(folder, "dir")),
  },
  { title: "an empty file", code: "FILE_EMPTY", make: () => fileOf("", "empty.csv") },
  { title: "a file of empty lines", code: "FILE_EMPTY", make: () => fileOf("\n\r\n\n", "lines.csv") },
  { title: "an empty compressed file", code: "FILE_EMPTY", make: () => fileOf(gzipSync(""), "empty.csv.gz") },
  {
    title: "garbage after a gzip header",
    code: "FILE_EMPTY",
    make: () => fileOf(Buffer.from("1f8bffffffffffffffff", "hex"), "bad.gz"),
  },
  { title: "a file of unknown format", code: "FILE_FORMAT_UNKNOWN", make: () => fileOf("a,b,c\n1,2,3\n", "other.csv") },
  {
    title: "a binary file",
    code: "FILE_FORMAT_UNKNOWN",
    make: () => fileOf(Buffer.from([0, 1, 2, 255, 254]), "image.png"),
  },
  {
    title: "a file without read permission",
    code: "FILE_NOT_READABLE",
    skip: is_root ? "root may read everything" : false,
    make: async () => {
      const file = await fileOf("{}", "locked.jsonl");
      await chmod(file, 0);
      return file;
    },
  },
  {
    title: "a device",
    code: "FILE_NOT_READABLE",
    skip: process.platform === "win32" ? "no /dev" : false,
    make: async () => "/dev/null",
  },
];
for (const { title, code, skip, make } of REJECTED) {
  test(`${title} is rejected with ${code} and a next step`, { skip: skip ?? false }, async () => {
    await assert.rejects(
      openReplay({ file: await make(), speed: "max" }),
      (error: { code: string; next_step: string }) => {
        assert.equal(error.code, code);
        assert.match(error.next_step, /^[A-Z].*\.$/s);
        return true;
      },
    );
  });
}

test("a file that changes after it was opened is rejected by the probe and by the replay", async () => {
  const file = await fileOf(recordLine(recordAt(1)), "changing.jsonl");
  const producer = await openReplay({ file, speed: "max" });
  await producer.probe(new AbortController().signal);
  await writeFile(file, `${recordLine(recordAt(1))}\n${recordLine(recordAt(2))}`);
  await assert.rejects(producer.probe(new AbortController().signal), { code: "FILE_CHANGED" });
  await assert.rejects(collect(producer), { code: "FILE_CHANGED" });
});

test("an invalid stored position stops the replay, so that no record is repeated", async () => {
  const producer = await openReplay({ file: await fileOf(recordLine(recordAt(1))), speed: "max" });
  for (const position of ["", "{}", '{"records":-1}', '{"records":2}', '{"records":0.5}', "null"]) {
    await assert.rejects(collect(producer, { position }), { code: "INVALID_POSITION" }, position);
  }
});

test("an invalid speed is rejected with a RangeError", async () => {
  for (const speed of [0, -1, NaN, Infinity]) await assert.rejects(openReplay({ file: "any", speed }), RangeError);
});

test("recorded times keep their microseconds", async () => {
  const file = await fileOf(recordLine(recordAt(1)));
  const { records } = await collect(await openReplay({ file, speed: "max" }));
  assert.equal(isoFromMicros(records[0]!.ingested_at_us), "2025-10-10T21:00:01.000007Z");
});

test("times may be counts of any unit, but of one only, and none before 2009; an error names the line", async () => {
  const line = (ingested_at: string | number): string => JSON.stringify({ source: "x", ingested_at, payload: "{}" });
  const at_s = start_us / 1_000_000;
  for (const counts of [
    [at_s, at_s + 1],
    [at_s * 1000, at_s * 1000 + 1000],
    [start_us, start_us + 1_000_000],
    [`${start_us}000`, start_us + 1_000_000],
  ]) {
    const file = await fileOf(
      counts.map((count) => line(typeof count === "string" ? Number(count) : count)).join("\n"),
    );
    if (typeof counts[0] === "string") {
      await assert.rejects(openReplay({ file, speed: "max" }), {
        code: "TIME_UNITS_MIXED",
        message: /line 1 counts nanoseconds .*line 2 counts microseconds/,
      });
      continue;
    }
    const { records } = await collect(await openReplay({ file, speed: "max" }));
    assert.deepEqual(
      records.map(({ ingested_at_us }) => ingested_at_us - start_us),
      [0, 1_000_000],
    );
  }
  for (const early of ["1970-01-01T00:00:00Z", "2008-12-31T23:59:59.999999Z", 1_230_767_999]) {
    const file = await fileOf([line("2009-01-01T00:00:00Z"), "", "{", line(early)].join("\n"));
    await assert.rejects(openReplay({ file, speed: "max" }), { code: "TIME_OUT_OF_RANGE", message: /^Line 4 / });
  }
});
