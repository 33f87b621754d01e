import { OperatingError } from "../../src/base/errors.ts";
import { epochTime, FileTimes } from "../../src/producer/epoch.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import type { Line } from "./lines.ts";
import { MAX_CHUNK_RECORDS, unreadable, type Recording } from "./recording.ts";

/**
 * Candles as comma-separated text: `symbol|pair,open_time_ms,open,high,low,close,volume`, with lines in any order.
 * Times are milliseconds, or seconds, microseconds or nanoseconds, which their magnitude determines; a file has one
 * unit.
 *
 * A candle of length L that starts at t yields four ticks: open at t, low at t + L/3, high at t + 2L/3, close at
 * t + L - 1 ms; the close has the volume. L is the smallest distance between two candles of the file. Prices and volume
 * keep the file's text. The ticks of the whole file are in time order (ties: in line order), so the clock never steps
 * back. If lines repeat a symbol and a start, the last line is the valid revision: its ticks precede those of the other
 * lines, because silver accepts the first event of an identity. Silver counts the ticks of the other lines as
 * duplicates or conflicts. A malformed line is passed unchanged, at the start time of the last well-formed candle above
 * it.
 */
const HEADER = /^(?:symbol|pair),open_time_ms,open,high,low,close,volume$/i;

/** A candle file is held in memory, because it may be ordered by symbol while ticks are needed by time. */
const MAX_CANDLES_BYTES = 256 * 1024 * 1024;

/** The length of a candle without a neighbour. */
const LONE_CANDLE_MS = 60_000;

const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const POSITIONS = ["open", "low", "high", "close"] as const;

const utf8 = new TextDecoder("utf-8", { fatal: true });

export function isCandleHeader(line: Buffer): boolean {
  return HEADER.test(line.toString("utf8").replace(/^\uFEFF/, ""));
}

/**
 * `fallback_us` is the clock if no line of the file has a time. Throws FILE_TOO_LARGE, TIME_UNITS_MIXED or
 * TIME_OUT_OF_RANGE.
 */
export async function openCandles(lines: AsyncIterable<Line[]>, fallback_us: number): Promise<Recording> {
  const table = await readTable(lines, Math.floor(fallback_us / 1000));
  const order = Uint32Array.from(table.opens_ms.keys()).sort((a, b) => openAt(table, a) - openAt(table, b) || a - b);
  putRevisionsFirst(table, order);
  const length_ms = candleLength(table, order);
  const candles = table.are_candles.filter(Boolean).length;
  return {
    total: table.opens_ms.length + (POSITIONS.length - 1) * candles,
    async *records(from) {
      yield* ticks(table, order, length_ms, from);
    },
  };
}

/**
 * The file's lines below the header, column by column: one object per line would use several times the memory of the
 * text.
 */
interface Table {
  text: Buffer;
  /** End of each line in the text; a line starts where the previous line ends. */
  ends: number[];
  /** Start of the candle; for a malformed line, start of the last candle above it. */
  opens_ms: number[];
  are_candles: boolean[];
}

async function readTable(lines: AsyncIterable<Line[]>, fallback_ms: number): Promise<Table> {
  const table: Table = { text: Buffer.alloc(0), ends: [], opens_ms: [], are_candles: [] };
  const blocks: Buffer[] = [];
  let size_bytes = 0;
  let clock_ms = NaN;
  let is_header_behind = false;
  const times = new FileTimes();
  for await (const some of lines) {
    const rows = is_header_behind ? some : some.slice(1);
    for (const { number, bytes, is_torn } of rows) {
      const open_ms = is_torn ? null : candleTime(bytes, number, times);
      clock_ms = open_ms ?? clock_ms;
      size_bytes += bytes.length;
      table.ends.push(size_bytes);
      table.opens_ms.push(clock_ms);
      table.are_candles.push(open_ms !== null);
    }
    is_header_behind = true;
    if (size_bytes > MAX_CANDLES_BYTES) throw tooLarge();
    blocks.push(Buffer.concat(rows.map(({ bytes }) => bytes)));
  }
  times.check();
  const first_ms = table.opens_ms.find((open_ms) => !Number.isNaN(open_ms)) ?? fallback_ms;
  return {
    ...table,
    text: Buffer.concat(blocks),
    opens_ms: table.opens_ms.map((open_ms) => (Number.isNaN(open_ms) ? first_ms : open_ms)),
  };
}

/** Start of the candle in milliseconds; null if the line is malformed. Throws TIME_OUT_OF_RANGE. */
function candleTime(line: Buffer, line_number: number, times: FileTimes): number | null {
  let text: string;
  try {
    text = utf8.decode(line);
  } catch {
    return null;
  }
  const [product, time = "", ...numbers] = text.split(",");
  if (product === "" || numbers.length !== 5 || !/^\d+$/.test(time)) return null;
  if (!numbers.every((number) => NUMBER.test(number))) return null;
  const found = epochTime(time);
  if (found === null) return null;
  times.note(line_number, time, found.at_us, found.unit);
  return Math.floor(found.at_us / 1000);
}

