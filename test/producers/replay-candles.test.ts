import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { readFile } from "node:fs/promises";
import * as fc from "fast-check";
import { openReplay } from "../../producers/replay.ts";
import { marketData, skipWithout } from "../support/market-data.ts";
import { NO_FOLDER, collect, textOf } from "../producer/collect.ts";
import { FakeClock } from "../producer/fake-clock.ts";

const HEADER = "symbol,open_time_ms,open,high,low,close,volume";
const MINUTE = Date.parse("2025-10-10T21:00:00Z");

let folder: string;
before(async () => void (folder = await mkdtemp(join(tmpdir(), "coinlake-replay-"))));
after(async () => await rm(folder, { recursive: true, force: true }));

async function fileOf(content: string | Uint8Array, name = "candles.csv"): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, content);
  return file;
}

const candle = (symbol: string, minute: number, prices = "1.10,1.30,1.00,1.20,9.50"): string =>
  `${symbol},${MINUTE + minute * 60_000},${prices}`;

test("a candle becomes four ticks with the file's own text, and only the close has the volume", async () => {
  const file = await fileOf(
    [HEADER, candle("BTC", 0, "0.50,0.0000000120,1e-9,23144.780,1.3e-05"), candle("BTC", 1)].join("\n"),
  );
  const { records } = await collect(await openReplay({ file, speed: "max" }));
  const open_ms = MINUTE;
  assert.deepEqual(records.slice(0, 4).map(textOf), [
    `{"type":"tick","product":"BTC","time":"2025-10-10T21:00:00.000Z","price":"0.50","id":"${open_ms}-open"}`,
    `{"type":"tick","product":"BTC","time":"2025-10-10T21:00:20.000Z","price":"1e-9","id":"${open_ms}-low"}`,
    `{"type":"tick","product":"BTC","time":"2025-10-10T21:00:40.000Z","price":"0.0000000120","id":"${open_ms}-high"}`,
    `{"type":"tick","product":"BTC","time":"2025-10-10T21:00:59.999Z","price":"23144.780",` +
      `"volume":"1.3e-05","id":"${open_ms}-close"}`,
  ]);
  assert.deepEqual(
    records.slice(0, 4).map(({ key, source, ingested_at_us }) => [key, source, ingested_at_us / 1000 - open_ms]),
    [0, 20_000, 40_000, 59_999].map((delay_ms) => ["BTC", "replay", delay_ms]),
  );
});

test("a file sorted by symbol is replayed in order of time, ties in order of the lines", async () => {
  const file = await fileOf(
    [HEADER, candle("ETH", 0), candle("ETH", 1), candle("BTC", 0), candle("BTC", 3)].join("\r\n"),
  );
  const { records } = await collect(await openReplay({ file, speed: "max" }));
  const replayed = records.map((record) => `${record.key} ${(record.ingested_at_us / 1000 - MINUTE) / 1000}`);
  assert.deepEqual(replayed, [
    "ETH 0",
    "BTC 0",
    "ETH 20",
    "BTC 20",
    "ETH 40",
    "BTC 40",
    "ETH 59.999",
    "BTC 59.999",
    "ETH 60",
    "ETH 80",
    "ETH 100",
    "ETH 119.999",
    "BTC 180",
    "BTC 200",
    "BTC 220",
    "BTC 239.999",
  ]);
});

test("of lines with the same symbol and start, the last is replayed first, and the others follow it", async () => {
  const flat = (symbol: string, price: number) => candle(symbol, 0, `${price},${price},${price},${price},1`);
  const lines = [flat("BTC", 1), flat("ETH", 9), flat("BTC", 2), candle("BTC", 1), flat("BTC", 3)];
  const file = await fileOf([HEADER, ...lines].join("\n"));
  const { records } = await collect(await openReplay({ file, speed: "max" }));
  const opens = records.filter((record) => textOf(record).includes("-open"));
  const replayed = opens.map((record) => `${record.key} ${/"price":"([^"]*)"/.exec(textOf(record))?.[1]}`);
  assert.deepEqual(replayed, ["BTC 3", "ETH 9", "BTC 2", "BTC 1", "BTC 1.10"]);
  const again = await collect(await openReplay({ file, speed: "max" }), { position: JSON.stringify({ records: 7 }) });
  assert.deepEqual(again.records.map(textOf), records.slice(7).map(textOf), "it resumes where it stopped");
});

