import type { Listed } from "./folder.ts";

/** Names that other programs give to files they are still writing. */
const UNFINISHED = /\.(?:tmp|part|crdownload)$/i;
const READABLE = /\.(?:json|jsonl|ndjson)(?:\.gz)?$/i;

/** Whether a file is input: not hidden, not a partial download, and JSON by its name. */
export function isInput(name: string): boolean {
  const is_hidden = name.split("/").some((segment) => segment.startsWith("."));
  return !is_hidden && !UNFINISHED.test(name) && READABLE.test(name);
}

export interface ArrivalLimits {
  /** A file is ready once two listings at least this far apart agree on its size and time. */
  settle_ms: number;
  /**
   * An incomplete file that has not changed for this long is read as far as it goes: by the clock since its first
   * listing, or by its own time, because nobody still writes a file of yesterday.
   */
  incomplete_after_ms: number;
}

interface Arrival {
  file: Listed;
  /** The clock at the first listing with this size and time. */
  unchanged_since_us: number;
  is_incomplete: boolean;
  /** Attempts to read the file that failed in a row. */
  failures: number;
}

/** The listed files that are not read yet, and when they are ready. Pure: the caller passes listings and time. */
export class Arrivals {
  readonly #limits: ArrivalLimits;
  readonly #by_name = new Map<string, Arrival>();

  constructor(limits: ArrivalLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#by_name.size;
  }

  /** Takes a complete listing of the files that are not read yet. */
  update(files: readonly Listed[], now_us: number): void {
    const names = new Set(files.map(({ name }) => name));
    for (const name of this.#by_name.keys()) if (!names.has(name)) this.#by_name.delete(name);
    for (const file of files) {
      const known = this.#by_name.get(file.name);
      if (known !== undefined && isSame(known.file, file)) {
        // The clock may have been set back.
        known.unchanged_since_us = Math.min(known.unchanged_since_us, now_us);
        continue;
      }
      this.#by_name.set(file.name, { file, unchanged_since_us: now_us, is_incomplete: false, failures: 0 });
    }
  }

  /** The files to read now, in the order of modification time, then name. */
  ready(now_us: number): Listed[] {
    return [...this.#by_name.values()]
      .filter((arrival) => {
        const is_settled = now_us - arrival.unchanged_since_us >= this.#limits.settle_ms * 1000;
        return is_settled && (!arrival.is_incomplete || this.#isOverdue(arrival, now_us));
      })
      .map(({ file }) => file)
      .sort((a, b) => a.modified_at_us - b.modified_at_us || (a.name < b.name ? -1 : 1));
  }

  /** Whether an incomplete file has waited long enough to be read as far as it goes. */
  isOverdue(name: string, now_us: number): boolean {
    const arrival = this.#by_name.get(name);
    return arrival !== undefined && this.#isOverdue(arrival, now_us);
  }

  /** A time in the future says nothing: the clocks of this machine and of the storage may differ. */
  #isOverdue({ file, unchanged_since_us }: Arrival, now_us: number): boolean {
    const since_us = Math.min(unchanged_since_us, file.modified_at_us);
    return now_us - since_us >= this.#limits.incomplete_after_ms * 1000;
  }

  noteIncomplete(name: string): void {
    const arrival = this.#by_name.get(name);
    if (arrival !== undefined) arrival.is_incomplete = true;
  }

  /** The file could not be read: it settles again. Returns the number of failures in a row. */
  noteFailure(name: string, now_us: number): number {
    const arrival = this.#by_name.get(name);
    if (arrival === undefined) return 0;
    arrival.unchanged_since_us = now_us;
    arrival.failures += 1;
    return arrival.failures;
  }

  remove(name: string): void {
    this.#by_name.delete(name);
  }
}

function isSame(a: Listed, b: Listed): boolean {
  return a.size_bytes === b.size_bytes && a.modified_at_us === b.modified_at_us && a.version === b.version;
}
