import { chmodSync, existsSync, realpathSync, symlinkSync } from "node:fs";
import { startServices, type RunningCluster } from "../../src/services/cluster.ts";
import type { ServiceName } from "../../src/services/service.ts";
import { clusterFolder } from "../../src/services/state.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { emptyServers } from "./empty.ts";

/**
 * Environment variable with the folder of the cluster that the runner shares between test files: servers that have run
 * for a while are faster.
 */
export const KEPT_CLUSTER = "COINLAKE_TEST_CLUSTER";

/** Services of a cluster and those that they need, on free ports. */
export class Servers {
  /** A new, empty data folder (`--data`) of this cluster. */
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

  /** Starts the services without data, for exclusive use until `leave`. */
  static async start(...names: ServiceName[]): Promise<Servers> {
    return await Servers.#open(names, process.env[KEPT_CLUSTER]);
  }

  /** Starts new services that no other test shares, for tests of the first start and tests that leave data behind. */
  static async startNew(...names: ServiceName[]): Promise<Servers> {
    return await Servers.#open(names);
  }

  static async #open(names: readonly ServiceName[], kept?: string): Promise<Servers> {
    const folder = temporaryFolder();
    // As root, PostgreSQL runs as another user, which needs access to the folder.
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

  /** Environment variables with the services' addresses and credentials. */
  get environment(): Readonly<Record<string, string>> {
    return this.#cluster.environment;
  }

  get services(): RunningCluster["services"] {
    return this.#cluster.services;
  }

  /** Starts the services that do not run, each on its previous port. */
  async up(): Promise<void> {
    this.#cluster = await up(this.#names, this.data);
  }

  /** Stops the services, unless the runner shares the cluster, and removes the data folder. */
  async leave(): Promise<void> {
    if (!this.#is_kept) await this.stop();
    this.#remove();
  }

  /** Stops the services; their data remain. */
  async stop(): Promise<void> {
    await this.#cluster.stop();
  }
}

/**
 * Servers keep the path of their start, so the path must not lead through a data folder that is removed before they
 * stop.
 */
function up(names: readonly ServiceName[], data: string): Promise<RunningCluster> {
  const folder = clusterFolder(data);
  return startServices(names, { folder: existsSync(folder) ? realpathSync(folder) : folder, ports: "free" });
}