test("malformed lines are replayed unchanged at the replay's current time, and no other line is lost", async () => {
  const bad = [
    "BTC,1,2,3",
    candle("BTC", 0, "1,2,abc,4,5"),
    "BTC,yesterday,1,2,3,4,5",
    "BTC,-5,1,2,3,4,5",
    candle("", 1),
    candle("BTC", 0, "1,2,,4,5"),
    `${candle("BTC", 0)},6`,
  ];
  const not_utf8 = Buffer.concat([Buffer.from("BT\xff", "latin1"), Buffer.from(candle("", 1))]);
  const lines = [HEADER, candle("ETH", 0), ...bad, "", candle("ETH", 1)].map((line) => Buffer.from(`${line}\n`));
  const file = await fileOf(Buffer.concat([...lines, not_utf8]));
  const producer = await openReplay({ file, speed: "max" });
  const { records } = await collect(producer);
  const rejected = records.filter(({ key }) => key === "unreadable");
  assert.deepEqual(rejected.slice(0, -1).map(textOf), bad);
  assert.deepEqual(Buffer.from(rejected.at(-1)!.payload), not_utf8);
  assert.deepEqual(
    rejected.map(({ ingested_at_us }) => ingested_at_us / 1000 - MINUTE),
    [...bad.map(() => 0), 60_000],
  );
  assert.equal(records.length, 8 + bad.length + 1);
  assert.deepEqual(producer.progress?.(), { done: records.length, total: records.length });
});

test("malformed lines above the first candle get its time, and a file of such lines alone is replayed", async () => {
  const above = await collect(
    await openReplay({ file: await fileOf([HEADER, "x", candle("BTC", 0)].join("\n")), speed: "max" }),
  );
  assert.deepEqual([textOf(above.records[0]), above.records[0]?.ingested_at_us], ["x", MINUTE * 1000]);
  const alone = await collect(await openReplay({ file: await fileOf([HEADER, "x", "y"].join("\n")), speed: "max" }));
  assert.deepEqual(alone.records.map(textOf), ["x", "y"]);
});

test("the length of a candle is the smallest distance between candles of the file, or one minute", async () => {
  const delays = async (...rows: string[]): Promise<number[]> => {
    const { records } = await collect(
      await openReplay({ file: await fileOf([HEADER, ...rows].join("\n")), speed: "max" }),
    );
    return records.filter(({ key }) => key === "A").map(({ ingested_at_us }) => ingested_at_us / 1000 - MINUTE);
  };
  assert.deepEqual(await delays(candle("A", 0)), [0, 20_000, 40_000, 59_999]);
  assert.deepEqual(await delays(candle("A", 0), candle("B", 0), candle("B", 60)), [0, 1_200_000, 2_400_000, 3_599_999]);
  assert.deepEqual(await delays(candle("A", 0), candle("B", 5), candle("C", 65)), [0, 100_000, 200_000, 299_999]);
  assert.deepEqual(await delays(`A,${MINUTE},1,2,3,4,5`, `B,${MINUTE + 1},1,2,3,4,5`), [0, 0, 0, 0]);
});

test("a compressed file gives the same records as a plain one, and the same hash in its id", async () => {
  const text = [
    HEADER,
    ...Array.from({ length: 700 }, (_, minute) => candle(minute % 2 === 0 ? "A" : "B", minute)),
  ].join("\n");
  const plain = await openReplay({ file: await fileOf(text), speed: "max" });
  const packed = await openReplay({ file: await fileOf(gzipSync(text), "candles.csv.gz"), speed: "max" });
  assert.deepEqual((await collect(packed)).records, (await collect(plain)).records);
  assert.equal(packed.id.split(":").at(-1), plain.id.split(":").at(-1));
});

