#!/usr/bin/env node
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/**
 * Stands where a task calls the command line: notes the call, and answers with the exit codes that the test has laid out for it,
 * one after the other, 0 beyond them. What is to be real goes on to the real command line.
 */
export interface Plan {
  /** By the words of the command before its options. */
  codes: Record<string, number[]>;
  /** Commands, by their first word, that are the real command line's. */
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
// A call that is held says who it is, and waits for the file to be gone.
const held = join(folder, `hold ${text}`);
if (existsSync(held)) writeFileSync(held, String(process.pid));
while (existsSync(held)) await wait(LOOK_MS);
const code = plan.codes[text]?.[before] ?? 0;
process.stdout.write(`${text}: ${code}\n`);
process.exit(code);
