import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/base/clock.ts";
import { startServices } from "../src/services/cluster.ts";
import { clusterFolder } from "../src/services/state.ts";
import { sparkPython } from "../src/transform/engine.ts";
import { watchLoad, type Load } from "./load.ts";
import { runCoinlake, type Run } from "./process.ts";

/** Rows of a query as text. */
export type Rows = (sql: string) => Promise<(string | null)[][]>;

export interface ClusterRun extends Load {
  seconds: number;
}

/**
 * Takes the files to tested gold in a cluster: Kafka, Spark, MinIO and Hive, with dbt on Spark. The servers run before
 * the measurement starts; their CPU time and memory count, beside those of the command. `check` reads the lake.
 */
export async function ordersInCluster(inbox: string, check: (rows: Rows) => Promise<unknown>): Promise<ClusterRun> {
  const data = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  // As root, PostgreSQL runs as another user, who must be able to enter the folder.
  chmodSync(data, 0o711);
  let stop = async (): Promise<void> => {};
  try {
    await sparkPython({ clock: systemClock, say: () => {} });
    const cluster = await startServices(["kafka", "spark"], { folder: clusterFolder(data), ports: "free" });
    ({ stop } = cluster);
    const servers = watchLoad([...cluster.services.values()].map(({ pid }) => pid));
    const source = ["--pipeline", "ecommerce", "--source", `files:${inbox}`, "--until-drained"];
    const run = await succeeded(["start", "--profile", "cluster", ...source, "--data", data]);
    const used = servers();
    await check(async (sql) => {
      const rows = JSON.parse((await succeeded(["query", sql, "--json", "--data", data])).stdout) as Record<
        string,
        unknown
      >[];
      return rows.map((row) => Object.values(row).map((value) => (value === null ? null : String(value))));
    });
    return {
      seconds: run.seconds,
      cpu_seconds: run.cpu_seconds + used.cpu_seconds,
      memory_mb: run.memory.tree_mb + used.memory_mb,
    };
  } finally {
    await stop();
    rmSync(data, { recursive: true, force: true });
  }
}

async function succeeded(args: readonly string[]): Promise<Run> {
  const run = await runCoinlake(args);
  assert.equal(run.code, 0, run.stdout + run.stderr);
  return run;
}
