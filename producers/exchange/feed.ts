import { onAbort } from "../../src/base/abortable.ts";
import { setTimeout as timer } from "node:timers/promises";
import { Backoff, type RetryAfterLimits } from "../../src/base/backoff.ts";
import type { SourceReport, SourceStatus } from "../../src/producer/producer.ts";
import { waitUntil } from "../../src/producer/wait.ts";
import { Connection, type ConnectionOptions, type Ending } from "./connection.ts";

export interface FeedOptions extends Omit<ConnectionOptions, "rejected"> {
  backoff: RetryAfterLimits;
  random(): number;
  /** Age at which a connection is replaced; null for never. */
  life_ms: number | null;
  /** Time for which the old connection stays open beside its successor, for messages in flight. */
  overlap_ms: number;
  /** Called when a connection is established and no other one was open. */
  connected(): void;
  /** Resolves when the consumer accepts messages again. */
  untilCapacity(): Promise<void>;
  report(report: SourceReport): void;
}

/** A connection that reaches this age resets the backoff. */
const GOOD_LIFE_MS = 60_000;

/**
 * Keeps a feed connected: reconnects when the connection ends, and replaces it before its maximum age, opening the new
 * connection first. Messages that both connections deliver are harmless duplicates.
 */
export class Feed {
  readonly #options: FeedOptions;
  readonly #backoff: Backoff;
  readonly #connections = new Set<Connection>();
  #is_stopping = false;
  #is_paused = false;
  #state: SourceStatus["state"] = "connecting";
  #message: string | null = null;
  #heard_at_us: number | null = null;
  #readied = 0;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.backoff, options.random);
  }

  status(): Pick<SourceStatus, "state" | "message" | "heard_at_us" | "reconnects"> {
    for (const connection of this.#connections) this.#noteHeard(connection);
    return {
      state: this.#state,
      message: this.#message,
      heard_at_us: this.#heard_at_us,
      reconnects: Math.max(0, this.#readied - 1),
    };
  }

  pause(): void {
    this.#is_paused = true;
    for (const connection of this.#connections) connection.pause();
  }

  resume(): void {
    this.#is_paused = false;
    for (const connection of this.#connections) connection.resume();
  }

  /** Runs until the signal aborts; throws only programming errors. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, untilCapacity } = this.#options;
    const stop = (): void => {
      this.#is_stopping = true;
      for (const connection of this.#connections) void connection.close();
    };
    const stopListening = onAbort(signal, stop);
    try {
      while (!this.#is_stopping) {
        await untilCapacity();
        if (this.#is_stopping) break;
        const connected_us = clock.now_us();
        const { ending, was_ready } = await this.#untilNoneIsLeft();
        if (this.#is_stopping) break;
        if (clock.now_us() - connected_us >= GOOD_LIFE_MS * 1000) this.#backoff.reset();
        const delay_ms = this.#failed(ending, was_ready);
        await waitUntil(clock, clock.now_us() + delay_ms * 1000, signal);
      }
    } finally {
      stopListening();
      await Promise.all([...this.#connections].map((connection) => connection.close()));
      this.#state = "ended";
    }
  }

  /** Runs a connection and its successors; returns why the last one ended. */
  async #untilNoneIsLeft(): Promise<{ ending: Ending; was_ready: boolean }> {
    const { life_ms, overlap_ms } = this.#options;
    let connection = this.#connect();
    if (!(await connection.ready)) return { ending: await connection.ended, was_ready: false };
    this.#isLive(connection, "is connected");
    this.#options.connected();
    let has_ended = await first(connection.ended, connection.closing, life_ms);
    while (!has_ended && !this.#is_stopping) {
      this.#say("info", "RECONNECTING", "the connection is near its maximum age; opening a new one before closing it");
      const next = this.#connect();
      if (await next.ready) {
        this.#isLive(next, "continues over a new connection");
        await first(connection.ended, null, overlap_ms);
        await connection.close();
        connection = next;
        has_ended = await first(connection.ended, connection.closing, life_ms);
      } else has_ended = await first(connection.ended, null, this.#backoff.next_ms((await next.ended).retry_after_ms));
    }
    return { ending: await connection.ended, was_ready: true };
  }

  #connect(): Connection {
    const connection = new Connection({
      ...this.#options,
      rejected: (product, reason) => this.#rejected(product, reason),
    });
    this.#connections.add(connection);
    void this.#accompany(connection);
    return connection;
  }

  async #accompany(connection: Connection): Promise<void> {
    if ((await connection.ready) && this.#is_paused) connection.pause();
    await connection.ended;
    this.#noteHeard(connection);
    this.#connections.delete(connection);
  }

  #isLive(connection: Connection, what: string): void {
    this.#readied += 1;
    this.#state = "live";
    this.#message =
      connection.rejected.length === 0 ? null : `without ${connection.rejected.join(", ")}, which the source rejects`;
    const count = this.#options.products.length - connection.rejected.length;
    this.#say("info", "CONNECTED", `${what}, ${count} products`);
  }

  #failed(ending: Ending, was_ready: boolean): number {
    const delay_ms = this.#backoff.next_ms(ending.retry_after_ms);
    this.#state = "failed";
    this.#message = `${was_ready ? "the connection ended" : "no connection"}: ${ending.message}`;
    this.#say(
      "warning",
      was_ready ? "DISCONNECTED" : ending.code,
      `${this.#message}. Reconnecting in ${Math.ceil(delay_ms / 1000)} s`,
    );
    return delay_ms;
  }

  #rejected(product: string, reason: string): void {
    this.#say(
      "warning",
      "SUBSCRIPTION_REJECTED",
      `the source rejected ${product} (${reason}); other products continue`,
    );
  }

  #noteHeard({ heard_at_us }: Connection): void {
    if (heard_at_us !== null) this.#heard_at_us = Math.max(this.#heard_at_us ?? heard_at_us, heard_at_us);
  }

  #say(level: SourceReport["level"], code: string, message: string): void {
    this.#options.report({ level, code, message: `${this.#options.protocol.title}: ${message}.` });
  }
}

/** True if the end is first, false if the other event or the timeout is first; a null event never occurs. */
async function first(end: Promise<unknown>, event: Promise<unknown> | null, delay_ms: number | null): Promise<boolean> {
  const waiting = new AbortController();
  const outcomes = [end.then(() => true)];
  if (event !== null) outcomes.push(event.then(() => false));
  if (delay_ms !== null) outcomes.push(timer(delay_ms, false, { signal: waiting.signal }).catch(() => false));
  try {
    return await Promise.race(outcomes);
  } finally {
    waiting.abort();
  }
}
