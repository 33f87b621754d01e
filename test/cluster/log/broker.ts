import { Servers } from "../servers.ts";

/** A Kafka of a test's own, that it may kill. */
export class Broker {
  readonly #servers: Servers;

  private constructor(servers: Servers) {
    this.#servers = servers;
  }

  static async start(): Promise<Broker> {
    return new Broker(await Servers.startNew("kafka"));
  }

  get brokers(): string[] {
    return [this.#servers.environment["COINLAKE_KAFKA_BROKERS"]!];
  }

  /** Resolves once it is gone, and its ports are free. */
  async kill(): Promise<void> {
    process.kill(this.#servers.parts.get("kafka")!.pid, "SIGKILL");
    await this.#servers.stop();
  }

  /** Where it was before, with what it had. */
  async restart(): Promise<void> {
    await this.#servers.up();
  }

  async stop(): Promise<void> {
    await this.#servers.leave();
  }
}
