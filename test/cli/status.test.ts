import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { BuildProgress, type Increment } from "../../src/runtime/build-progress.ts";
import { OperatingError } from "../../src/base/errors.ts";
import type { Output } from "../../src/cli/output.ts";
import { ProgressLines } from "../../src/cli/progress-lines.ts";
import { RepeatedWarnings } from "../../src/cli/repeated.ts";
import { Status } from "../../src/cli/status.ts";
import { readRunResults, TestResults } from "../../src/transform/test-results.ts";
import type { CommandResult, NodeResult } from "../../src/transform/worker.ts";
import { temporaryFolder } from "../support/coinlake.ts";

describe("the progress of gold behind the log", () => {
  test("reports after each increment how many records wait, and once that the backlog is built", async () => {
    const calls: (Increment | "caught up")[] = [];
    let [consumed, end] = [0, 2_164];
    const progress = new BuildProgress({
      consumed: async () => ({ "topic/0": consumed }),
      logEnd: async () => ({ "topic/0": end }),
      built: (increment) => calls.push(increment),
      caughtUp: () => calls.push("caught up"),
    });
    for (const [next, log_end] of [
      [310, 2_164],
      [1_500, 2_170],
      [2_164, 2_190],
      [2_190, 2_200],
    ] as const) {
      [consumed, end] = [next, log_end];
      await progress.increment(2);
    }
    assert.deepEqual(calls, [
      { seconds: 2, records: 310, waiting: 1_854 },
      { seconds: 2, records: 1_190, waiting: 670 },
      { seconds: 2, records: 664, waiting: 26 },
      "caught up",
      { seconds: 2, records: 26, waiting: 10 },
    ]);
  });

  test("reports a lake without backlog as caught up at once, but not an empty one or one with a backlog", async () => {
    const cases: [consumed: Record<string, number>, end: number, times: number][] = [
      [{ "topic/0": 5 }, 5, 1],
      [{ "topic/0": 5 }, 6, 0],
      [{}, 0, 0],
    ];
    for (const [consumed, end, times] of cases) {
      let caught_up = 0;
      const progress = new BuildProgress({
        consumed: async () => consumed,
        logEnd: async () => ({ "topic/0": end }),
        built() {},
        caughtUp: () => (caught_up += 1),
      });
      await progress.settle();
      await progress.settle();
      assert.equal(caught_up, times);
    }
  });
});

test("a lake is not caught up while its first increment is running", async () => {
  let consumed: Record<string, number> = {};
  const calls: string[] = [];
  const progress = new BuildProgress({
    consumed: async () => consumed,
    logEnd: async () => ({ "topic/0": 5 }),
    built: () => calls.push("built"),
    caughtUp: () => calls.push("caught up"),
  });
  await progress.began();
  // Silver has the backlog, and gold has no tables yet.
  consumed = { "topic/0": 5 };
  await progress.settle();
  assert.deepEqual(calls, []);
  await progress.increment(12);
  assert.deepEqual(calls, ["built", "caught up"]);
});

test("a repeated warning is shown once, then counted, until its cause is gone", () => {
  let now_us = 0;
  const shown: string[] = [];
  const warnings = new RepeatedWarnings({ now_us: () => now_us }, (text) => shown.push(text));
  for (let time = 0; time < 100; time += 1) {
    warnings.warn("A", "a failed");
    now_us += 1e6;
  }
  warnings.warn("B", "b failed");
  assert.deepEqual(shown, [
    "a failed",
    "10 times since 00:00:00Z: a failed",
    "100 times since 00:00:00Z: a failed",
    "b failed",
  ]);
  assert.equal(warnings.endAll(), 101);
  warnings.warn("A", "a failed");
  now_us += 3_600e6;
  warnings.warn("A", "a failed");
  assert.deepEqual(shown.slice(4), ["a failed", "a failed"], "after long silence it is news again");
});

