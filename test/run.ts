import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";

/**
 * Runs the embedded profile's tests: all of them, or the files whose path contains one of the words given.
 *   npm test                everything
 *   npm test -- catalog     the files under test/catalog, and others named so
 */
const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const flags = process.argv.slice(2).filter((word) => word.startsWith("-"));
const files = globSync("test/**/*.test.ts")
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();

if (files.length === 0) {
  process.stderr.write(`No test file's path contains ${words.map((word) => `"${word}"`).join(" or ")}.\n`);
  process.exit(1);
}
// A test that hangs fails by its name, long before whoever waits for all of them gives up.
const child = spawn(
  process.execPath,
  ["--disable-warning=ExperimentalWarning", "--test", "--test-timeout=900000", `--test-concurrency=${Math.max(1, Math.min(4, availableParallelism()))}`, ...flags, ...files],
  { stdio: "inherit" },
);
child.on("exit", (code) => process.exit(code ?? 1));
