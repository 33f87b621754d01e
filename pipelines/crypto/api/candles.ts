import { z } from "@hono/zod-openapi";
import { OperatingError } from "../../../src/base/errors.ts";
import type { ApiResource, ReadTables, TableNaming } from "../../../src/pipeline/definition.ts";
import { trimDecimal } from "../../../src/pipeline/decimal-text.ts";
import { INTERVAL_S, INTERVALS, type Interval } from "../../../src/pipeline/intervals.ts";
import { decodeCursor, encodeCursor } from "../../../src/serve/cursor.ts";
import { Time } from "../../../src/serve/schemas/values.ts";
import { decimalOrNull, quote, time } from "./figures.ts";
import { Candles, type Candle } from "./schemas.ts";

const HOUR_S = 3_600;
const MINUTES = "silver.crypto_prices_clean";
const HOURS = "gold.fact_crypto_hourly";

const CandleQuery = z.object({
  interval: z.enum(INTERVALS).default("1h"),
  from: Time.optional().openapi({
    description: "Event time of the first candle; default: `limit` intervals before `to`",
  }),
  to: Time.optional().openapi({
    description: "Event time before which the last candle begins; default: the newest event",
  }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(5_000)
    .default(720)
    .openapi({ description: "Number of intervals to look back, including those without prices" }),
  at: Time.optional().openapi({ description: "Lake time: read the tables as of this time" }),
  cursor: z.string().max(200).optional(),
});

interface Span {
  from_ms: number;
  to_ms: number;
}

function sourceOf(interval: Interval): string {
  return INTERVAL_S[interval] < HOUR_S ? MINUTES : HOURS;
}

/**
 * Candles of up to 15 minutes are built from minutes, longer ones from hours; both are exact for every interval.
 * Returns the candles of one coin, or of all coins if `id` is null.
 */
function candlesSql(table: TableNaming, id: string | null, interval: Interval, { from_ms, to_ms }: Span): string {
  const source = sourceOf(interval);
  const [at, open, high, low, close, volume, date] =
    source === MINUTES
      ? ["minute_at", "price_first", "price_high", "price_low", "price", "traded_volume_usd", "price_date"]
      : ["hour_at", "open", "high", "low", "close", "total_volume", "hour_date"];
  const [from, to] = [from_ms, to_ms].map((at_ms) => `timestamptz '${new Date(at_ms).toISOString()}'`);
  return `
    select crypto_id,
      time_bucket(interval ${INTERVAL_S[interval]} second, ${at}, timestamptz '1970-01-01T00:00:00Z') as time,
      arg_min(${open}, ${at}) as open, max(${high}) as high, min(${low}) as low, arg_max(${close}, ${at}) as close,
      sum(${volume}) as volume, sum(price_updates) as price_updates
    from ${table(source)}
    where ${id === null ? "true" : `crypto_id = ${quote(id)}`} and ${at} >= ${from} and ${at} < ${to}
      and ${date} >= cast(${from} as date) and ${date} <= cast(${to} as date)
    group by 1, 2 order by 1, 2`;
}

function hasHours(tables: ReadTables): boolean {
  return tables.snapshots().some(({ table }) => table === HOURS);
}

/** Maximum candles of all coins that are computed for a request for one coin. */
const MOST_SHARED = 6;

/**
 * All hours but the last few are final: they are read from the table, which is much cheaper. The last ones are computed
 * from the live views for all coins at once; concurrent requests share the result.
 */
async function findCandles(
  tables: ReadTables,
  id: string,
  interval: Interval,
  { from_ms, to_ms }: Span,
): Promise<Candle[]> {
  const step_ms = INTERVAL_S[interval] * 1000;
  const { settled } = tables;
  const split_ms = Math.floor(Math.min(settled?.before_ms ?? -Infinity, to_ms) / step_ms) * step_ms;
  const is_shared =
    hasHours(tables) &&
    sourceOf(interval) === HOURS &&
    from_ms % step_ms === 0 &&
    to_ms % step_ms === 0 &&
    (to_ms - split_ms) / step_ms <= MOST_SHARED;
  if (settled === undefined || !is_shared || split_ms <= from_ms)
    return (await tables.rows(candlesSql(tables.table, id, interval, { from_ms, to_ms }))).map(candleOf);
  const live = { from_ms: split_ms, to_ms: split_ms + (MOST_SHARED + 1) * step_ms };
  const [of_table, of_all] = await Promise.all([
    tables.rows(candlesSql(settled.table, id, interval, { from_ms, to_ms: split_ms })),
    to_ms === split_ms
      ? []
      : tables.once(`candles ${interval} from ${split_ms}`, () =>
          tables.rows(candlesSql(tables.table, null, interval, live)),
        ),
  ]);
  const of_live = of_all.filter((row) => row["crypto_id"] === id).map(candleOf);
  return [...of_table.map(candleOf), ...of_live.filter((candle) => Date.parse(candle.time) < to_ms)];
}

function candleOf(row: Record<string, string | null>): Candle {
  return {
    time: time(row["time"] ?? ""),
    open: trimDecimal(row["open"] ?? ""),
    high: trimDecimal(row["high"] ?? ""),
    low: trimDecimal(row["low"] ?? ""),
    close: trimDecimal(row["close"] ?? ""),
    volume: decimalOrNull(row["volume"]),
    price_updates: Number(row["price_updates"]),
  };
}

/** After a long time without trades, the previous page ends at the last trade before; null if there is none. */
async function endBefore(
  { table, rows }: ReadTables,
  id: string,
  before_ms: number,
  step_ms: number,
): Promise<number | null> {
  const [found] = await rows(`
    select max(hour_at) as hour_at from ${table(HOURS)}
    where crypto_id = ${quote(id)} and hour_at < timestamptz '${new Date(before_ms).toISOString()}'`);
  if (found?.["hour_at"] == null) return null;
  return Math.min(before_ms, Date.parse(time(found["hour_at"])) + Math.max(step_ms, HOUR_S * 1000));
}

/** End of the candles. For the present, the newest event; for a past lake time, the coin's newest row in the table. */
async function newest(tables: ReadTables, id: string, interval: Interval): Promise<string | null> {
  if (tables.at === null) return tables.latest_event();
  const source = sourceOf(interval);
  const [found] = await tables.rows(
    `select max(${source === MINUTES ? "minute_at" : "hour_at"}) as newest from ${tables.table(source)}
      where crypto_id = ${quote(id)}`,
  );
  return found?.["newest"] ?? null;
}

/** The newest price since the start of a candle. */
async function lastPrice({ table, rows }: ReadTables, id: string, since: string): Promise<CandlePage["last_price"]> {
  const [found] = await rows(`
    select price, price_at, source from ${table(MINUTES)}
    where crypto_id = ${quote(id)} and minute_at >= timestamptz '${since}'
      and price_date >= cast(timestamptz '${since}' as date)
    order by minute_at desc limit 1`);
  if (found === undefined) return null;
  const { price, price_at, source } = found;
  return { price: trimDecimal(price ?? ""), price_at: time(price_at ?? ""), source: source ?? "" };
}

async function isKnown({ table, rows }: ReadTables, id: string): Promise<boolean> {
  return (
    (await rows(`select 1 as found from ${table("gold.dim_crypto")} where crypto_id = ${quote(id)} limit 1`)).length > 0
  );
}

export const candles: ApiResource = {
  path: "coins/{id}/candles",
  summary: "Candles of one coin, by id, symbol or name, oldest first",
  description:
    "`next` is the cursor of the candles before these, which may be empty. With `at`, reads the tables as of that " +
    "time; without it, includes records that arrived since the last commit.",
  params: z.object({ id: z.string().max(200) }),
  query: CandleQuery,
  response: Candles,
  fresh_ms: 500,
  lakeTime: ({ query }) => CandleQuery.parse(query).at ?? null,
  async answer({ params, query }, tables) {
    const given = params["id"] ?? "";
    // Usually an id: names are resolved only if the id has no rows.
    const found = await answerOf(given, query, tables);
    if (found.items.length > 0 || !tables.has("gold.dim_crypto") || (await isKnown(tables, given))) return found;
    const id = await idOf(tables, given);
    return id === null ? found : answerOf(id, query, tables);
  },
};

/** A coin that the lake did not know at that time is not an error: it had no candles. */
async function idOf(tables: ReadTables, given: string): Promise<string | null> {
  try {
    return await tables.subject(given);
  } catch (error) {
    if (tables.at !== null && error instanceof OperatingError && error.code === "SUBJECT_NOT_FOUND") return null;
    throw error;
  }
}

type CandlePage = z.output<typeof Candles>;

async function answerOf(id: string, query: unknown, tables: ReadTables): Promise<CandlePage> {
  const request = CandleQuery.parse(query);
  const read = tables.snapshots().filter(({ table }) => table === sourceOf(request.interval));
  const frame = { interval: request.interval, at: tables.at, snapshots: read };
  // Empty if the table did not exist yet, or before the lake's first event.
  const latest = tables.at !== null && read.length === 0 ? null : await newest(tables, id, request.interval);
  if (latest === null) return { ...frame, items: [], last_price: null, next: null };
  const step_ms = INTERVAL_S[request.interval] * 1000;
  const end = decodeCursor(request.cursor, z.int()) ?? (request.to === undefined ? null : Date.parse(request.to));
  const to_ms = end ?? (Math.floor(Date.parse(time(latest)) / step_ms) + 1) * step_ms;
  const longest_ms = Math.ceil(to_ms / step_ms) * step_ms - request.limit * step_ms;
  const asked_ms = request.from === undefined ? longest_ms : Date.parse(request.from);
  const from_ms = Math.max(asked_ms, longest_ms);
  const is_paged = tables.at === null || hasHours(tables);
  const found = from_ms < to_ms ? await findCandles(tables, id, request.interval, { from_ms, to_ms }) : [];
  const last = found.at(-1);
  // Read after the candles, so it is never older than the last close.
  const last_price = tables.at === null && end === null && last ? await lastPrice(tables, id, last.time) : null;
  const has_more = is_paged && (from_ms > asked_ms || request.from === undefined);
  const next_ms = !has_more ? null : found.length > 0 ? from_ms : await endBefore(tables, id, from_ms, step_ms);
  return { ...frame, items: found, last_price, next: next_ms === null ? null : encodeCursor(next_ms) };
}
