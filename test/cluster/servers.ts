import { chmodSync, existsSync, realpathSync, symlinkSync } from "node:fs";
import { startServices, type RunningCluster } from "../../src/services/cluster.ts";
import type { ServiceName } from "../../src/services/service.ts";
import { clusterFolder } from "../../src/services/state.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { emptyServers } from "./empty.ts";

/** Names the folder of the cluster that the runner keeps for file after file: servers that have run for a while work faster. */
export const KEPT_CLUSTER = "COINLAKE_TEST_CLUSTER";

/** Parts of a cluster and those that they need, on free ports. */
export class Servers {
  /** A data folder (`--data`), new and empty, whose cluster these are. */
  readonly data: string;
  readonly #names: readonly ServiceName[];
  readonly #remove: () => void;
  readonly #is_kept: boolean;
  #cluster: RunningCluster;

  private constructor(
    names: readonly ServiceName[],
    { path, remove }: ReturnType<typeof temporaryFolder>,
    cluster: RunningCluster,
    is_kept: boolean,
  ) {
    this.data = path;
    this.#names = names;
    this.#remove = remove;
    this.#cluster = cluster;
    this.#is_kept = is_kept;
  }

  /** With nothing in them, and for nobody else until they are left. */
  static async start(...names: ServiceName[]): Promise<Servers> {
    return await Servers.#open(names, process.env[KEPT_CLUSTER]);
  }

  /** Newly started and nobody's before, for who asks how they start, or leaves them other than empty. */
  static async startNew(...names: ServiceName[]): Promise<Servers> {
    return await Servers.#open(names);
  }

  static async #open(names: readonly ServiceName[], kept?: string): Promise<Servers> {
    const folder = temporaryFolder();
    // As root, PostgreSQL runs as somebody else, who must get through.
    chmodSync(folder.path, 0o711);
    try {
      if (kept !== undefined) symlinkSync(kept, clusterFolder(folder.path));
      const cluster = await up(names, folder.path);
      if (kept !== undefined) await emptyServers(kept);
      return new Servers(names, folder, cluster, kept !== undefined);
    } catch (error) {
      folder.remove();
      throw error;
    }
  }

  /** Variables by which clients find them, credentials included. */
  get environment(): Readonly<Record<string, string>> {
    return this.#cluster.environment;
  }

  get services(): RunningCluster["services"] {
    return this.#cluster.services;
  }

  /** Starts what does not run, each part where it was before. */
  async up(): Promise<void> {
    this.#cluster = await up(this.#names, this.data);
  }

  /** Leaves nothing behind but what the runner keeps. */
  async leave(): Promise<void> {
    if (!this.#is_kept) await this.stop();
    this.#remove();
  }

  /** Their data stay. */
  async stop(): Promise<void> {
    await this.#cluster.stop();
  }
}

/** Servers remember the path that they were started with: not by way of a data folder that goes before they do. */
function up(names: readonly ServiceName[], data: string): Promise<RunningCluster> {
  const folder = clusterFolder(data);
  return startServices(names, { folder: existsSync(folder) ? realpathSync(folder) : folder, ports: "free" });
}
