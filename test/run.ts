import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, globSync } from "node:fs";
import { availableParallelism, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { purge } from "../src/services/cluster.ts";
import { openOrCreateCluster } from "../src/services/state.ts";
import { KEPT_CLUSTER } from "./cluster/servers.ts";
import { temporaryFolder } from "./support/coinlake.ts";

/**
 * Runs the tests of a profile: all of them, or the files whose path contains one of the words given.
 *   npm test                          everything of the embedded profile
 *   npm test -- catalog               the files under test/catalog, and others named so
 *   npm run -s test:cluster           everything of the cluster profile: servers are fetched and started for real
 *   npm run -s test:cluster -- life
 */
const CLUSTER_FLAG = "--cluster";
const is_cluster = process.argv.includes(CLUSTER_FLAG);
const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const flags = process.argv.slice(2).filter((word) => word.startsWith("-") && word !== CLUSTER_FLAG);
const files = globSync("test/**/*.test.ts")
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => file.startsWith("test/cluster/") === is_cluster)
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();

if (files.length === 0) {
  process.stderr.write(`No test file's path contains ${words.map((word) => `"${word}"`).join(" or ")}.\n`);
  process.exit(1);
}
const MEMORY_LOOK_MS = 1_000;
const timeout_ms = is_cluster ? 1_800_000 : 900_000;
// One set of servers keeps two cores busy: two at a time take as long as one after the other, and what waits for a server waits too long.
const concurrency = is_cluster ? 1 : Math.max(1, Math.min(4, availableParallelism()));

/** Resolves to the exit code. A signal is handed on, and what it ends is awaited. */
async function run(env: NodeJS.ProcessEnv = {}): Promise<number> {
  // A test that hangs fails by its name, long before whoever waits for all of them gives up.
  const args = [
    "--disable-warning=ExperimentalWarning",
    "--test",
    `--test-timeout=${timeout_ms}`,
    `--test-concurrency=${concurrency}`,
    ...flags,
    ...files,
  ];
  const child = spawn(process.execPath, args, { stdio: "inherit", env: { ...process.env, ...env } });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

/** Keeps a cluster for file after file, whose parts the first starts that asks for them. */
async function runOnCluster(): Promise<number> {
  const folder = temporaryFolder();
  // As root, PostgreSQL runs as somebody else, who must get through.
  chmodSync(folder.path, 0o711);
  const cluster = join(folder.path, "cluster");
  openOrCreateCluster(cluster);
  const started_ms = performance.now();
  const memory = watchMemory();
  try {
    return await run({ [KEPT_CLUSTER]: cluster });
  } finally {
    await purge(cluster);
    folder.remove();
    const minutes = (performance.now() - started_ms) / 60_000;
    process.stderr.write(
      `The cluster's tests took ${minutes.toFixed(1)} min, and at most ${(memory.end() / 1e9).toFixed(1)} GB of memory.\n`,
    );
  }
}

/** `end` gives by how many bytes, at most, more of the machine's memory was taken than when it began. */
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

process.exitCode = await (is_cluster ? runOnCluster() : run());
