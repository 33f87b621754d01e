import assert from "node:assert/strict";
import { createServer } from "node:net";
import { join } from "node:path";
import { uniform } from "../../producers/simulated/random.ts";
import { openLake } from "../../src/lake/open.ts";
import { findLake, listLakes } from "../../src/lake/lake.ts";
import { coinlake } from "../support/coinlake.ts";
import type { KnownContent, KnownStream, StreamOptions } from "./known-stream.ts";
import { drain, live, type Life } from "./life.ts";
import { describeMoment, type Kill } from "./plan.ts";
import { runComparison } from "./pyiceberg.ts";

const DIGESTS = ["compare.py", "digests"] as const;
/** At this time a drain runs models on a fast machine, and still parses on a slow one. */
const LATEST_WORKER_DEATH_MS = 8_000;

export interface Experiment {
  folder: string;
  seed: number;
  plan: readonly Kill[];
  stream(options: StreamOptions): Promise<KnownStream>;
  /**
   * Length of a stream that is written in advance: more than the lives before the drain can consume, so that every kill
   * hits a running stream.
   */
  records: number;
  /** Whether to compare the result with a full refresh too. */
  is_refreshed: boolean;
  onDeath?(kill: Kill, life: Life): void;
}

export interface Survival {
  content: KnownContent;
  lives: { kill: Kill; life: Life }[];
  /** Records in the log after the last kill. */
  records_before_drain: number;
  /** Output of `verify --json`. */
  verification: {
    figures: Record<string, unknown> & {
      bronze_records: number;
      accepted: number;
      duplicates: number;
      rejected: number;
    };
  };
  /** Output of the independent comparison. */
  comparison: Record<string, unknown>;
}

/**
 * Runs the pipeline on a stream with known content and kills it as planned; each life continues the lake of the
 * previous one. The last life drains, and its dbt worker is killed once. Then compares the lake with the sent records.
 * Throws the failure with the output of the process concerned.
 */
export async function survive({ folder, seed, plan, records, is_refreshed, ...rest }: Experiment): Promise<Survival> {
  const { onDeath } = rest;
  const stream = await rest.stream({ folder, seed, records });
  const data_folder = join(folder, "lakes");
  // One port for all lives, as a user configures it: each life must bind the port of the killed one.
  const args = [...stream.options, "--data", data_folder, "--catalog-port", String(await freePort(seed))];
  const lives: Survival["lives"] = [];
  const liveUntil = async (kill: Kill): Promise<void> => {
    const life = await liveAndTell(args, kill, stream.has_speed ? kill.speed : null, onDeath);
    lives.push({ kill, life });
  };
  for (const kill of plan.filter(({ is_draining }) => !is_draining)) await liveUntil(kill);
  const records_before_drain = await recordsIn(data_folder, stream.topic);
  const content = await stream.complete();
  for (const kill of plan.filter(({ is_draining }) => is_draining)) await liveUntil(kill);
  // Waits only here, because a restart does not wait for the previous life's worker to notice that its parent has
  // exited.
  await Promise.all(lives.map(({ life }) => life.worker_gone));

  const drain_speed = stream.has_speed ? "max" : null;
  const drained = await drain(args, drain_speed, Math.floor(uniform(seed, 2, 0) * LATEST_WORKER_DEATH_MS));
  assert.equal(drained.code, 0, drained.stderr);
  const verified = await coinlake(["verify", "--json", "--data", data_folder]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const verification = JSON.parse(verified.stdout) as Survival["verification"];
  const comparison = await withPyIceberg(data_folder, content.comparison);
  if (is_refreshed) await compareWithFullRefresh(data_folder);
  return { content, lives, records_before_drain, verification, comparison };
}

async function liveAndTell(
  args: readonly string[],
  kill: Kill,
  speed: Kill["speed"] | null,
  onDeath: Experiment["onDeath"],
): Promise<Life> {
  try {
    const life = await live(args, kill, speed);
    life.worker_gone.catch(() => {});
    onDeath?.(kill, life);
    return life;
  } catch (error) {
    throw new Error(`Killed ${describeMoment(kill)}: ${String(error)}`, { cause: error });
  }
}

/** Asserts that silver and gold, built by increments between kills, equal a full refresh of the same bronze. */
async function compareWithFullRefresh(data_folder: string): Promise<void> {
  const built = await withPyIceberg(data_folder, DIGESTS);
  const refreshed = await coinlake(["dbt", "--data", data_folder, "run", "--full-refresh"]);
  assert.equal(refreshed.code, 0, refreshed.stdout + refreshed.stderr);
  assert.deepEqual(built, await withPyIceberg(data_folder, DIGESTS), "increments and a full refresh differ");
}

/** 0 if no life created a lake with a log. */
async function recordsIn(data_folder: string, topic: string): Promise<number> {
  const [name] = listLakes(data_folder);
  if (name === undefined) return 0;
  const lake = await openLake(findLake(data_folder, name));
  try {
    const bounds = await lake.log.bounds(topic).catch(() => []);
    return bounds.reduce((sum, { end }) => sum + end, 0);
  } finally {
    await lake.close();
  }
}

/** Throws with the script's report if the lake differs. */
async function withPyIceberg(
  data_folder: string,
  comparison: KnownContent["comparison"],
): Promise<Record<string, unknown>> {
  const lake = await openLake(findLake(data_folder, null));
  try {
    return await runComparison(lake.server.url, comparison);
  } finally {
    await lake.close();
  }
}

/** A port below the ephemeral range, so that no other process gets it by chance between two lives. */
async function freePort(seed: number): Promise<number> {
  for (let attempt = 0; ; attempt += 1) {
    const port = 20_000 + Math.floor(uniform(seed, 1, process.pid, attempt) * 10_000);
    const is_free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (is_free) return port;
  }
}
