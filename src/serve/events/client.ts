import type { ServerResponse } from "node:http";
import { encodeFrame, type EventRing } from "./ring.ts";

/** A client that takes nothing for so long is gone. */
const STUCK_AFTER_MS = 30_000;

/**
 * One listener. It has a place in the ring and no queue of its own: what its socket does not take stays in the ring, and what
 * the ring has forgotten meanwhile becomes one `gap`.
 */
export class EventClient {
  readonly #ring: EventRing;
  readonly #response: ServerResponse;
  #next: number;
  /** Told before anything else: what was missed before it came. */
  #missed_from: string | null | undefined;
  #stuck: NodeJS.Timeout | null = null;

  /** `last_id` is what the client says it had last; null for one that begins. */
  constructor(ring: EventRing, response: ServerResponse, last_id: string | null) {
    this.#ring = ring;
    this.#response = response;
    const last = last_id === null ? ring.last : ring.numberOf(last_id);
    this.#next = (last ?? ring.last) + 1;
    if (last === null) this.#missed_from = null;
    response.on("drain", this.#drained);
    response.once("close", () => this.#unstick());
  }

  /** Sends what there is, as far as the socket takes it. */
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

  /** Something to hear, for proxies and for sockets whose other end is gone. */
  keepAlive(): void {
    if (this.#stuck === null && this.#is_open) this.#write(Buffer.from(": alive\n\n"));
  }

  end(): void {
    this.#unstick();
    this.#response.end();
  }

  /** After a gap the client loads anew what it shows: it goes on with what happens from now on. */
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
