import type { Clock } from "../base/clock.ts";

export interface AnswerAge {
  /** An entry younger than this is returned without computing another. */
  fresh_ms: number;
  /** An entry older than this is not returned; the request waits for a new one. */
  stale_ms: number;
  /** Version of the data the answer depends on: an entry of the same version is not refreshed until it is stale. */
  version?: string;
}

interface Entry<T> {
  value: T;
  version: string | undefined;
  made_at_us: number;
  asked_at_us: number;
  /** How long it took to compute. */
  cost_ms: number;
}

/** Refreshing all entries in use takes at most this share of one core, so that an open tab costs little. */
const SHARE_OF_TIME = 0.03;
/** An entry is in use this long after it was last requested. */
const IN_USE_US = 30_000_000;
/** Entries that nobody requested for so long are dropped. */
const KEPT_US = 300_000_000;

/**
 * Stale-while-revalidate cache; concurrent requests share one computation. An entry is returned without a refresh while
 * it is fresh. If the entries in use are expensive, the refresh interval grows so that all refreshes together stay
 * within SHARE_OF_TIME. A failed computation is an error for the requests that wait for it, and is not kept.
 */
export class AnswerCache {
  readonly #clock: Clock;
  readonly #max_entries: number;
  readonly #entries = new Map<string, Entry<unknown>>();
  readonly #making = new Map<string, Promise<unknown>>();

  constructor(clock: Clock, max_entries = 64) {
    this.#clock = clock;
    this.#max_entries = max_entries;
  }

  async get<T>(key: string, age: AnswerAge, make: () => Promise<T>): Promise<T> {
    const now_us = this.#clock.now_us();
    const entry = this.#entries.get(key) as Entry<T> | undefined;
    const age_ms = entry === undefined ? Infinity : (now_us - entry.made_at_us) / 1000;
    if (entry !== undefined) entry.asked_at_us = now_us;
    // A negative age means that the clock was set back; the entry's age is unknown.
    const is_kept = entry !== undefined && age_ms >= 0 && age_ms < age.stale_ms;
    const is_same = age.version !== undefined && entry?.version === age.version;
    if (is_kept && (is_same || age_ms < Math.max(age.fresh_ms, this.#refreshInterval_ms(now_us)))) return entry.value;
    const making = this.#make(key, age.version, make);
    if (!is_kept) return making;
    // A failed refresh is retried by the next request that finds the entry stale.
    making.catch(() => {});
    return entry.value;
  }

  #refreshInterval_ms(now_us: number): number {
    let cost_ms = 0;
    for (const entry of this.#entries.values()) if (now_us - entry.asked_at_us < IN_USE_US) cost_ms += entry.cost_ms;
    return cost_ms / SHARE_OF_TIME;
  }

  #make<T>(key: string, version: string | undefined, make: () => Promise<T>): Promise<T> {
    const under_way = this.#making.get(key) as Promise<T> | undefined;
    if (under_way !== undefined) return under_way;
    const making = this.#keep(key, version, make).finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    return making;
  }

  async #keep<T>(key: string, version: string | undefined, make: () => Promise<T>): Promise<T> {
    // The start of the computation, not its end: the result may lack data that arrived in between.
    const made_at_us = this.#clock.now_us();
    const value = await make();
    this.#entries.delete(key);
    const now_us = this.#clock.now_us();
    this.#entries.set(key, { value, version, made_at_us, asked_at_us: now_us, cost_ms: (now_us - made_at_us) / 1000 });
    for (const [oldest, { asked_at_us }] of this.#entries) {
      if (this.#entries.size > this.#max_entries || now_us - asked_at_us >= KEPT_US) this.#entries.delete(oldest);
    }
    return value;
  }
}
