import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AT_ONCE } from "../src/base/pacing.ts";
import { rememberAsCurrent } from "../src/lake/lake.ts";
import { openBareIngest, TOPIC, type BareIngest } from "./bare-ingest.ts";
import { appendTrades, START_MS, trade } from "./binance-trades.ts";
import { openEmbeddedLake } from "./embedded-lake.ts";
import { percentile } from "./percentile.ts";
import { runCoinlake } from "./process.ts";

export interface VerifyFigures {
  rows: number;
  quick: { seconds: number; code: number | null; node_mb: number; tree_mb: number };
  deep: { seconds: number; code: number | null; node_mb: number; tree_mb: number };
  /** Commits of 250 records with and without checksums, in alternation; milliseconds. */
  commit: { without_ms: number; with_ms: number; checksums_ms: number };
}

const DAY_MS = 86_400_000;
/** Records that the log holds before ingest drains it. */
const DRAIN_RECORDS = 262_144;
const COMMITS = 100;
const COMMIT_RECORDS = 250;

/**
 * Runs `verify` and `verify --deep` as processes over a lake with this many rows in bronze; reuses a lake that the
 * folder has from an earlier run.
 */
export async function benchVerify({
  rows = 10_000_000,
  days = 10,
  folder = null as string | null,
} = {}): Promise<VerifyFigures> {
  const lake_folder = folder ?? mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  try {
    await fill(lake_folder, rows, days);
    const quick = await runCoinlake(["verify", "--data", lake_folder]);
    const deep = await runCoinlake(["verify", "--deep", "--data", lake_folder]);
    for (const { code, stderr } of [quick, deep]) if (code !== 0) process.stderr.write(`${stderr}\n`);
    const figuresOf = ({ seconds, code, memory }: typeof quick) => ({
      seconds,
      code,
      node_mb: memory.process_mb,
      tree_mb: memory.tree_mb,
    });
    return { rows, quick: figuresOf(quick), deep: figuresOf(deep), commit: await benchCommits() };
  } finally {
    if (folder === null) rmSync(lake_folder, { recursive: true, force: true });
  }
}

async function fill(folder: string, rows: number, days: number): Promise<void> {
  if (existsSync(join(folder, "current"))) return;
  const { lake, log, ingest, transform, close } = await openEmbeddedLake(folder, { pacing: AT_ONCE, retention_ms: 0 });
  try {
    const row_ms = (days * DAY_MS) / rows;
    for (let first = 0; first < rows; first += DRAIN_RECORDS) {
      const count = Math.min(DRAIN_RECORDS, rows - first);
      await appendTrades(log, {
        first,
        count,
        from_ms: START_MS + Math.floor(first * row_ms),
        span_ms: count * row_ms,
      });
      await ingest.drain();
    }
    await transform.catchUp();
    rememberAsCurrent(folder, lake);
  } finally {
    await close();
  }
}

/** Commits alternately to two lakes, of which one records checksums, so that other load on the machine affects both. */
async function benchCommits(): Promise<VerifyFigures["commit"]> {
  const bare = await openBareIngest({ has_checksums: false });
  const recording = await openBareIngest({ has_checksums: true });
  const without_ms: number[] = [];
  const with_ms: number[] = [];
  try {
    for (let commit = 0; commit < COMMITS; commit += 1) {
      without_ms.push(await timeCommit(bare, commit));
      with_ms.push(await timeCommit(recording, commit));
    }
    return {
      without_ms: percentile(without_ms, 0.5),
      with_ms: percentile(with_ms, 0.5),
      checksums_ms: percentile(recording.checksums_ms, 0.5),
    };
  } finally {
    await bare.close();
    await recording.close();
  }
}

async function timeCommit({ log, ingest }: BareIngest, commit: number): Promise<number> {
  const records = Array.from({ length: COMMIT_RECORDS }, (_, index) =>
    trade(commit * COMMIT_RECORDS + index, START_MS + commit),
  );
  await log.append(TOPIC, records);
  const started_ms = performance.now();
  await ingest.runOnce();
  return performance.now() - started_ms;
}
