import type { ServerResponse } from "node:http";
import { encodeFrame, type EventRing } from "./ring.ts";

/** A client whose socket accepts nothing for this long is disconnected. */
const STUCK_AFTER_MS = 30_000;

/**
 * One client of the event stream. It keeps a position in the ring instead of a queue: events wait in the ring until the
 * socket accepts them, and events that the ring dropped in the meantime become one `gap` event.
 */
export class EventClient {
  readonly #ring: EventRing;
  readonly #response: ServerResponse;
  #next: number;
  /** First missed event id, null if unknown; sent as a `gap` before any other event. Undefined without a gap. */
  #missed_from: string | null | undefined;
  #stuck: NodeJS.Timeout | null = null;

  /** `last_id` is the last event id that the client received; null for a new client. */
  constructor(ring: EventRing, response: ServerResponse, last_id: string | null) {
    this.#ring = ring;
    this.#response = response;
    const last = last_id === null ? ring.last : ring.numberOf(last_id);
    this.#next = (last ?? ring.last) + 1;
    if (last === null) this.#missed_from = null;
    response.on("drain", this.#drained);
    response.once("close", () => this.#unstick());
  }

  /** Sends events until the socket's buffer is full. */
  pump = (): void => {
    while (this.#stuck === null && this.#is_open) {
      if (this.#next < this.#ring.first) this.#missed_from = this.#ring.idOf(this.#next);
      if (this.#missed_from !== undefined) this.#sendGap(this.#missed_from);
      const frame = this.#ring.get(this.#next);
      if (frame === null) return;
      this.#next += 1;
      this.#write(frame);
    }
  };

  get #is_open(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded;
  }

  /** A comment that keeps proxies from closing the connection, and reveals dead sockets. */
  keepAlive(): void {
    if (this.#stuck === null && this.#is_open) this.#write(Buffer.from(": alive\n\n"));
  }

  end(): void {
    this.#unstick();
    this.#response.end();
  }

  /** After a gap the client reloads its state, so the stream continues with new events only. */
  #sendGap(missed_from: string | null): void {
    const missed_to = this.#ring.idOf(this.#ring.last);
    this.#missed_from = undefined;
    this.#next = this.#ring.last + 1;
    this.#write(encodeFrame(missed_to, "gap", { missed_from, missed_to }));
  }

  #write(bytes: Buffer): void {
    if (this.#response.write(bytes)) return;
    this.#stuck = setTimeout(() => this.#response.destroy(), STUCK_AFTER_MS);
    this.#stuck.unref();
  }

  #drained = (): void => {
    this.#unstick();
    this.pump();
  };

  #unstick(): void {
    if (this.#stuck !== null) clearTimeout(this.#stuck);
    this.#stuck = null;
  }
}
