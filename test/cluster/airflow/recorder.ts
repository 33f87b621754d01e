#!/usr/bin/env node
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/**
 * Replaces the command line in Airflow's tasks: records each call and returns the exit codes of the test's plan in
 * order, then 0. Calls of `real` commands run the real command line.
 */
export interface Plan {
  /** Exit codes by the command's words before its options. */
  codes: Record<string, number[]>;
  /** First words of the commands that run the real command line. */
  real: string[];
}

const LOOK_MS = 50;
const folder = process.env.RECORDER_FOLDER ?? "";
const args = process.argv.slice(2);
const text = args.join(" ").replace(/ --data .*/, "");
const called = existsSync(join(folder, "calls.txt"))
  ? readFileSync(join(folder, "calls.txt"), "utf8").trim().split("\n")
  : [];
const before = called.filter((line) => line === text).length;
appendFileSync(join(folder, "calls.txt"), `${text}\n`);
const plan = JSON.parse(readFileSync(join(folder, "plan.json"), "utf8")) as Plan;
if (plan.real.includes(args[0] ?? "")) {
  const main = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));
  process.exit(spawnSync(process.execPath, [main, ...args], { stdio: "inherit" }).status ?? 1);
}
// A held call records its process id and waits until the file is removed.
const held = join(folder, `hold ${text}`);
if (existsSync(held)) writeFileSync(held, String(process.pid));
while (existsSync(held)) await wait(LOOK_MS);
const code = plan.codes[text]?.[before] ?? 0;
process.stdout.write(`${text}: ${code}\n`);
process.exit(code);
