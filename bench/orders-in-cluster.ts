import { systemClock } from "../src/base/clock.ts";
import { sparkPython } from "../src/transform/engine.ts";
import { watchLoad, type Load } from "./load.ts";
import { runCoinlake, succeeded } from "./process.ts";
import { withCluster } from "./with-cluster.ts";

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
  await sparkPython({ clock: systemClock, say: () => {} });
  return withCluster(["kafka", "spark"], async (cluster, data) => {
    const coinlake = (...args: string[]) => succeeded(runCoinlake([...args, "--data", data]));
    const servers = watchLoad([...cluster.services.values()].map(({ pid }) => pid));
    const source = ["--pipeline", "ecommerce", "--source", `files:${inbox}`, "--until-drained"];
    const run = await coinlake("start", "--profile", "cluster", ...source, "--catalog-port", "0");
    const used = servers();
    await check(async (sql) => {
      const rows = JSON.parse((await coinlake("query", sql, "--json")).stdout) as Record<string, unknown>[];
      return rows.map((row) => Object.values(row).map((value) => (value === null ? null : String(value))));
    });
    return {
      seconds: run.seconds,
      cpu_seconds: run.cpu_seconds + used.cpu_seconds,
      memory_mb: run.memory.tree_mb + used.memory_mb,
    };
  });
}
