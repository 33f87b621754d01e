import { heldBytes, ownBytes } from "../../base/own-bytes.ts";

export interface RingLimits {
  max_frames: number;
  /** Of the memory that frames hold, with what each costs beside its bytes. */
  max_bytes: number;
}

/** A frame's entry in the map, and the objects around its bytes. */
const FRAME_OVERHEAD_BYTES = 256;

/**
 * The newest events, each as it goes over the wire, made once for all clients: one that was
 * away gets what it missed. Ids are `<boot>-<number>`, gapless from 1.
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

  /** Number of the oldest event kept; past the newest where none is. */
  get first(): number {
    return this.#last + 1 - this.#frames.size;
  }

  /** Memory that the frames take. */
  get size_bytes(): number {
    return this.#size_bytes;
  }

  idOf(number: number): string {
    return `${this.boot}-${number}`;
  }

  /** The number in an id of this boot; null for any other text. */
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

  /** Null for what is forgotten or has not happened yet. */
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

/** WHATWG HTML, "Server-sent events". JSON contains no line breaks. The bytes may be kept: they share their memory with nothing. */
export function encodeFrame(id: string, name: string, data: unknown): Buffer {
  return ownBytes(`id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}
