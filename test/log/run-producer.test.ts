import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import * as fc from "fast-check";
import { openReplay } from "../../producers/replay.ts";
import { simulated } from "../../producers/simulated.ts";
import { systemClock } from "../../src/base/clock.ts";
import { OperatingError } from "../../src/base/errors.ts";
import type { Log, LogRecord } from "../../src/log/log.ts";
import { openSqliteLog } from "../../src/log/sqlite/log.ts";
import type { Batch, Producer, SourceRecord } from "../../src/producer/producer.ts";
import { runProducer } from "../../src/log/run-producer.ts";
import { collect } from "../producer/collect.ts";
import { FakeClock } from "../producer/fake-clock.ts";

const TOPIC = "prices";
const never = new AbortController().signal;

let folder: string;
let files = 0;
before(async () => void (folder = await mkdtemp(join(tmpdir(), "coinlake-run-"))));
after(async () => await rm(folder, { recursive: true, force: true }));

async function openLog(
  file = join(folder, `${(files += 1)}.sqlite`),
  max_size_bytes?: number,
): Promise<{ log: Log; file: string }> {
  const log = openSqliteLog(max_size_bytes === undefined ? { file } : { file, max_size_bytes });
  await log.createTopic(TOPIC, 1);
  return { log, file };
}

async function everything(log: Log): Promise<LogRecord[]> {
  const [{ begin, end } = { begin: 0, end: 0 }] = await log.bounds(TOPIC);
  const records: LogRecord[] = [];
  while (records.length < end - begin)
    records.push(...(await log.read(TOPIC, 0, begin + records.length, { max_records: 10_000, max_bytes: 1e9 })));
  return records;
}

const asText = (records: readonly SourceRecord[]): string[] =>
  records.map(
    ({ key, source, payload, ingested_at_us }) =>
      `${key} ${source} ${ingested_at_us} ${Buffer.from(payload).toString("latin1")}`,
  );

const record = (number: number): SourceRecord => ({
  key: "k",
  source: "s",
  payload: Buffer.from(String(number)),
  ingested_at_us: number,
});

/** A source of `records` numbered records in batches of three, which can fail before a batch. */
function counting(records: number, fails_at = Infinity, error = new Error("the source failed")): Producer {
  return {
    id: "counting",
    kind: "replay",
    probe: async () => {},
    async *batches({ position }): AsyncGenerator<Batch> {
      for (let from = Number(position ?? 0); from < records; from += 3) {
        if (from >= fails_at) throw error;
        const until = Math.min(from + 3, records);
        yield {
          records: Array.from({ length: until - from }, (_, index) => record(from + index)),
          position: String(until),
        };
      }
    },
  };
}

const run = (producer: Producer, log: Log, signal = never) =>
  runProducer({ producer, log, topic: TOPIC, lake_folder: folder, clock: new FakeClock(), signal, report: () => {} });

test("All records of a source are in the log, in order, and the position is after the last record.", async () => {
  const { log } = await openLog();
  const appended: number[] = [];
  const result = await runProducer({
    producer: counting(10),
    log,
    topic: TOPIC,
    lake_folder: folder,
    clock: systemClock,
    signal: never,
    report: () => {},
    appended: (records) => void appended.push(records),
  });
  assert.deepEqual([result, appended], [{ records: 10 }, [3, 3, 3, 1]]);
  assert.deepEqual(asText(await everything(log)), asText(Array.from({ length: 10 }, (_, number) => record(number))));
  assert.equal(await log.position(TOPIC, "counting"), "10");
  assert.deepEqual(await run(counting(10), log), { records: 0 });
  await log.close();
});

test("Each producer gets a separate folder in the lake, with a name that every file system accepts.", async () => {
  const { log } = await openLog();
  const given: string[] = [];
  for (const id of ["files:s3://orders/in", "files:s3:orders-in", "files:s3://orders/in"]) {
    const producer: Producer = {
      ...counting(0),
      id,
      // oxlint-disable-next-line require-yield
      async *batches(context) {
        given.push(context.folder);
      },
    };
    await run(producer, log);
  }
  assert.equal(new Set(given).size, 2);
  for (const path of given) assert.match(relative(folder, path), /^producers[/\\][A-Za-z0-9-]+$/);
  assert.ok(!existsSync(given[0] ?? ""), "the producer creates it when it needs one");
  await log.close();
});

test("A producer waits for a full log until it is stopped, and the next run continues without a gap.", async () => {
  const market = { coins: 10, speed: "max", start_us: 1_760_000_000_000_000, until_step: 200 } as const;
  const { log, file } = await openLog(undefined, 600_000);
  const stop = new AbortController();
  const stalled: (string | null)[] = [];
  const options = {
    producer: simulated(market),
    log,
    topic: TOPIC,
    lake_folder: folder,
    clock: new FakeClock(),
    signal: stop.signal,
    report: () => {},
    stalled(error: OperatingError | null) {
      if (stalled.push(error?.code ?? null) === 500) stop.abort();
    },
  };
  await runProducer(options);
  assert.deepEqual([...new Set(stalled)], ["LOG_DISK_FULL"], "more often than an hour of waiting takes");
  const kept = (await everything(log)).length;
  assert.ok(kept > 0 && kept < 200, String(kept));
  await log.close();
  const { log: roomy } = await openLog(file);
  assert.deepEqual(await run(simulated(market), roomy), { records: 200 - kept });
  assert.deepEqual(asText(await everything(roomy)), asText((await collect(simulated(market))).records));
  await roomy.close();
});

