import { chmodSync } from "node:fs";
import { join } from "node:path";
import { startParts } from "../../src/cluster/cluster.ts";
import type { PartName } from "../../src/cluster/part.ts";
import { temporaryFolder } from "../coinlake.ts";

export interface Servers {
  /** Where clients find them, credentials included. */
  environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Starts these parts and those they need, on free ports and with nothing in them; `stop` leaves nothing behind. */
export async function startServers(...names: PartName[]): Promise<Servers> {
  const folder = temporaryFolder();
  // As root, PostgreSQL runs as somebody else, who must get through.
  chmodSync(folder.path, 0o711);
  try {
    const cluster = await startParts(names, { folder: join(folder.path, "cluster"), ports: "free" });
    return {
      environment: cluster.environment,
      async stop() {
        await cluster.stop();
        folder.remove();
      },
    };
  } catch (error) {
    folder.remove();
    throw error;
  }
}
