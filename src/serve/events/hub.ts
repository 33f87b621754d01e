import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { isoFromMicros } from "../../base/clock.ts";
import type { TableReports } from "../../query/tables.ts";
import { requestError } from "../problem.ts";
import type { Health } from "../health.ts";
import type { EventName } from "../schemas/events.ts";
import type { Source } from "../schemas/status.ts";
import type { PipelineHandle } from "../pipeline-handle.ts";
import { EventClient } from "./client.ts";
import { NewCommits } from "./new-commits.ts";
import { encodeFrame, EventRing } from "./ring.ts";
import { LatestTicks } from "./ticks.ts";

export const MAX_CLIENTS = 500;
const TICKS_EVERY_MS = 100;
const POLL_MS = 1_000;
const KEEP_ALIVE_MS = 15_000;
/** Holds about a minute of events at a thousand ticks a second, much more on quiet days. */
const RING = { max_frames: 8_192, max_bytes: 8 * 1024 * 1024 };

/** The event stream: each event is encoded once and sent to every client at the client's pace. */
export class EventHub {
  readonly #handle: PipelineHandle;
  readonly #health: Health;
  readonly #tables: TableReports;
  readonly #onError: (error: unknown) => void;
  readonly #ring = new EventRing(randomBytes(6).toString("hex"), RING);
  readonly #clients = new Set<EventClient>();
  readonly #latest_ticks = new LatestTicks();
  readonly #sources = new Map<string, string>();
  readonly #commits = new NewCommits();
  readonly #stops: (() => void)[] = [];
  #flush: NodeJS.Timeout | null = null;
  #flushed_at_ms = -Infinity;
  #is_polling = false;
  #is_closed = false;

  constructor(dependencies: {
    handle: PipelineHandle;
    health: Health;
    tables: TableReports;
    onError(error: unknown): void;
  }) {
    this.#handle = dependencies.handle;
    this.#health = dependencies.health;
    this.#tables = dependencies.tables;
    this.#onError = dependencies.onError;
  }

  get clients(): number {
    return this.#clients.size;
  }

  get events(): number {
    return this.#ring.last;
  }

  /** Memory of the retained events. */
  get kept_bytes(): number {
    return this.#ring.size_bytes;
  }

  /** Publishes the pipeline's events until `close`. */
  start(): void {
    const { live, alerts } = this.#handle;
    this.#stops.push(live.onAbsorbed(({ ticks }) => this.#absorbed(ticks)));
    this.#stops.push(alerts.onAlert((event) => this.publish("alert", event)));
    const beat = setInterval(() => void this.#poll(), POLL_MS);
    const keep_alive = setInterval(() => {
      for (const client of this.#clients) client.keepAlive();
    }, KEEP_ALIVE_MS);
    this.#stops.push(
      () => clearInterval(beat),
      () => clearInterval(keep_alive),
    );
  }

  publish(name: EventName, data: unknown): void {
    // A poll may still be running when the server stops.
    if (this.#is_closed) return;
    this.#ring.push(name, data);
    for (const client of this.#clients) client.pump();
  }

  /** Takes over the response. Throws TOO_MANY_CLIENTS, STOPPING. */
  attach(response: ServerResponse, headers: Readonly<Record<string, string>>, last_id: string | null): void {
    if (this.#is_closed) throw requestError("STOPPING", "The server is stopping", "Try again once it runs.");
    if (this.#clients.size >= MAX_CLIENTS)
      throw requestError(
        "TOO_MANY_CLIENTS",
        `Too many event-stream clients: ${MAX_CLIENTS} are connected`,
        "Close one of them.",
      );
    response.writeHead(200, {
      ...headers,
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    const client = new EventClient(this.#ring, response, last_id);
    this.#clients.add(client);
    response.once("close", () => this.#clients.delete(client));
    response.write("retry: 2000\n\n");
    // Browsers store an event's id only if the event has data.
    if (last_id === null)
      response.write(
        encodeFrame(this.#ring.idOf(this.#ring.last), "hello", {
          server_time: isoFromMicros(this.#handle.clock.now_us()),
        }),
      );
    client.pump();
  }

  close(): void {
    this.#is_closed = true;
    for (const stop of this.#stops.splice(0)) stop();
    if (this.#flush !== null) clearTimeout(this.#flush);
    for (const client of this.#clients) client.end();
    this.#clients.clear();
  }

  #absorbed(ticks: Parameters<Parameters<PipelineHandle["live"]["onAbsorbed"]>[0]>[0]["ticks"]): void {
    if (this.#is_closed) return;
    for (const tick of ticks) this.#latest_ticks.add(tick);
    if (this.#latest_ticks.is_empty || this.#flush !== null) return;
    const wait_ms = Math.max(0, this.#flushed_at_ms + TICKS_EVERY_MS - performance.now());
    this.#flush = setTimeout(() => {
      this.#flush = null;
      this.#flushed_at_ms = performance.now();
      this.publish("ticks", this.#latest_ticks.take());
    }, wait_ms);
  }

  /** Polls the state that has no events each second; a poll that takes longer skips the next. */
  async #poll(): Promise<void> {
    if (this.#is_polling || this.#is_closed) return;
    this.#is_polling = true;
    try {
      await this.#publishCommits();
      const status = await this.#health.now();
      for (const source of status.sources) this.#publishSource(source);
      this.publish("status", status);
    } catch (error) {
      if (!this.#is_closed) this.#onError(error);
    } finally {
      this.#is_polling = false;
    }
  }

  #publishSource(source: Source): void {
    const { last_message_at: _changes_with_each_message, ...rest } = source;
    const state = JSON.stringify(rest);
    const before = this.#sources.get(source.source);
    this.#sources.set(source.source, state);
    if (before !== undefined && before !== state) this.publish("source", source);
  }

  async #publishCommits(): Promise<void> {
    for (const commit of this.#commits.next(await this.#tables.all())) this.publish("commit", commit);
  }
}
