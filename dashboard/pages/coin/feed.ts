import { signal } from "@preact/signals";
import type { Candle, Candles } from "../../../pipelines/crypto/api/schemas.ts";
import { INTERVAL_S, type Interval } from "../../../src/pipeline/intervals.ts";
import { compareDecimals } from "../../format/decimal.ts";
import { parseMicros } from "../../format/time.ts";
import { ApiError, get, pathOf } from "../../state/api.ts";
import { applyPrice, priceOf } from "../../state/coins.ts";
import { onEvent } from "../../state/events.ts";
import { gapsSeen, joinCandles, refreshAllFrom, refreshFrom } from "./candles.ts";

const PAGE = 500;
/** Maximum page size of the API. */
const MAX_PAGE = 5_000;
const REFRESH_MS = 10_000;
const RETRY_MS = 4_000;
/** Number of full refreshes after a gap was filled: the records may reach the tables after the report. */
const WHOLE_REFRESHES = 2;
/** Maximum number of candles in a chart. */
const MAX_CANDLES = 20_000;

/**
 * Candles of one coin at one interval: now (updated by ticks, and refreshed from the API every few seconds) or as of a
 * lake time.
 */
export class CandleFeed {
  readonly candles = signal<readonly Candle[] | null>(null);
  readonly error = signal<ApiError | null>(null);
  readonly retry_at_ms = signal<number | null>(null);
  readonly snapshots = signal<Candles["snapshots"]>([]);
  readonly #path: string;
  readonly #id: string;
  readonly #interval: Interval;
  readonly #at: string | null;
  readonly #abort = new AbortController();
  #older: string | null = null;
  /**
   * Time of the newest candle that the API has returned; later candles come from ticks alone, which may be incomplete.
   */
  #answered: string | null = null;
  #is_loading_older = false;
  /** Remaining full refreshes. */
  #whole_refreshes = 0;
  /** Key of the gaps by source. */
  readonly #gaps = new Map<string, string | null>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #unsubscribe: (() => void) | null = null;
  /** The newest price, applied again after a refresh: the response may be older. */
  #newest: { price: string; price_at: string } | null = null;

  constructor(id: string, interval: Interval, at: string | null) {
    this.#path = `/api/coins/${encodeURIComponent(id)}/candles`;
    this.#id = id;
    this.#interval = interval;
    this.#at = at;
  }

