import type { Clock } from "../clock.ts";

interface Entry<T> {
  value: T;
  made_at_us: number;
  /** How long it took to make. */
  cost_ms: number;
}

/** What is asked for all the time may take this share of one core to make anew, so that a large lake's answers hold up nothing else. */
const SHARE_OF_TIME = 0.1;

/**
 * Answers that many ask for at once are made once. An entry is given as it is while it is fresh, longer where it is costly; one that
 * is past it but not stale is given too, and made anew meanwhile; else whoever asks waits. What is made fails for those who wait and is not kept.
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

  async get<T>(key: string, age: { fresh_ms: number; stale_ms: number }, make: () => Promise<T>): Promise<T> {
    const entry = this.#entries.get(key) as Entry<T> | undefined;
    const age_ms = entry === undefined ? Infinity : (this.#clock.now_us() - entry.made_at_us) / 1000;
    // Below zero the clock was set back, and nobody knows how old it is.
    const is_kept = entry !== undefined && age_ms >= 0 && age_ms < age.stale_ms;
    if (is_kept && age_ms < Math.max(age.fresh_ms, entry.cost_ms / SHARE_OF_TIME)) return entry.value;
    const making = this.#make(key, make);
    if (!is_kept) return making;
    // Its failure is told to the next who has to wait.
    making.catch(() => {});
    return entry.value;
  }

  #make<T>(key: string, make: () => Promise<T>): Promise<T> {
    const under_way = this.#making.get(key) as Promise<T> | undefined;
    if (under_way !== undefined) return under_way;
    const making = this.#keep(key, make).finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    return making;
  }

  async #keep<T>(key: string, make: () => Promise<T>): Promise<T> {
    // The moment of asking, not of the answer: it may lack what came meanwhile.
    const made_at_us = this.#clock.now_us();
    const value = await make();
    this.#entries.delete(key);
    this.#entries.set(key, { value, made_at_us, cost_ms: (this.#clock.now_us() - made_at_us) / 1000 });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#max_entries) break;
      this.#entries.delete(oldest);
    }
    return value;
  }
}
