import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { startParts, type RunningCluster } from "../../../src/cluster/cluster.ts";
import { isListenedOn } from "../../../src/cluster/machine/port.ts";

/** A Kafka of a test's own, on free ports, in a folder that goes with it. */
export class Broker {
  readonly #folder: string;
  #cluster: RunningCluster;

  private constructor(folder: string, cluster: RunningCluster) {
    this.#folder = folder;
    this.#cluster = cluster;
  }

  static async start(): Promise<Broker> {
    const folder = mkdtempSync(join(tmpdir(), "coinlake-kafka-"));
    return new Broker(folder, await startParts(["kafka"], { folder, ports: "free" }));
  }

  get brokers(): string[] {
    return [this.#cluster.environment["COINLAKE_KAFKA_BROKERS"]!];
  }

  /** Resolves once it is gone. The threads of a killed process end one by one, and its ports with the last. */
  async kill(): Promise<void> {
    process.kill(this.#cluster.parts.get("kafka")!.pid, "SIGKILL");
    await this.#cluster.stop();
    while (Object.values(this.#cluster.ports).some(isListenedOn)) await wait(10);
  }

  /** Where it was before, with what it had. */
  async restart(): Promise<void> {
    const { kafka, "kafka-controller": controller } = this.#cluster.ports;
    const ports = { COINLAKE_KAFKA_PORT: String(kafka), COINLAKE_KAFKA_CONTROLLER_PORT: String(controller) };
    this.#cluster = await startParts(["kafka"], { folder: this.#folder, ports });
  }

  async stop(): Promise<void> {
    await this.#cluster.stop();
    rmSync(this.#folder, { recursive: true });
  }
}
