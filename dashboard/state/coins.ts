import { batch, computed, signal, type Signal } from "@preact/signals";
import type { Coin, Coins } from "../../pipelines/crypto/api/schemas.ts";
import { compareDecimals, toNumber } from "../format/decimal.ts";
import { parseMicros } from "../format/time.ts";
import { ApiError, get, pathOf } from "./api.ts";
import { onEvent, stream } from "./events.ts";

/** The live price of a coin, a signal each, so that a tick redraws one cell rather than the table. */
export interface LivePrice {
  price: string | null;
  price_at: string | null;
  source: string | null;
  /** Direction against the previous price; 0 at first. */
  move: -1 | 0 | 1;
  /** Number of changes, so that two moves in the same direction both flash. */
  changes: number;
}

export const coins = signal<readonly Coin[] | null>(null);
export const coins_error = signal<ApiError | null>(null);
export const coins_retry_at_ms = signal<number | null>(null);

const by_id = computed(() => new Map((coins.value ?? []).map((coin) => [coin.id, coin])));

/** The coin in the list; null if it is not listed or the list is not loaded yet. */
export function coinOf(id: string): Coin | null {
  return by_id.value.get(id) ?? null;
}

/** A coin's name if known, else its id. */
export function nameOfCoin(id: string): string {
  return coinOf(id)?.name ?? id;
}

/** The list's percentage change, updated to a newer price: prices arrive more often than the list is loaded. */
export function changeAt(
  coin: Pick<Coin, "price" | "change_1h_percent" | "change_24h_percent">,
  over: "1h" | "24h",
  price: string | null,
): number | null {
  const percent = over === "1h" ? coin.change_1h_percent : coin.change_24h_percent;
  if (percent === null || price === null || coin.price === null || price === coin.price) return percent;
  return (((1 + percent / 100) * toNumber(price)) / toNumber(coin.price)) * 100 - 100;
}

const prices = new Map<string, Signal<LivePrice>>();
const PAGE = 500;
/** Maximum number of coins loaded. */
const MAX_COINS = 3_000;
const REFRESH_MS = 15_000;
const POLL_MS = 2_000;
const RETRY_MS = 4_000;

export function priceOf(id: string): Signal<LivePrice> {
  const known = prices.get(id);
  if (known) return known;
  const made = signal<LivePrice>({ price: null, price_at: null, source: null, move: 0, changes: 0 });
  prices.set(id, made);
  return made;
}

/** Shows a price unless a newer one is shown. */
export function applyPrice(id: string, price: string, price_at: string, source: string): void {
  const live = priceOf(id);
  const shown = live.peek();
  if (shown.price === null) live.value = { price, price_at, source, move: 0, changes: 0 };
  // Prices of several sources arrive out of order: only a newer price replaces the one shown.
  else if (shown.price_at !== null && parseMicros(price_at) < parseMicros(shown.price_at)) return;
  else {
    const order = compareDecimals(price, shown.price);
    const move = order > 0 ? 1 : order < 0 ? -1 : 0;
    live.value = {
      price,
      price_at,
      source,
      move: move === 0 ? shown.move : move,
      changes: shown.changes + (move === 0 ? 0 : 1),
    };
  }
}

async function load(): Promise<void> {
  try {
    const all: Coin[] = [];
    let cursor: string | null = null;
    do {
      const page: Coins = await get<Coins>(pathOf("/api/coins", { sort: "rank", limit: PAGE, cursor }));
      all.push(...page.items);
      cursor = page.next;
    } while (cursor !== null && all.length < MAX_COINS);
    batch(() => {
      coins.value = all;
      coins_error.value = null;
      coins_retry_at_ms.value = null;
      for (const { id, price, price_at, source } of all)
        if (price !== null && price_at !== null) applyPrice(id, price, price_at, source ?? "");
    });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    coins_error.value = error;
    coins_retry_at_ms.value = Date.now() + RETRY_MS;
  }
}

/**
 * Loads the list periodically and applies prices from events; while the stream is interrupted, it loads the list more
 * often.
 */
export function watchCoins(): void {
  let loaded_at_ms = 0;
  let is_loading = false;
  let is_wanted = true;
  const step = () => {
    const wait_ms = coins_error.peek() ? RETRY_MS : is_wanted || stream.peek().is !== "open" ? POLL_MS : REFRESH_MS;
    // A tab that is opened in the background loads the list once, so that it is there when the viewer comes.
    const is_hidden = document.hidden && loaded_at_ms > 0;
    if (is_loading || is_hidden || Date.now() < loaded_at_ms + wait_ms) return;
    is_loading = true;
    is_wanted = false;
    void load().finally(() => {
      is_loading = false;
      loaded_at_ms = Date.now();
    });
  };
  const soon = () => {
    is_wanted = true;
  };
  step();
  setInterval(step, 500);
  onEvent("gap", soon);
  onEvent("ticks", ({ ticks }) => {
    const known = coins.peek();
    batch(() => {
      for (const { id, price, price_at, source } of ticks) applyPrice(id, price, price_at, source);
    });
    // A tick of an unlisted coin reloads the list.
    if (known !== null && ticks.length > 0 && known.length < MAX_COINS) {
      const [first] = ticks;
      if (known.length === 0 || (first && !known.some(({ id }) => id === first.id))) soon();
    }
  });
}
