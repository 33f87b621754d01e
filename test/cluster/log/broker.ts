import { untilPortsAreFree } from "../../../src/services/launch.ts";
import { isRunning } from "../../../src/services/machine/process.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { Servers } from "../servers.ts";

const LOOK_MS = 10;

/** A Kafka broker for one test, which the test may kill. */
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

  /** Resolves when the process has exited. */
  async kill(): Promise<void> {
    const state = this.#servers.services.get("kafka")!;
    process.kill(state.pid, "SIGKILL");
    while (isRunning(state)) await systemClock.wait(LOOK_MS);
    await untilPortsAreFree(state);
  }

  /** Restarts the broker on its port with its data. */
  async restart(): Promise<void> {
    await this.#servers.up();
  }

  async stop(): Promise<void> {
    await this.#servers.leave();
  }
}