test("a damaged compressed file is replayed up to the damage; a torn line is recorded, but is no candle", async () => {
  const text = [
    HEADER,
    ...Array.from({ length: 300 }, (_, minute) =>
      candle("A", minute, `${Math.sin(minute) + 2},3,0.5,${Math.cos(minute) + 2},7.77`),
    ),
  ].join("\n");
  const whole = gzipSync(text);
  for (const kept of [whole.length - 1, whole.length - 9, Math.floor(whole.length / 2), 200]) {
    const producer = await openReplay({ file: await fileOf(whole.subarray(0, kept), "torn.csv.gz"), speed: "max" });
    const { records, reports } = await collect(producer);
    assert.deepEqual(
      reports.map(({ code, level }) => [code, level]),
      [["FILE_DAMAGED", "warning"]],
    );
    const torn = records.filter(({ key }) => key === "unreadable").map(textOf);
    const said = records.filter(({ key }) => key === "A").length / 4;
    const lines = text.split("\n");
    assert.deepEqual(
      torn.map((line) => lines[said + 1]?.startsWith(line)),
      [true],
      `kept ${kept} bytes`,
    );
  }
  const flipped = Buffer.from(whole);
  flipped[whole.length - 6] = (flipped[whole.length - 6] ?? 0) ^ 0xff;
  const { reports } = await collect(await openReplay({ file: await fileOf(flipped, "flipped.csv.gz"), speed: "max" }));
  assert.deepEqual(
    reports.map(({ code }) => code),
    ["FILE_DAMAGED"],
  );
});

test("a replay resumes exactly where the log ends, after any number of records", async () => {
  const text = [
    HEADER,
    "bad",
    ...Array.from({ length: 400 }, (_, index) => candle(`C${index % 7}`, Math.floor(index / 7))),
    "bad too",
  ].join("\n");
  const file = await fileOf(text, "resume.csv");
  const whole = (await collect(await openReplay({ file, speed: "max" }))).records;
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length), async (records) => {
      const rest = await collect(await openReplay({ file, speed: "max" }), { position: JSON.stringify({ records }) });
      assert.deepEqual(rest.records, whole.slice(records));
    }),
    { numRuns: 60 },
  );
});

test("at speed N, ticks are replayed N times as fast as they were recorded", async () => {
  const file = await fileOf([HEADER, candle("A", 0), candle("A", 1)].join("\n"));
  const clock = new FakeClock();
  const start_us = clock.now_us();
  const seen: number[] = [];
  const producer = await openReplay({ file, speed: 10 });
  for await (const batch of producer.batches({
    position: null,
    clock,
    signal: new AbortController().signal,
    folder: NO_FOLDER,
    report: (said) => assert.fail(said.message),
  })) {
    seen.push(...batch.records.map(() => (clock.now_us() - start_us) / 1000));
  }
  assert.deepEqual(seen, [0, 2000, 4000, 6000, 6000, 8000, 10_000, 12_000]);
});

test("an abort ends a replay that waits for its next tick", async () => {
  const file = await fileOf([HEADER, candle("A", 0), candle("A", 1)].join("\n"));
  const abort = new AbortController();
  const producer = await openReplay({ file, speed: 1 });
  const records = [];
  for await (const batch of producer.batches({
    position: null,
    clock: new FakeClock(),
    signal: abort.signal,
    folder: NO_FOLDER,
    report: (said) => assert.fail(said.message),
  })) {
    records.push(...batch.records);
    abort.abort();
  }
  assert.equal(records.length, 1);
});