describe("stored results of dbt's tests", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  const node = (name: string, status: string, kind = "test"): NodeResult => ({
    name,
    kind,
    status,
    seconds: 0.1,
    message: null,
    failures: null,
  });
  const result = (...nodes: NodeResult[]): CommandResult => ({ is_success: true, seconds: 1, cpu_seconds: 1, nodes });

  test("a partial run replaces what it repeats, a whole run replaces everything, and hooks do not count", () => {
    const results = new TestResults(join(folder.path, "dbt"));
    const reader = new TestResults(join(folder.path, "dbt"));
    assert.equal(reader.read(), null);
    results.record(result(node("a", "pass"), node("b", "pass"), node("on-run-end", "success", "operation")), 1e6);
    assert.deepEqual(
      reader.read()?.result.nodes.map(({ name, status }) => [name, status]),
      [
        ["a", "pass"],
        ["b", "pass"],
      ],
    );
    results.record(result(node("b", "fail")), 2e6, { is_whole: false });
    const merged = reader.read();
    assert.deepEqual([merged?.ran_at_us, merged?.result.is_success], [1e6, false], "as old as its oldest result");
    assert.deepEqual(
      merged?.result.nodes.map(({ name, status }) => [name, status]),
      [
        ["a", "pass"],
        ["b", "fail"],
      ],
    );
    results.record(result(node("c", "pass")), 3e6);
    assert.deepEqual([reader.read()?.ran_at_us, reader.read()?.result.nodes.length], [3e6, 1]);
  });

  test("the run results of the dbt command are read if they are new and contain tests", () => {
    const dbt = join(folder.path, "left");
    mkdirSync(join(dbt, "target"), { recursive: true });
    assert.equal(readRunResults(dbt, 0), null);
    const leave = (which: string, ids: string[], select: string[] = []) =>
      writeFileSync(
        join(dbt, "target", "run_results.json"),
        JSON.stringify({
          metadata: { generated_at: "2026-03-14T02:10:00.000000Z" },
          elapsed_time: 3,
          args: { which, select, exclude: [] },
          results: ids.map((unique_id) => ({
            unique_id,
            status: "pass",
            execution_time: 0.2,
            message: null,
            failures: 0,
          })),
        }),
      );
    leave("test", ["test.crypto.unique_x.0a1b"]);
    const found = readRunResults(dbt, Date.parse("2026-03-14T02:09:59Z"));
    assert.deepEqual(
      [found?.is_whole, found?.result.nodes[0]?.name, found?.result.nodes[0]?.kind],
      [true, "unique_x", "test"],
    );
    assert.equal(readRunResults(dbt, Date.parse("2026-03-14T02:10:01Z")), null, "of a run before");
    leave("test", ["test.crypto.unique_x.0a1b"], ["unique_x"]);
    assert.equal(readRunResults(dbt, 0)?.is_whole, false);
    leave("run", ["model.crypto.x"]);
    assert.equal(readRunResults(dbt, 0), null);
  });
});

test("a full disk is one warning for everything that it stops, until space is free", () => {
  const shown: string[] = [];
  const output: Output = {
    is_json: false,
    name: null,
    result() {},
    say: (text) => void shown.push(text.replace(/^\S*Z\S* /, "")),
    warn: (text) => void shown.push(text),
  };
  const status = new Status(output, []);
  const full = (code: "LOG_DISK_FULL" | "STORAGE_FULL", message: string) =>
    new OperatingError(code, message, { next_step: "Free space." });
  const log = full("LOG_DISK_FULL", "could not append to log.db: database or disk is full");
  for (let time = 0; time < 4; time += 1) {
    status.stalled("kraken", log);
    status.reported({ level: "warning", code: log.code, message: `kraken waits: ${log.message}` });
    status.failed(full("STORAGE_FULL", `could not write ${time}-0aef.parquet`));
  }
  assert.equal(shown.length, 1, shown.join("\n"));
  assert.match(
    shown[0] ?? "",
    /^the disk is full, so this pipeline waits: kraken waits: .*\n {2}.*next:.* free disk space/s,
  );
  status.recovered();
  assert.equal(shown.length, 1, "the log still waits");
  status.stalled("kraken", null);
  assert.deepEqual(shown.slice(1), ["kraken resumed", "the disk has space again: the pipeline continues"]);
});

test("progress in a log is one line per tenth and every 30 seconds, and none for a short command", () => {
  let now_ms = 0;
  const lines: string[] = [];
  const progress = new ProgressLines(
    (line) => void lines.push(line),
    () => now_ms,
  );
  for (let file = 0; file < 400; file += 1) progress.update("files", file, 400);
  assert.deepEqual(lines, [], "all within a moment");
  for (let row = 0; row <= 2_000; row += 1) {
    now_ms += 100;
    progress.update("rows", row, 2_000);
  }
  assert.equal(lines.length, 11, lines.join("\n"));
  assert.deepEqual(
    [lines[0], lines[1], lines.at(-1)],
    ["rows: 2 % (49 of 2,000)", "rows: 10 % (200 of 2,000)", "rows: 100 % (2,000 of 2,000)"],
  );
  for (let second = 0; second < 65; second += 1) {
    now_ms += 1_000;
    progress.update("records", second, null);
  }
  assert.deepEqual(lines.slice(11), ["records: 4", "records: 34", "records: 64"]);
});
