import { setTimeout as wait } from "node:timers/promises";
import { startParts, type RunningCluster } from "../../../src/cluster/cluster.ts";
import { isListenedOn } from "../../../src/cluster/machine/port.ts";
import { temporaryFolder } from "../../coinlake.ts";

/** A Kafka of a test's own, on free ports, in a folder that goes with it. */
export class Broker {
  readonly #folder: ReturnType<typeof temporaryFolder>;
  #cluster: RunningCluster;

  private constructor(folder: ReturnType<typeof temporaryFolder>, cluster: RunningCluster) {
    this.#folder = folder;
    this.#cluster = cluster;
  }

  static async start(): Promise<Broker> {
    const folder = temporaryFolder();
    return new Broker(folder, await startParts(["kafka"], { folder: folder.path, ports: "free" }));
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
    this.#cluster = await startParts(["kafka"], { folder: this.#folder.path, ports });
  }

  async stop(): Promise<void> {
    await this.#cluster.stop();
    this.#folder.remove();
  }
}