/** The smallest distance between two candles of different times; `order` sorts them by time. */
function candleLength(table: Table, order: Uint32Array): number {
  let length_ms = Infinity;
  let before_ms = NaN;
  for (const index of order) {
    if (table.are_candles[index] !== true) continue;
    const open_ms = openAt(table, index);
    if (open_ms > before_ms) length_ms = Math.min(length_ms, open_ms - before_ms);
    before_ms = open_ms;
  }
  return Number.isFinite(length_ms) ? length_ms : LONE_CANDLE_MS;
}

/**
 * Within each run of lines with one start, reverses the lines of a symbol that occurs more than once, so that the last
 * line is first.
 */
function putRevisionsFirst(table: Table, order: Uint32Array): void {
  for (let from = 0, until = 0; from < order.length; from = until) {
    const open_ms = openAt(table, order[from] ?? 0);
    const places_by_symbol = new Map<string, number[]>();
    for (until = from; until < order.length && openAt(table, order[until] ?? 0) === open_ms; until += 1) {
      const index = order[until] ?? 0;
      if (table.are_candles[index] !== true) continue;
      const symbol = symbolOf(lineAt(table, index));
      const places = places_by_symbol.get(symbol);
      if (places === undefined) places_by_symbol.set(symbol, [until]);
      else places.push(until);
    }
    for (const places of places_by_symbol.values()) {
      const lines = places.map((place) => order[place] ?? 0);
      for (const place of places) order[place] = lines.pop() ?? 0;
    }
  }
}

/** One of the four cursors over the candles in time order. */
interface Cursor {
  name: (typeof POSITIONS)[number];
  /** Delay of this tick after the start of its candle. */
  delay_ms: number;
  next: number;
}

/**
 * The four ticks of every candle have fixed delays after its start, so the opens are already in order, and so are the
 * lows, the highs and the closes. Four cursors over the same candles therefore merge them without a second sort: the
 * earliest cursor advances next.
 */
function* ticks(table: Table, order: Uint32Array, length_ms: number, from: number): Generator<SourceRecord[]> {
  const delays_ms = [0, Math.floor(length_ms / 3), Math.floor((2 * length_ms) / 3), length_ms - 1];
  const cursors = POSITIONS.map((name, position): Cursor => ({ name, delay_ms: delays_ms[position] ?? 0, next: 0 }));
  let number = 0;
  let chunk: SourceRecord[] = [];
  for (;;) {
    const cursor = earliest(table, order, cursors);
    const index = order[cursor.next];
    if (index === undefined) break;
    cursor.next += 1;
    const is_candle = table.are_candles[index] === true;
    if (!is_candle && cursor.name !== "open") continue;
    number += 1;
    if (number <= from) continue;
    chunk.push(is_candle ? tick(table, index, cursor) : unreadable(lineAt(table, index), openAt(table, index) * 1000));
    if (chunk.length < MAX_CHUNK_RECORDS) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/** For ticks of equal time, the tick of the earlier candle is first, then the tick that is earlier in its candle. */
function earliest(table: Table, order: Uint32Array, cursors: readonly Cursor[]): Cursor {
  return cursors.reduce((best, cursor) => {
    const lead_ms = tickAt(table, order, best) - tickAt(table, order, cursor);
    return lead_ms > 0 || (lead_ms === 0 && cursor.next < best.next) ? cursor : best;
  });
}

function tickAt(table: Table, order: Uint32Array, { next, delay_ms }: Cursor): number {
  const index = order[next];
  return index === undefined ? Infinity : openAt(table, index) + delay_ms;
}

function tick(table: Table, index: number, { name, delay_ms }: Cursor): SourceRecord {
  const [product = "", open_time = "", open, high, low, close, volume] = lineAt(table, index)
    .toString("utf8")
    .split(",");
  const price = { open, high, low, close }[name] ?? "";
  const traded = name === "close" ? `,"volume":"${volume}"` : "";
  const at_ms = openAt(table, index) + delay_ms;
  const time = new Date(at_ms).toISOString();
  const identity = `"type":"tick","product":${JSON.stringify(product)},"time":"${time}"`;
  const text = `{${identity},"price":"${price}"${traded},"id":"${open_time}-${name}"}`;
  return { key: product, source: "replay", payload: Buffer.from(text), ingested_at_us: at_ms * 1000 };
}

function symbolOf(line: Buffer): string {
  return line.toString("utf8", 0, line.indexOf(","));
}

function openAt(table: Table, index: number): number {
  return table.opens_ms[index] ?? 0;
}

function lineAt(table: Table, index: number): Buffer {
  return table.text.subarray(index === 0 ? 0 : table.ends[index - 1], table.ends[index]);
}

function tooLarge(): OperatingError {
  const limit = `${MAX_CANDLES_BYTES / 1024 / 1024} MiB`;
  return new OperatingError("FILE_TOO_LARGE", `The candle file exceeds ${limit} after decompression`, {
    next_step: "Split it by time into smaller files, and replay them one after the other into the same lake.",
  });
}
