import { chmodSync } from "node:fs";
import { availableParallelism, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { run as runFiles } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";
import { purge } from "../src/services/cluster.ts";
import { openOrCreateCluster } from "../src/services/state.ts";
import { KEPT_CLUSTER } from "./cluster/servers.ts";
import { DurationReport, readDurations } from "./durations.ts";
import { selectFiles } from "./select-files.ts";
import { temporaryFolder } from "./support/coinlake.ts";
import { startForkedPython } from "./support/forked-python.ts";
import { KEPT } from "./support/kept.ts";
import { WHOLE } from "./support/whole.ts";

/**
 * Runs the tests of a profile: all tests, or the files whose path contains one of the given words.
 *   npm test                          everything of the embedded profile
 *   npm test -- catalog               the files whose path contains `catalog`
 *   npm test -- --name "a part"       the tests whose name matches the regular expression
 *   npm test -- --durations FILE      also writes each file's duration in seconds; test/durations.json orders the files
 *   npm run -s test:fast              files of at most a few seconds that start no Python, browser or other process
 *   npm test -- --whole               with whole recordings and every kind of damage, which `npm test` samples
 *   npm run -s coverage -- catalog    also reports the lines of src/ that these tests run
 *   npm run -s test:cluster           everything of the cluster profile: downloads and starts the real servers
 *   npm run -s test:cluster -- life
 */
const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    cluster: { type: "boolean", default: false },
    fast: { type: "boolean", default: false },
    coverage: { type: "boolean", default: false },
    durations: { type: "string" },
    name: { type: "string" },
    whole: { type: "boolean", default: false },
  },
});
const files = selectFiles(
  { profile: options.cluster ? "cluster" : "embedded", words, is_fast: options.fast },
  readDurations(),
);

if (files.length === 0) {
  process.stderr.write(`No test file's path contains ${words.map((word) => `"${word}"`).join(" or ")}.\n`);
  process.exit(1);
}
if (options.whole) process.env[WHOLE] = "1";
const MEMORY_LOOK_MS = 1_000;
const timeout_ms = options.cluster || options.whole ? 1_800_000 : 900_000;
// A cluster's servers keep two cores busy: two files in parallel take as long as in sequence, and time out more easily.
// An embedded file sometimes waits for a clock or a page: one file more than there are cores keeps the cores busy.
const concurrency = options.cluster ? 1 : Math.min(4, availableParallelism() + 1);

/** Resolves to the exit code. After SIGINT or SIGTERM the running files are stopped and awaited. */
async function run(): Promise<number> {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.abort());
  const durations = new DurationReport();
  let code = 0;
  const events = runFiles({
    files,
    concurrency,
    // A test that hangs fails by its name, long before the whole run times out.
    timeout: timeout_ms,
    signal: stopping.signal,
    execArgv: ["--disable-warning=ExperimentalWarning"],
    ...(options.name === undefined ? {} : { testNamePatterns: new RegExp(options.name) }),
    ...(options.coverage ? { coverage: true, coverageIncludeGlobs: ["src/**"] } : {}),
  });
  events.on("test:fail", ({ skip, todo }) => {
    if (skip === undefined && todo === undefined) code = 1;
  });
  events.on("test:summary", ({ file, duration_ms }) => {
    if (file !== undefined) durations.add(file, duration_ms);
  });
  const report = events.compose(spec);
  report.pipe(process.stdout);
  await finished(report);
  process.stderr.write(durations.slowest());
  if (options.durations !== undefined) durations.write(options.durations);
  return stopping.signal.aborted ? 1 : code;
}

/** Keeps one cluster for all files; its services start when the first test needs them. */
async function runOnCluster(): Promise<number> {
  const folder = temporaryFolder();
  // As root, PostgreSQL runs as another user, which needs access to the folder.
  chmodSync(folder.path, 0o711);
  const cluster = join(folder.path, "cluster");
  openOrCreateCluster(cluster);
  const started_ms = performance.now();
  const memory = watchMemory();
  try {
    process.env[KEPT_CLUSTER] = cluster;
    return await run();
  } finally {
    await purge(cluster);
    folder.remove();
    const minutes = (performance.now() - started_ms) / 60_000;
    process.stderr.write(
      `The cluster's tests took ${minutes.toFixed(1)} min and at most ` +
        `${(memory.end() / 1e9).toFixed(1)} GB of memory.\n`,
    );
  }
}

/** `end` returns the maximum growth, in bytes, of the machine's used memory since the start. */
function watchMemory(): { end(): number } {
  const inUse = (): number => totalmem() - freemem();
  const before = inUse();
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, inUse())), MEMORY_LOOK_MS);
  return {
    end() {
      clearInterval(timer);
      return most - before;
    },
  };
}

const kept = temporaryFolder();
process.env[KEPT] = kept.path;
const forks = options.cluster || options.fast ? null : startForkedPython(kept.path);
try {
  process.exitCode = await (options.cluster ? runOnCluster() : run());
} finally {
  forks?.stop();
  kept.remove();
}
