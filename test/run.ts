import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";

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
const timeout_ms = is_cluster ? 1_800_000 : 900_000;
// One set of servers keeps two cores busy: two at a time take as long as one after the other.
const concurrency = is_cluster ? 1 : Math.max(1, Math.min(4, availableParallelism()));
// A test that hangs fails by its name, long before whoever waits for all of them gives up.
const child = spawn(
  process.execPath,
  ["--disable-warning=ExperimentalWarning", "--test", `--test-timeout=${timeout_ms}`, `--test-concurrency=${concurrency}`, ...flags, ...files],
  { stdio: "inherit" },
);
child.on("exit", (code) => process.exit(code ?? 1));
