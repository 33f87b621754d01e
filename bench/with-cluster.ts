import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServices, type RunningCluster } from "../src/services/cluster.ts";
import type { ServiceName } from "../src/services/service.ts";
import { clusterFolder } from "../src/services/state.ts";

/** Runs `work` beside the services and those they need, in a new data folder, on free ports. */
export async function withCluster<T>(
  names: readonly ServiceName[],
  work: (cluster: RunningCluster, data_folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  // As root, PostgreSQL runs as another user, who must be able to enter the folder.
  chmodSync(folder, 0o711);
  try {
    const cluster = await startServices(names, { folder: clusterFolder(folder), ports: "free" });
    try {
      return await work(cluster, folder);
    } finally {
      await cluster.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
