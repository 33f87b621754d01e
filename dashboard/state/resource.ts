import { backoffDelay_ms } from "../../src/base/backoff.ts";
import { signal, type ReadonlySignal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ApiError, get } from "./api.ts";

/** State of an API resource. The last value is kept during a refresh, and when a refresh fails. */
export interface Resource<T> {
  value: T | null;
  /** Error of the last request; null if it succeeded. */
  error: ApiError | null;
  /** Local time of the last successful request. */
  loaded_at_ms: number | null;
  /** Local time of the next retry after an error. */
  retry_at_ms: number | null;
}

const EMPTY = { value: null, error: null, loaded_at_ms: null, retry_at_ms: null };
const BACKOFF = { base_ms: 2_000, cap_ms: 30_000 };

export interface ResourceHandle<T> {
  state: ReadonlySignal<Resource<T>>;
  reload(): void;
}

/** Loads a path every `refresh_ms`, after an error with exponential backoff. A hidden tab does not load. */
export function useResource<T>(path: string | null, refresh_ms: number | null = null): ResourceHandle<T> {
  const resource = useMemo(() => new Loader<T>(path, refresh_ms), [path, refresh_ms]);
  useEffect(() => {
    resource.start();
    return () => resource.stop();
  }, [resource]);
  return resource;
}

export class Loader<T> implements ResourceHandle<T> {
  readonly state: Signal<Resource<T>> = signal(EMPTY);
  readonly #path: string | null;
  readonly #refresh_ms: number | null;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #abort: AbortController | null = null;

  constructor(path: string | null, refresh_ms: number | null) {
    this.#path = path;
    this.#refresh_ms = refresh_ms;
  }

  start(): void {
    document.addEventListener("visibilitychange", this.#onSeen);
    void this.#load();
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.#onSeen);
    this.#abort?.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  reload(): void {
    void this.#load();
  }

  readonly #onSeen = (): void => {
    if (!document.hidden && this.#timer === null && this.#abort === null) void this.#load();
  };

  async #load(): Promise<void> {
    if (this.#path === null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    let next_ms = this.#refresh_ms;
    try {
      const value = await get<T>(this.#path, abort.signal);
      this.#failures = 0;
      this.state.value = { value, error: null, loaded_at_ms: Date.now(), retry_at_ms: null };
    } catch (error) {
      if (abort.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.#failures += 1;
      // Client errors (4xx) are not retryable, except 429.
      const is_final = error.status >= 400 && error.status < 500 && error.status !== 429;
      next_ms = is_final ? null : backoffDelay_ms(this.#failures, BACKOFF);
      this.state.value = { ...this.state.peek(), error, retry_at_ms: next_ms === null ? null : Date.now() + next_ms };
    } finally {
      if (this.#abort === abort) this.#abort = null;
    }
    if (next_ms !== null && !abort.signal.aborted) this.#schedule(next_ms);
  }

  #schedule(wait_ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (!document.hidden) void this.#load();
    }, wait_ms);
  }
}