test("The current batch is appended once a full log has space, and the end of the stall is reported.", async () => {
  const { log } = await openLog();
  const full = new OperatingError("LOG_DISK_FULL", "The disk is full.", {
    next_step: "Free some.",
    is_retryable: true,
  });
  let left = 100;
  const append: Log["append"] = async (...batch) => {
    left -= 1;
    if (left >= 0) throw full;
    await log.append(...batch);
  };
  const stalls: (OperatingError | null)[] = [];
  const waiting = { position: (topic: string, producer: string) => log.position(topic, producer), append } as Log;
  const stalled = (error: OperatingError | null): void => void stalls.push(error);
  const result = await runProducer({
    producer: counting(4),
    log: waiting,
    topic: TOPIC,
    lake_folder: folder,
    clock: new FakeClock(),
    signal: never,
    report: () => {},
    stalled,
  });
  assert.deepEqual(result, { records: 4 });
  assert.deepEqual(stalls, [...Array.from({ length: 100 }, () => full), null]);
  await log.close();
});

test("An error of the source ends the run, and the records before it are kept.", async () => {
  const { log } = await openLog();
  const failure = new Error("gone");
  await assert.rejects(run(counting(10, 6, failure), log), failure);
  assert.equal((await everything(log)).length, 6);
  await log.close();
});

test("An abort ends the run after the current append without an error, even if the source throws.", async () => {
  const { log } = await openLog();
  const abort = new AbortController();
  const throwing: Producer = {
    ...counting(0),
    async *batches({ signal }): AsyncGenerator<Batch> {
      yield { records: [record(0)], position: "1" };
      abort.abort();
      signal.throwIfAborted();
    },
  };
  assert.deepEqual(await run(throwing, log, abort.signal), { records: 1 });
  await log.close();
});

/** A log whose calls each fail `failures` times before they succeed; a failed append may have been written. */
function away(log: Log, { failures, is_written }: { failures: number; is_written: boolean }): Log {
  let left = failures;
  const attempt = async <T>(call: () => Promise<T>): Promise<T> => {
    if (left === 0) {
      left = failures;
      return await call();
    }
    left -= 1;
    throw new OperatingError("LOG_UNREACHABLE", "It is away.", { next_step: "Wait.", is_retryable: true });
  };
  const append: Log["append"] = async (...batch) => {
    if (is_written && left > 0) await log.append(...batch);
    await attempt(() => log.append(...batch));
  };
  return { position: (topic: string, producer: string) => attempt(() => log.position(topic, producer)), append } as Log;
}

test("An unreachable log is reported and retried; a batch appended without a response is duplicated.", async () => {
  for (const is_written of [false, true]) {
    const { log } = await openLog();
    const reported: string[] = [];
    const result = await runProducer({
      producer: counting(4),
      log: away(log, { failures: 20, is_written }),
      topic: TOPIC,
      lake_folder: folder,
      clock: new FakeClock(),
      signal: never,
      report: ({ level, code }) => void reported.push(`${level} ${code}`),
    });
    assert.deepEqual(result, { records: 4 });
    assert.deepEqual(
      reported,
      Array.from({ length: 60 }, () => "warning LOG_UNREACHABLE"),
    );
    const numbers = (await everything(log)).map(({ ingested_at_us }) => ingested_at_us);
    const times = is_written ? 21 : 1;
    assert.deepEqual(
      numbers,
      [...Array.from({ length: times }, () => [0, 1, 2]), ...Array.from({ length: times }, () => [3])].flat(),
    );
    assert.equal(await log.position(TOPIC, "counting"), "4");
    await log.close();
  }
});

test("A stop while the log is unreachable ends the run without an error.", async () => {
  const { log } = await openLog();
  const abort = new AbortController();
  const waiting = away(log, { failures: Infinity, is_written: false });
  const running = runProducer({
    producer: counting(4),
    log: { ...waiting, position: async () => null },
    topic: TOPIC,
    lake_folder: folder,
    clock: new FakeClock(),
    signal: abort.signal,
    report: () => abort.abort(),
  });
  assert.deepEqual(await running, { records: 0 });
  await log.close();
});

test("A log that appends immediately does not starve timers.", async () => {
  const { log } = await openLog();
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  await run(counting(3000), log);
  clearInterval(timer);
  assert.ok(turns > 5, String(turns));
  await log.close();
});

test("Replays and simulated markets that are stopped repeatedly leave the same log as one run.", async () => {
  const file = join(folder, "candles.csv");
  const rows = Array.from(
    { length: 600 },
    (_, index) => `C${index % 5},${1_760_000_040_000 + Math.floor(index / 5) * 60_000},1.5,1.9,1.2,1.7,0.30`,
  );
  await writeFile(file, ["symbol,open_time_ms,open,high,low,close,volume", ...rows, "torn,1"].join("\n"));
  const sources: [string, () => Promise<Producer>][] = [
    ["replay at full speed", () => openReplay({ file, speed: "max" })],
    ["replay at a pace", () => openReplay({ file, speed: 3600 })],
    ["market", async () => simulated({ coins: 5, speed: 100, start_us: 1_760_000_000_000_000, until_step: 60 })],
  ];
  for (const [title, open] of sources) {
    const whole = asText((await collect(await open())).records);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(whole.length), { maxLength: 6 }), async (stops) => {
        const { log } = await openLog();
        for (const stop of [...stops, Infinity]) {
          const abort = new AbortController();
          let records = 0;
          const appended = (more: number): void => void ((records += more) >= stop && abort.abort());
          await runProducer({
            producer: await open(),
            log,
            topic: TOPIC,
            lake_folder: folder,
            clock: new FakeClock(),
            signal: abort.signal,
            report: () => {},
            appended,
          });
        }
        assert.deepEqual(asText(await everything(log)), whole, title);
        await log.close();
      }),
      { numRuns: 6 },
    );
  }
});
