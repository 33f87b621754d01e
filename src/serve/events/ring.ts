import { heldBytes, ownBytes } from "../../base/own-bytes.ts";

export interface RingLimits {
  max_frames: number;
  /** Limit for the memory of all frames, their overhead included. */
  max_bytes: number;
}

/** Memory of a frame's map entry and buffer objects. */
const FRAME_OVERHEAD_BYTES = 256;

/**
 * The newest events as encoded frames, shared by all clients, so that a client that reconnects gets the events it
 * missed. Ids are `<boot>-<number>`, gapless from 1.
 */
export class EventRing {
  readonly boot: string;
  readonly #limits: RingLimits;
  readonly #frames = new Map<number, Buffer>();
  #size_bytes = 0;
  #last = 0;

  constructor(boot: string, limits: RingLimits) {
    this.boot = boot;
    this.#limits = limits;
  }

  /** Number of the newest event; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  /** Number of the oldest retained event; one past the newest if there is none. */
  get first(): number {
    return this.#last + 1 - this.#frames.size;
  }

  /** Memory of the frames. */
  get size_bytes(): number {
    return this.#size_bytes;
  }

  idOf(number: number): string {
    return `${this.boot}-${number}`;
  }

  /** The event number in an id of this boot; null for any other text. */
  numberOf(id: string): number | null {
    const number = id.startsWith(`${this.boot}-`) ? Number(id.slice(this.boot.length + 1)) : Number.NaN;
    return Number.isSafeInteger(number) && number >= 0 && number <= this.#last ? number : null;
  }

  push(name: string, data: unknown): void {
    this.#last += 1;
    const bytes = encodeFrame(this.idOf(this.#last), name, data);
    this.#frames.set(this.#last, bytes);
    this.#size_bytes += costOf(bytes);
    while (this.#frames.size > this.#limits.max_frames || this.#size_bytes > this.#limits.max_bytes)
      this.#forgetOldest();
  }

  /** Null for an event that was dropped or has not happened yet. */
  get(number: number): Buffer | null {
    return this.#frames.get(number) ?? null;
  }

  #forgetOldest(): void {
    const oldest = this.first;
    const bytes = this.#frames.get(oldest);
    if (bytes !== undefined) this.#size_bytes -= costOf(bytes);
    this.#frames.delete(oldest);
  }
}

function costOf(bytes: Buffer): number {
  return heldBytes(bytes) + FRAME_OVERHEAD_BYTES;
}

/**
 * Encodes a server-sent event (WHATWG HTML). JSON contains no line breaks. The buffer owns its memory and may be
 * retained.
 */
export function encodeFrame(id: string, name: string, data: unknown): Buffer {
  return ownBytes(`id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}