const RECORDED = [
  { file: "btc-1m-2023-03.csv.gz", ticks: 362_880 },
  { file: "market-1h-2025-10.csv.gz", ticks: 113_088 },
];
for (const { file, ticks } of RECORDED) {
  test(
    `the recorded ${file} gives ${ticks} ticks in order, each with the text of its candle`,
    { skip: skipWithout(file) },
    async () => {
      const path = marketData(file)!;
      const rows = gunzipSync(await readFile(path))
        .toString("utf8")
        .trim()
        .split("\n")
        .slice(1)
        .map((row) => row.split(","));
      const candles = new Map(rows.map((row) => [`${row[0]} ${row[1]}`, row]));
      const { records } = await collect(await openReplay({ file: path, speed: "max" }));
      assert.equal(records.length, ticks);
      const column = { open: 2, high: 3, low: 4, close: 5 };
      const ids = new Set<string>();
      let clock_us = 0;
      for (const record of records) {
        const { product, time, price, volume, id } = JSON.parse(textOf(record)) as Record<string, string>;
        const [open_time, position] = id!.split("-") as [string, keyof typeof column];
        const row = candles.get(`${product} ${open_time}`)!;
        assert.equal(price, row[column[position]]);
        assert.equal(volume, position === "close" ? row[6] : undefined);
        assert.equal(Date.parse(time!) * 1000, record.ingested_at_us);
        assert.ok(record.ingested_at_us >= clock_us && record.payload.length <= 170);
        clock_us = record.ingested_at_us;
        ids.add(`${product} ${id}`);
      }
      assert.equal(ids.size, ticks);
      const times = rows.map((row) => Number(row[1]));
      const length_ms = file.includes("1m") ? 60_000 : 3_600_000;
      assert.equal(records[0]!.ingested_at_us, times.reduce((a, b) => Math.min(a, b)) * 1000);
      assert.equal(records.at(-1)!.ingested_at_us, (times.reduce((a, b) => Math.max(a, b)) + length_ms - 1) * 1000);
    },
  );
}

const UNITS: [unit: string, (at_ms: number) => string][] = [
  ["seconds", (at_ms) => `${at_ms / 1000}`],
  ["milliseconds", (at_ms) => `${at_ms}`],
  ["microseconds", (at_ms) => `${at_ms}000`],
  ["nanoseconds", (at_ms) => `${at_ms}000000`],
];
const NUMBERS = "1.10,1.30,1.00,1.20,9.50";

for (const [unit, count] of UNITS) {
  test(`a candle file with times in ${unit} gives the same prices at the same times`, async () => {
    const lines = [0, 1, 2].map((minute) => `BTC,${count(MINUTE + minute * 60_000)},${NUMBERS}`);
    const { records } = await collect(
      await openReplay({ file: await fileOf([HEADER, ...lines].join("\n")), speed: "max" }),
    );
    assert.equal(records.length, 12);
    assert.deepEqual(
      records.map(({ ingested_at_us }) => ingested_at_us / 1000 - MINUTE),
      [0, 1, 2].flatMap((minute) => [0, 20_000, 40_000, 59_999].map((delay) => minute * 60_000 + delay)),
    );
    assert.match(textOf(records[0]!), /"time":"2025-10-10T21:00:00.000Z"/);
  });
}

test("a candle file that mixes units is rejected with the line numbers", async () => {
  const [seconds, millis, micros, nanos] = UNITS.map(
    ([, count], minute) => `BTC,${count(MINUTE + minute * 60_000)},${NUMBERS}`,
  );
  const file = await fileOf([HEADER, seconds, seconds, "", millis, micros, "broken", nanos].join("\n"));
  await assert.rejects(openReplay({ file, speed: "max" }), {
    code: "TIME_UNITS_MIXED",
    message: new RegExp(
      "line 2 counts seconds \\(\\d+\\), line 5 counts milliseconds \\(\\d+\\), " +
        "line 6 counts microseconds \\(\\d+\\), line 8 counts nanoseconds",
    ),
  });
});

test("a candle file with a time before 2009 is rejected with the line number", async () => {
  for (const time of ["0", "1230", "1230767999", "1230767999999", "1230767999999999"]) {
    const file = await fileOf([HEADER, candle("BTC", 0), `BTC,${time},${NUMBERS}`].join("\n"));
    await assert.rejects(
      openReplay({ file, speed: "max" }),
      { code: "TIME_OUT_OF_RANGE", message: new RegExp(`^Line 3 .*"${time}"`) },
      time,
    );
  }
});
