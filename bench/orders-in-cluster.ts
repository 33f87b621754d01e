import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/base/clock.ts";
import { startServices } from "../src/services/cluster.ts";
import { clusterFolder } from "../src/services/state.ts";
import { sparkPython } from "../src/transform/engine.ts";
import { watchLoad, type Load } from "./load.ts";
import { runCoinlake } from "./process.ts";

/** Rows of a query as text. */
export type Rows = (sql: string) => Promise<(string | null)[][]>;

export interface ClusterRun extends Load {
  seconds: number;
}

/**
 * Takes the files to tested gold in a cluster: Kafka, Spark, MinIO and Hive, with dbt on Spark. The servers run before
 * the measurement starts, and their CPU time and memory count. `check` reads the lake.
 */
export async function ordersInCluster(inbox: string, check: (rows: Rows) => Promise<unknown>): Promise<ClusterRun> {
  const data = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  // As root, PostgreSQL runs as another user, who must be able to enter the folder.
  chmodSync(data, 0o711);
  await sparkPython({ clock: systemClock, say: () => {} });
  const cluster = await startServices(["kafka", "spark"], { folder: clusterFolder(data), ports: "free" });
  try {
    const load = watchLoad([process.pid, ...[...cluster.services.values()].map(({ pid }) => pid)]);
    const started_ms = performance.now();
    const source = ["--pipeline", "ecommerce", "--source", `files:${inbox}`, "--until-drained"];
    await output(["start", "--profile", "cluster", ...source, "--data", data]);
    const seconds = (performance.now() - started_ms) / 1000;
    const used = load();
    await check(async (sql) => {
      const rows = JSON.parse(await output(["query", sql, "--json", "--data", data])) as Record<string, unknown>[];
      return rows.map((row) => Object.values(row).map((value) => (value === null ? null : String(value))));
    });
    return { seconds, ...used };
  } finally {
    await cluster.stop();
    rmSync(data, { recursive: true, force: true });
  }
}

async function output(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCoinlake(args);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}
