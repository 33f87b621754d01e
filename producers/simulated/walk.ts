import { normal, uniform } from "./random.ts";
import type { Coin } from "./roster.ts";

/**
 * Prices as a function of time. A coin's log price is the sum of its share of the market's walk, an individual walk,
 * and crashes. A walk is noise on a series of time scales: each scale is four times the previous one, with twice its
 * amplitude, as in a random walk. Above the longest scale the walk is bounded, so prices remain plausible for years. No
 * value depends on an earlier value.
 */
const SHORTEST_SCALE_S = 5;
const SCALES = 10;

/** Bitcoin's volatility: about 4 % a day. */
const SIGMA_PER_ROOT_S = 0.000_14;

const CRASH_WINDOW_S = 3600;
const CRASHES_PER_WINDOW = 0.02;

const BURST_WINDOW_S = 600;
const BURSTS_PER_WINDOW = 0.05;
/** Amplitude factor of the short scales at the peak of a burst. */
const BURST_FACTOR = 5;
const SHORT_SCALES = 4;

/** Stream numbers for `uniform`; a coin's streams are offset by `coin × STREAMS_PER_COIN`. */
const STREAM = { market: 1, own: 2, crash: 3, burst: 4, volume: 5 } as const;
const STREAMS_PER_COIN = 16;

/** The walk that all coins share, in log price, `at_s` seconds after the market's start (negative before it). */
export function marketAt(seed: number, at_s: number): number {
  return walk(seed, STREAM.market, at_s, 1);
}

/** Price in USD at a time for which `market` is the shared walk. `coin` is the coin's index in the roster. */
export function priceAt(seed: number, traits: Coin, coin: number, at_s: number, market: number): number {
  const own = walk(seed, streamOf(coin, STREAM.own), at_s, burstAt(seed, coin, at_s));
  const fall = traits.volatility < 0.1 ? 0 : crashAt(seed, coin, at_s);
  return traits.price_usd * Math.exp(traits.volatility * (0.75 * market + 0.6 * own) - fall);
}

/** Rolling 24 h volume in USD; bursts raise it. */
export function volumeAt(seed: number, traits: Coin, coin: number, at_s: number): number {
  const activity = walk(seed, streamOf(coin, STREAM.volume), at_s, 1) * 8 + 0.1 * (burstAt(seed, coin, at_s) - 1);
  return traits.price_usd * traits.supply * 0.04 * Math.exp(activity);
}

function walk(seed: number, stream: number, at_s: number, short_factor: number): number {
  let sum = 0;
  let scale_s = SHORTEST_SCALE_S;
  for (let scale = 0; scale < SCALES; scale += 1) {
    const place = at_s / scale_s;
    const knot = Math.floor(place);
    const share = smooth(place - knot);
    const noise = normal(seed, stream, scale, knot) * (1 - share) + normal(seed, stream, scale, knot + 1) * share;
    const factor = scale < SHORT_SCALES ? short_factor : 1;
    sum += noise * factor * SIGMA_PER_ROOT_S * Math.sqrt(scale_s);
    scale_s *= 4;
  }
  return sum;
}

/** Burst factor: 1 in quiet times, up to BURST_FACTOR in the middle of a burst. */
function burstAt(seed: number, coin: number, at_s: number): number {
  const window = Math.floor(at_s / BURST_WINDOW_S);
  if (uniform(seed, streamOf(coin, STREAM.burst), window) >= BURSTS_PER_WINDOW) return 1;
  const share = at_s / BURST_WINDOW_S - window;
  return 1 + (BURST_FACTOR - 1) * smooth(1 - Math.abs(2 * share - 1));
}

/** Reduction of the coin's log price by its last crashes. A crash ends within the window after its own window. */
function crashAt(seed: number, coin: number, at_s: number): number {
  const window = Math.floor(at_s / CRASH_WINDOW_S);
  return crashOf(seed, coin, window, at_s) + crashOf(seed, coin, window - 1, at_s);
}

function crashOf(seed: number, coin: number, window: number, at_s: number): number {
  const stream = streamOf(coin, STREAM.crash);
  // A newly started market shows one crash within minutes: the third coin's, in the first window.
  const is_first = window === 0 && coin === 2;
  if (!is_first && uniform(seed, stream, window, 0) >= CRASHES_PER_WINDOW) return 0;
  const delay_s = is_first
    ? 180 + 120 * uniform(seed, stream, window, 1)
    : CRASH_WINDOW_S * uniform(seed, stream, window, 1);
  const fall_s = 60 + 180 * uniform(seed, stream, window, 2);
  const depth = 0.09 + 0.16 * uniform(seed, stream, window, 3);
  const age_s = at_s - window * CRASH_WINDOW_S - delay_s;
  if (age_s <= 0) return 0;
  if (age_s < fall_s) return depth * (age_s / fall_s);
  return depth * smooth(Math.max(0, 1 - (age_s - fall_s) / (CRASH_WINDOW_S - fall_s)));
}

function streamOf(coin: number, stream: number): number {
  return (coin + 1) * STREAMS_PER_COIN + stream;
}

function smooth(share: number): number {
  return share * share * (3 - 2 * share);
}