  start(): void {
    void this.#load();
    if (this.#at !== null) return;
    const stops = [
      onEvent("ticks", ({ ticks }) => {
        for (const { id, price, price_at } of ticks) if (id === this.#id) this.#dispatchEvent(price, price_at);
      }),
      // Events were lost: refresh at once.
      onEvent("gap", () => this.#refreshSoon()),
      onEvent("source", (source) => {
        const gaps = gapsSeen(source);
        if ((this.#gaps.get(source.source) ?? null) === gaps) return;
        this.#gaps.set(source.source, gaps);
        this.#whole_refreshes = WHOLE_REFRESHES;
        this.#refreshSoon();
      }),
    ];
    this.#unsubscribe = () => stops.forEach((stop) => stop());
  }

  stop(): void {
    this.#abort.abort();
    this.#unsubscribe?.();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async loadOlder(): Promise<void> {
    const shown = this.candles.peek();
    if (this.#older === null || this.#is_loading_older || shown === null || shown.length > MAX_CANDLES) return;
    this.#is_loading_older = true;
    const cursor = this.#older;
    try {
      const page = await get<Candles>(
        pathOf(this.#path, { interval: this.#interval, at: this.#at, limit: PAGE, cursor }),
        this.#abort.signal,
      );
      this.#older = page.next;
      const known = this.candles.peek() ?? [];
      const first = known[0]?.time ?? "~";
      this.candles.value = [...page.items.filter(({ time }) => time < first), ...known];
    } catch (error) {
      // The candles shown stay; scrolling retries.
      if (!(error instanceof ApiError) && !this.#abort.signal.aborted) throw error;
    } finally {
      this.#is_loading_older = false;
    }
  }

  async #load(): Promise<void> {
    const shown = this.candles.peek();
    let wait_ms = REFRESH_MS;
    try {
      // After the first load, only candles since the last response are requested.
      const from = this.#refreshFrom(shown);
      const asked = from === null ? { limit: PAGE } : { limit: MAX_PAGE, from };
      const page = await get<Candles>(
        pathOf(this.#path, { interval: this.#interval, at: this.#at, ...asked }),
        this.#abort.signal,
      );
      // More is missing than one response holds: the chart restarts from this response.
      const is_fresh = from === null || page.next !== null;
      if (is_fresh) this.#older = page.next;
      this.#whole_refreshes = Math.max(0, this.#whole_refreshes - 1);
      this.candles.value = is_fresh
        ? joinCandles([], page.items, null)
        : joinCandles(this.candles.peek() ?? [], page.items, from);
      this.#answered = page.items.at(-1)?.time ?? this.#answered;
      this.#showNewest(page.last_price);
      this.snapshots.value = page.snapshots;
      this.error.value = null;
      this.retry_at_ms.value = null;
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      wait_ms = RETRY_MS;
      this.error.value = error;
      this.retry_at_ms.value = Date.now() + wait_ms;
    }
    if (this.#at !== null && this.error.peek() === null) return;
    this.#wait(wait_ms);
  }

  /** Event time to refresh from; null before the first response. */
  #refreshFrom(shown: readonly Candle[] | null): string | null {
    if (shown === null || shown.length === 0 || this.#answered === null) return null;
    const step_s = INTERVAL_S[this.#interval];
    return this.#whole_refreshes > 0 ? refreshAllFrom(shown, step_s, MAX_PAGE) : refreshFrom(this.#answered, step_s);
  }

  #wait(wait_ms: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#load();
    }, wait_ms);
  }

  /** Refreshes at once, unless a request is in flight. */
  #refreshSoon(): void {
    if (this.#timer !== null) this.#wait(0);
  }

  /**
   * Gives the chart and the header the same price: the newest of the response, of the ticks, and of the list of coins.
   * Each of them may be older than the others.
   */
  #showNewest(last: Candles["last_price"]): void {
    if (this.#at !== null) return;
    if (last !== null) applyPrice(this.#id, last.price, last.price_at, last.source);
    const { price, price_at } = priceOf(this.#id).peek();
    if (price !== null && price_at !== null) this.#keepNewest(price, price_at);
    if (this.#newest !== null) this.#applyTick(this.#newest.price, this.#newest.price_at, 0);
  }

  /** Whether no newer price is known. */
  #keepNewest(price: string, price_at: string): boolean {
    const is_newest = this.#newest === null || parseMicros(price_at) >= parseMicros(this.#newest.price_at);
    if (is_newest) this.#newest = { price, price_at };
    return is_newest;
  }

  #dispatchEvent(price: string, price_at: string): void {
    this.#applyTick(price, price_at, 1, this.#keepNewest(price, price_at));
  }

  /** Applies a tick to the last candle; only the newest tick sets its close. */
  #applyTick(price: string, price_at: string, updates: 0 | 1, is_newest = true): void {
    const shown = this.candles.peek();
    if (shown === null) return;
    const step_ms = INTERVAL_S[this.#interval] * 1000;
    const time_ms = Math.floor(Date.parse(price_at) / step_ms) * step_ms;
    const last = shown.at(-1);
    const last_ms = last === undefined ? -Infinity : Date.parse(last.time);
    if (time_ms > last_ms) {
      const time = new Date(time_ms).toISOString();
      this.candles.value = [
        ...shown,
        { time, open: price, high: price, low: price, close: price, volume: null, price_updates: 1 },
      ];
    } else if (last !== undefined && time_ms === last_ms) {
      const high = compareDecimals(price, last.high) > 0 ? price : last.high;
      const low = compareDecimals(price, last.low) < 0 ? price : last.low;
      const close = is_newest ? price : last.close;
      this.candles.value = [
        ...shown.slice(0, -1),
        { ...last, high, low, close, price_updates: last.price_updates + updates },
      ];
    }
    // A late tick belongs to an earlier candle, which the next refresh updates.
  }
}
