/** One event as it goes over the wire, made once for all clients. */
export interface Frame {
  number: number;
  bytes: Buffer;
}

export interface RingLimits {
  max_frames: number;
  max_bytes: number;
}

/** The newest events, so that a client which was away gets what it missed. Ids are `<boot>-<number>`, gapless from 1. */
export class EventRing {
  readonly boot: string;
  readonly #limits: RingLimits;
  /** Frames from `#head` on; those before it are forgotten. */
  #frames: Frame[] = [];
  #head = 0;
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
    return this.#frames[this.#head]?.number ?? this.#last + 1;
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
    this.#frames.push({ number: this.#last, bytes });
    this.#size_bytes += bytes.length;
    while (this.#frames.length - this.#head > this.#limits.max_frames || this.#size_bytes > this.#limits.max_bytes) this.#forgetOldest();
  }

  /** Null for what is forgotten or has not happened yet. */
  get(number: number): Frame | null {
    return this.#frames[this.#head + number - this.first] ?? null;
  }

  #forgetOldest(): void {
    this.#size_bytes -= this.#frames[this.#head]?.bytes.length ?? 0;
    this.#head += 1;
    // Moving what is left costs a copy of it: only when half is dead.
    if (this.#head * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** WHATWG HTML, "Server-sent events". JSON has no line breaks of its own. */
export function encodeFrame(id: string, name: string, data: unknown): Buffer {
  return Buffer.from(`id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}
