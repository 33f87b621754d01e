import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { isoFromMicros, type Clock } from "../base/clock.ts";
import type { OpenLake } from "../lake/open.ts";
import { spillFolder } from "../duckdb/spill.ts";
import { S3_RETRIES } from "../duckdb/s3.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { toolsFolder } from "../lake/tools.ts";
import { suitesFolder, type Batch, type Plan } from "./plan.ts";
import { qualityFolder, type BatchResult, type ExpectationResult } from "./result.ts";

export interface CheckOptions {
  open: Pick<OpenLake, "lake" | "server" | "s3">;
  plan: Plan;
  /** See `qualityPython`. */
  python: string;
  clock: Clock;
  /** Called for every checked batch. */
  onChecked?: () => void;
}

interface Message {
  checked?: { table: string; part: string; rows: number; expectations: ExpectationResult[] };
  broken?: string;
  documented?: boolean;
}

/** Memory limit; larger data spills to disk. */
const MEMORY_LIMIT = "512MB";
const THREADS = "2";
/** Number of runs whose results and pages are retained. */
const KEPT_RUNS = 10;
/** Today's rows of a live lake are late if the newest is older than this. */
const FRESH_WITHIN_US = 15 * 60 * 1_000_000;
/** One batch may take minutes; after this time Great Expectations counts as hung and is killed. */
const SILENCE_TIMEOUT_MS = 10 * 60_000;
const STDERR_KEPT_CHARACTERS = 4_000;

/**
 * Runs Great Expectations on the plan's batches in a separate process, which reads the lake and writes Data Docs.
 * Throws CHECK_FAILED, INVALID_SUITE.
 */
export async function runChecks(options: CheckOptions): Promise<{ table: string; result: BatchResult }[]> {
  const { plan, python, clock, onChecked } = options;
  const checked_at = isoFromMicros(clock.now_us());
  const spill = spillFolder();
  const child = spawn(python, [fileURLToPath(new URL("check.py", import.meta.url))], {
    // Great Expectations shows times in the zone of the process.
    env: { ...process.env, TZ: "UTC", PYTHONUTF8: "1" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const results: { table: string; result: BatchResult }[] = [];
  try {
    await converse(child, requestOf(options, checked_at, spill), ({ table, part, rows, expectations }) => {
      const batch = plan.batches.find((candidate) => candidate.table === table && candidate.part === part);
      if (batch === undefined) throw new TypeError(`unexpected batch ${table}, ${part}`);
      const failed = expectations.filter(({ is_met }) => !is_met);
      const result: BatchResult = {
        part,
        checked_at,
        rows,
        expectations: expectations.length,
        failed,
        digest: batch.digest,
      };
      results.push({ table, result });
      onChecked?.();
    });
  } finally {
    child.stdin.end();
    rmSync(spill, { recursive: true, force: true });
  }
  return results;
}

/** Input of check.py. Secrets go through standard input, which other users cannot see. */
function requestOf({ open, plan, clock }: CheckOptions, checked_at: string, spill: string): object {
  const { lake, server, s3 } = open;
  const extensions = join(toolsFolder(), "duckdb");
  const has_extensions = existsSync(join(extensions, "v1.5.5"));
  const now_us = clock.now_us();
  const freshAfter = ({ part }: Batch) => {
    const is_today = isoFromMicros(now_us).startsWith(part);
    if (lake.kind === "live" && is_today) return isoFromMicros(now_us - FRESH_WITHIN_US);
    return /^\d/.test(part) ? `${part}T00:00:00Z` : isoFromMicros(0);
  };
  return {
    lake: lake.name,
    catalog_url: server.url,
    catalog_token: server.token,
    settings: {
      extension_directory: extensions,
      autoinstall_known_extensions: String(!has_extensions),
      memory_limit: MEMORY_LIMIT,
      threads: THREADS,
      temp_directory: spill,
    },
    has_extensions,
    s3,
    s3_retries: S3_RETRIES,
    suites: suitesFolder(lake.pipeline),
    folder: qualityFolder(lake),
    kept_runs: KEPT_RUNS,
    checked_at,
    tables: plan.tables,
    batches: plan.batches.map((batch) => ({
      table: batch.table,
      part: batch.part,
      condition: batch.condition,
      fresh_after: freshAfter(batch),
    })),
  };
}

function converse(
  child: ChildProcess,
  request: object,
  onChecked: (checked: NonNullable<Message["checked"]>) => void,
): Promise<void> {
  let said = "";
  let broken: string | null = null;
  let is_documented = false;
  let timer = setTimeout(() => child.kill("SIGKILL"), SILENCE_TIMEOUT_MS);
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-STDERR_KEPT_CHARACTERS);
  });
  // The "close" event reports a process that died; a failed write must not end this process.
  child.stdin?.on("error", () => {});
  child.stdin?.write(`${JSON.stringify(request)}\n`);
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  lines.on("line", (line) => {
    clearTimeout(timer);
    timer = setTimeout(() => child.kill("SIGKILL"), SILENCE_TIMEOUT_MS);
    const message = JSON.parse(line) as Message;
    if (message.checked !== undefined) onChecked(message.checked);
    if (message.broken !== undefined) ({ broken } = message);
    is_documented ||= message.documented === true;
  });
  return new Promise((resolve, reject) => {
    child.once("error", (error) => reject(died(messageOf(error), said)));
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (broken !== null) reject(suiteBroken(broken));
      else if (code === 0 && is_documented) resolve();
      else reject(died(signal ? `signal ${signal}` : `exit code ${code}`, said));
    });
  });
}

function suiteBroken(words: string): OperatingError {
  return new OperatingError("INVALID_SUITE", words, {
    next_step: "Correct the suite; quality/README.md describes the format.",
  });
}

function died(how: string, said: string): OperatingError {
  const last = said.trim().split("\n").slice(-8).join("\n");
  return new OperatingError(
    "CHECK_FAILED",
    `Great Expectations exited (${how}) before all checks were done.${last ? ` It said:\n${last}` : ""}`,
    {
      next_step: "The lake is unchanged. Try again; if this repeats, run `npm run -s coinlake -- doctor`.",
    },
  );
}
