import { simulated } from "../../producers/simulated.ts";
import { uniform } from "../../producers/simulated/random.ts";
import { expected, stepsBetween } from "../../producers/simulated/truth.ts";
import { isoFromMicros, systemClock } from "../../src/base/clock.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { NO_FOLDER } from "../producer/collect.ts";
import { exchangeTrades } from "./exchange-stream.ts";

/**
 * The stream crosses midnight after two hours, so that minutes, candles and changes over an hour span two partitions.
 */
const START_US = Date.parse("2026-02-27T22:00:00Z") * 1000;
const SECOND_US = 1_000_000;
const STEP_MS = 150_000;
const DRAW = { gap: 101, price: 102, time: 103, dirt: 104, delay: 105, again: 106, order: 107, absence: 108 } as const;

/**
 * Records of several sources of one market: two sources of pages (with dirt, and a rename, a listing and a delisting
 * each, and a silence in one of them), one source of pages whose coins repeatedly disappear, two sources of ticks, and
 * three exchanges with gaps that are filled later. Some records are late, some are duplicated. In the order of
 * ingestion.
 */
export async function marketStream(seed: number): Promise<SourceRecord[]> {
  const said: Words = new Map();
  const first = await pages({ seed, source: "simulated", coins: 7, from_step: 0, until_step: 118 }, said);
  const second = (
    await pages({ seed: seed + 1, source: "another", coins: 5, from_step: 20, until_step: 110 }, said)
  ).filter((_, index) => index < 25 || index > 60);
  const ticks = [
    ...ticksOf({ seed: seed + 2, source: "exchange", product: "BITCOIN", count: 150 }),
    ...ticksOf({ seed: seed + 3, source: "exchange", product: "soleur", count: 90 }),
    ...ticksOf({ seed: seed + 4, source: "venue", product: "bitcoin", count: 90 }),
  ];
  const trades = exchangeTrades(seed + 6, START_US);
  const delayed = [...first, ...second, ...flickeringPages(seed + 5), ...ticks, ...trades].map((record, index) =>
    delay(record, uniform(seed, DRAW.delay, index)),
  );
  const again = delayed.flatMap((record, index) => secondArrival(record, uniform(seed, DRAW.again, index)));
  return [...delayed, ...again].sort((a, b) => a.ingested_at_us - b.ingested_at_us);
}

/** The records, each displaced by up to `spread` of the whole stream: 0 keeps the order, 1 or more shuffles freely. */
export function shuffled(records: readonly SourceRecord[], seed: number, spread: number): SourceRecord[] {
  return records
    .map((record, index) => ({ record, place: index + records.length * spread * uniform(seed, DRAW.order, index) }))
    .sort((a, b) => a.place - b.place)
    .map(({ record }) => record);
}

interface PageOptions {
  seed: number;
  source: string;
  coins: number;
  from_step: number;
  until_step: number;
}

/** The value and source of each coin and time. */
type Words = Map<string, string>;

/**
 * Pages of a simulated market, without those that contradict an earlier page or another source about a coin at the same
 * time. Of two conflicting elements the first in the log is accepted, and of two sources the later one wins, so with
 * them the content would depend on the order.
 */
async function pages(
  { seed, source, coins, from_step, until_step }: PageOptions,
  said: Words,
): Promise<SourceRecord[]> {
  const market = { seed, coins, interval_ms: STEP_MS, dirt_rate: 0.12, start_us: START_US };
  const producer = simulated({ ...market, speed: "max", history_ms: 0, until_step });
  const records: SourceRecord[] = [];
  const context = {
    position: null,
    clock: systemClock,
    signal: new AbortController().signal,
    folder: NO_FOLDER,
    report: () => {},
  };
  for await (const batch of producer.batches(context)) records.push(...batch.records);
  const contradicting = contradictingSteps(market, until_step, source, said);
  return records
    .map((record) => ({ ...record, key: source, source }))
    .filter((_, step) => step >= from_step && !contradicting.has(step));
}

