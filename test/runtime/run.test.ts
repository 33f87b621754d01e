import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { after, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { simulated } from "../../producers/simulated.ts";
import { OperatingError } from "../../src/base/errors.ts";
import { TAIL_LIMITS } from "../../src/live/live-lake.ts";
import { openSqliteLog } from "../../src/log/sqlite/log.ts";
import { runPipeline, type PipelineRun } from "../../src/runtime/run.ts";
import type { Batch, Producer } from "../../src/producer/producer.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { FakeClock } from "../producer/fake-clock.ts";

const folder = temporaryFolder();
after(() => folder.remove());

const died = (): OperatingError => new OperatingError("DBT_WORKER_DIED", "It died.", { next_step: "Wait." });
const passed = { is_success: true, seconds: 1, cpu_seconds: 1, nodes: [] };

/**
 * Drains twenty records into a dbt whose `catchUp` and `test` return the given results, call by call; the last result
 * repeats.
 */
async function drain(dbt: {
  catchUp: (() => number)[];
  test?: (() => typeof passed)[];
  signal?: AbortSignal;
  producers?: readonly Producer[];
  ingestDrain?: PipelineRun["ingest"]["drain"];
}): Promise<string[]> {
  const log = openSqliteLog({ file: join(folder.path, `${Math.random()}.db`) });
  const calls: string[] = [];
  const answer = <T>(answers: (() => T)[]): T => ((answers.length > 1 ? answers.shift() : answers[0]) as () => T)();
  const run: PipelineRun = {
    // The clock advances during an append's real time; the resulting test runs are not part of these tests.
    pipeline: { ...crypto, transform: { ...crypto.transform, test_interval_ms: Infinity } },
    producers: dbt.producers ?? [simulated({ speed: "max", until_step: 20 })],
    log,
    lake_folder: folder.path,
    ingest: {
      run: async () => {},
      meanRecordBytes: () => null,
      drain: dbt.ingestDrain ?? (async () => void calls.push("drained")),
    },
    transform: {
      waitingRecords: async () => 0,
      hasBuilt: async () => true,
      catchUp: async () => ({ seconds: answer(dbt.catchUp), cpu_seconds: 1 }),
      test: async () => answer(dbt.test ?? [() => passed]),
    },
    clock: new FakeClock(),
    signal: dbt.signal ?? new AbortController().signal,
    is_until_drained: true,
    events: {
      reported: ({ level, code }) => void (level === "error" && calls.push(code)),
      appended: (records) => calls.push(`${records} appended`),
      stalled: (name, error) => calls.push(`${name} ${error === null ? "goes on" : error.code}`),
      caughtUp: (seconds) => calls.push(`caught up in ${seconds} s`),
      tested: () => calls.push("tested"),
      failed: ({ code }) => calls.push(code),
    },
  };
  try {
    await log.createTopic(crypto.topic.name, crypto.topic.partitions);
    await runPipeline(run);
  } finally {
    await log.close();
  }
  return calls;
}

const failing = (error: Error) => (): never => {
  throw error;
};

test("A drain ends once gold is complete and tested.", async () => {
  assert.deepEqual(await drain({ catchUp: [() => 2] }), ["20 appended", "drained", "caught up in 2 s", "tested"]);
});

test("A drain continues after the dbt worker dies during models or tests.", async () => {
  const calls = await drain({
    catchUp: [failing(died()), failing(died()), () => 2],
    test: [failing(died()), () => passed],
  });
  assert.deepEqual(calls.slice(2), [
    "DBT_WORKER_DIED",
    "DBT_WORKER_DIED",
    "caught up in 2 s",
    "DBT_WORKER_DIED",
    "tested",
  ]);
});

test("A drain fails after repeated failures, and immediately after an error that is not retryable.", async () => {
  await assert.rejects(drain({ catchUp: [failing(died())] }), { code: "DBT_WORKER_DIED" });
  let calls = 0;
  const mistake = (): never => {
    calls += 1;
    throw new TypeError("a mistake");
  };
  await assert.rejects(drain({ catchUp: [mistake] }), TypeError);
  assert.equal(calls, 1);
});

test("A stop during a drain ends it without an error.", async () => {
  const stopping = new AbortController();
  const calls = await drain({
    catchUp: [
      () => {
        stopping.abort();
        throw new OperatingError("DBT_WORKER_CLOSED", "It is stopping.", { next_step: "Start again." });
      },
    ],
    signal: stopping.signal,
  });
  assert.deepEqual(calls, ["20 appended", "drained"]);
});

test("A stop during the drain of ingest is passed on to it.", async () => {
  const stopping = new AbortController();
  const ingestDrain = async (signal: AbortSignal): Promise<void> => {
    const stopped = once(signal, "abort");
    stopping.abort();
    await stopped;
  };
  const closed = new OperatingError("DBT_WORKER_CLOSED", "It is stopping.", { next_step: "Start again." });
  assert.deepEqual(await drain({ catchUp: [failing(closed)], signal: stopping.signal, ingestDrain }), ["20 appended"]);
});

/** A source that yields one record and then fails. */
function failingSource(
  id: string,
  error: Error = new OperatingError("FILE_CHANGED", "It is gone.", { next_step: "Mourn." }),
): Producer {
  return {
    id,
    kind: "simulated",
    probe: async () => {},
    async *batches(): AsyncGenerator<Batch> {
      yield { records: [{ key: id, source: id, payload: Buffer.from("{}"), ingested_at_us: 1 }], position: "1" };
      throw error;
    },
  };
}

test("A failed source is reported, and the others continue to their end.", async () => {
  const producers = [failingSource("gone"), simulated({ speed: "max", until_step: 20 })];
  const calls = await drain({ catchUp: [() => 2], producers });
  assert.deepEqual(calls.filter((line) => line.endsWith("appended")).sort(), ["1 appended", "20 appended"]);
  assert.deepEqual(
    calls.filter((line) => !line.endsWith("appended")),
    ["FILE_CHANGED", "drained", "caught up in 2 s", "tested"],
  );
});

test("A run fails once all sources have failed.", async () => {
  await assert.rejects(drain({ catchUp: [() => 2], producers: [failingSource("a"), failingSource("b")] }), {
    code: "FILE_CHANGED",
  });
});

test("A programming error in one source ends the run immediately, even if another source is running.", async () => {
  const endless: Producer = { ...simulated({ speed: 1 }), id: "endless" };
  await assert.rejects(
    drain({ catchUp: [() => 2], producers: [endless, failingSource("a", new TypeError("a mistake"))] }),
    TypeError,
  );
});

interface Load {
  records?: number;
  record_bytes?: number;
  /** CPU seconds of an increment, and of a run of the tests. */
  cpu_seconds?: number;
  /** Error of every increment. */
  error?: OperatingError;
}

/**
 * The times, in seconds after the start, at which increments and tests began, over some minutes with the given backlog
 * and CPU cost.
 */
async function scheduleOver(
  minutes: number,
  { records = 3, record_bytes = 100, cpu_seconds = 1, error }: Load,
): Promise<{ increments_s: number[]; tests_s: number[] }> {
  const log = openSqliteLog({ file: join(folder.path, `${Math.random()}.db`) });
  const clock = new FakeClock();
  const start_us = clock.now_us();
  const stopping = new AbortController();
  const increments_s: number[] = [];
  const tests_s: number[] = [];
  const now_s = () => Math.round((clock.now_us() - start_us) / 1e6);
  const quiet: Producer = {
    id: "quiet",
    kind: "simulated",
    probe: async () => {},
    async *batches({ signal }): AsyncGenerator<Batch> {
      await once(signal, "abort");
      yield { records: [] };
    },
  };
  try {
    await log.createTopic(crypto.topic.name, crypto.topic.partitions);
    await runPipeline({
      pipeline: crypto,
      producers: [quiet],
      log,
      lake_folder: folder.path,
      ingest: {
        run: async (signal) => void (await once(signal, "abort")),
        drain: async () => {},
        meanRecordBytes: () => record_bytes,
      },
      transform: {
        waitingRecords: async () => {
          if (clock.now_us() - start_us > minutes * 60e6) stopping.abort();
          return stopping.signal.aborted ? 0 : records;
        },
        hasBuilt: async () => true,
        catchUp: async () => {
          increments_s.push(now_s());
          if (error !== undefined) throw error;
          return { seconds: 30, cpu_seconds };
        },
        test: async () => {
          tests_s.push(now_s());
          return { ...passed, cpu_seconds };
        },
      },
      clock,
      signal: stopping.signal,
      is_until_drained: false,
      events: { reported() {}, appended() {}, stalled() {}, caughtUp() {}, tested() {}, failed() {} },
    });
  } finally {
    await log.close();
  }
  return { increments_s, tests_s };
}

const incrementsOver = async (minutes: number, load: Load): Promise<number[]> =>
  (await scheduleOver(minutes, load)).increments_s;

const gaps = (began_s: readonly number[]): number[] =>
  began_s.slice(1).map((at, position) => at - (began_s[position] ?? 0));

test("Increments start immediately, at intervals that grow to the full one.", async () => {
  const began_s = await incrementsOver(5, {});
  assert.ok((began_s[0] ?? Infinity) <= 1, `${began_s}`);
  const { first_interval_ms, interval_ms } = crypto.transform.increment;
  const expected = [1, 2, 4, 8, 16].map((times) => Math.min(interval_ms, first_interval_ms * times) / 1000);
  gaps(began_s)
    .slice(0, 5)
    .forEach((gap, position) => assert.ok(Math.abs(gap - (expected[position] ?? 0)) <= 1, `${gaps(began_s)}`));
});

test("Expensive increments run less often, within their share of a core.", async () => {
  const cpu_seconds = 20;
  const least_s = cpu_seconds / crypto.transform.increment_max_share;
  const found = gaps(await incrementsOver(15, { cpu_seconds }));
  assert.ok(found.length >= 3 && found.every((gap) => Math.abs(gap - least_s) <= 1), `${found}`);
});

test("Cheap tests run at their interval, expensive ones within their share of a core.", async () => {
  const { test_interval_ms, test_max_share } = crypto.transform;
  for (const [cpu_seconds, expected_s] of [
    [1, test_interval_ms / 1000],
    [20, 20 / test_max_share],
  ] as const) {
    const { tests_s } = await scheduleOver(60, { cpu_seconds });
    assert.ok(Math.abs((tests_s[0] ?? 0) - test_interval_ms / 1000) <= 1, `${tests_s}`);
    const found = gaps(tests_s);
    assert.ok(found.length > 0 && found.every((gap) => Math.abs(gap - expected_s) <= 2), `${found}`);
  }
});

test("With a large backlog, by records or by bytes, increments run back to back at any cost.", async () => {
  const { due_records, due_size_bytes } = crypto.transform.increment;
  for (const waiting of [
    { records: due_records, record_bytes: 1 },
    { records: 100, record_bytes: due_size_bytes / 100 },
  ]) {
    assert.ok(Math.max(...gaps(await incrementsOver(1, { ...waiting, cpu_seconds: 20 }))) <= 1);
  }
});

test("Failing increments are retried for hours, at most once a minute, and do not end the run.", async () => {
  const damaged = new OperatingError("TABLE_DAMAGED", "A manifest is missing", { next_step: "Repair it." });
  for (const error of [damaged, died()]) {
    const began_s = await incrementsOver(180, { error });
    assert.ok(began_s.length > 100, `${began_s.length} attempts`);
    assert.ok(
      gaps(began_s)
        .slice(10)
        .every((gap) => gap >= 59),
      "at most one a minute",
    );
  }
});

test("A backlog counts as large at no more than a third of the live tail's limits.", () => {
  for (const { due_records, due_size_bytes } of [crypto.bronze.commit, crypto.transform.increment]) {
    assert.ok(due_records <= TAIL_LIMITS.max_records / 3 && due_size_bytes <= TAIL_LIMITS.max_bytes / 3);
  }
});