function contradictingSteps(
  market: Parameters<typeof expected>[0],
  until_step: number,
  source: string,
  words: Words,
): Set<number> {
  const contradicting = new Set<number>();
  const said_in_step = new Set<string>();
  for (const { step, quote, verdict, reason } of expected(market, stepsBetween(0, until_step))) {
    const is_believable = verdict !== "rejected" || reason === "late_event" || reason === "future_event";
    if (quote === null || !is_believable) continue;
    const identity = `${quote.coin_id} ${quote.last_updated_us}`;
    // Of two elements of one page, the first is accepted in any order.
    if (said_in_step.has(`${step} ${identity}`)) continue;
    said_in_step.add(`${step} ${identity}`);
    const word = [source, Number(quote.price), quote.market_cap, quote.total_volume].join(" ");
    if ((words.get(identity) ?? word) !== word) contradicting.add(step);
    else words.set(identity, word);
  }
  return contradicting;
}

const FLICKERING_COINS = ["bitcoin", "tether", "flick", "flack", "flock", "fluck"];

/** Pages that omit coins for two to five pages at a time, so that a delisting is pending between any two pages. */
function flickeringPages(seed: number): SourceRecord[] {
  const records: SourceRecord[] = [];
  for (let step = 0; step < 110; step += 1) {
    const polled_at_us = START_US + (step * STEP_MS + 61_003) * 1000;
    const elements = FLICKERING_COINS.flatMap((id, coin) => {
      const stretch = Math.floor((step + coin) / (2 + (coin % 4)));
      if (uniform(seed, DRAW.absence, coin, stretch) < 0.4) return [];
      const rank = 1 + Math.floor(uniform(seed, DRAW.absence, coin + 10, stretch) * 3);
      const quote = { id, symbol: id.slice(0, 4), name: id.toUpperCase(), market_cap_rank: rank };
      return [
        { ...quote, current_price: 1 + step / 8 + coin, last_updated: isoFromMicros(polled_at_us - 1001 * (coin + 1)) },
      ];
    });
    records.push({
      key: "flickering",
      source: "flickering",
      payload: Buffer.from(JSON.stringify(elements)),
      ingested_at_us: polled_at_us,
    });
  }
  return records;
}

interface TickOptions {
  seed: number;
  source: string;
  product: string;
  count: number;
}

const TICK_DIRT: readonly string[] = ['"price":null', '"price":"-1"', '"price":0', '"prize":1', '"price":"free"'];

/** Trades about every two minutes, at unique microseconds; one in twelve is invalid. */
function ticksOf({ seed, source, product, count }: TickOptions): SourceRecord[] {
  const records: SourceRecord[] = [];
  let price_usd = 100;
  let traded_at_us = START_US + 7 + (seed % 100);
  for (let number = 0; number < count; number += 1) {
    traded_at_us += Math.floor(uniform(seed, DRAW.gap, number) * 240) * SECOND_US + 1000;
    price_usd *= 1 + (uniform(seed, DRAW.price, number) - 0.5) / 20;
    const dirt = uniform(seed, DRAW.dirt, number) * 12;
    const price = dirt < 1 ? TICK_DIRT[Math.floor(dirt * TICK_DIRT.length)] : `"price":"${price_usd.toFixed(6)}"`;
    const id = source === "venue" ? "" : `"id":${1000 + number},`;
    const volume = uniform(seed, DRAW.price, number, 1).toFixed(8);
    const payload = `{"product":"${product}",${id}${price},"volume":${volume},"time":"${isoFromMicros(traded_at_us)}"}`;
    const ingested_at_us = traded_at_us + Math.floor(uniform(seed, DRAW.time, number) * 2 * SECOND_US);
    records.push({ key: `${source} ${product}`, source, payload: Buffer.from(payload), ingested_at_us });
  }
  return records;
}

/** Delays one record in five by up to five minutes, and one in twenty beyond silver's limit. */
function delay(record: SourceRecord, draw: number): SourceRecord {
  if (draw >= 0.25) return record;
  const delay_s = draw >= 0.05 ? (draw - 0.05) * 1400 : 301 + draw * 20_000;
  return { ...record, ingested_at_us: record.ingested_at_us + Math.floor(delay_s * SECOND_US) };
}

/** Duplicates one record in ten: half of the duplicates unchanged, half as a later delivery. */
function secondArrival(record: SourceRecord, draw: number): SourceRecord[] {
  if (draw >= 0.1) return [];
  const delay_us = draw < 0.05 ? 0 : Math.floor(draw * 1000) * SECOND_US + 13;
  return [{ ...record, ingested_at_us: record.ingested_at_us + delay_us }];
}
