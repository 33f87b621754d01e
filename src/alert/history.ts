import { parsePartitionKey, type LogOffsets } from "../log/offsets.ts";
import { isoFromMicros } from "../base/clock.ts";
import type { Pipeline, Tick } from "../pipeline/definition.ts";
import { eventOrder } from "../pipeline/event-order.ts";
import { unitsOf } from "./evaluate/decimal.ts";

/** Next offsets by `<topic>/<partition>`; an absent partition counts as offset 0. */
export interface TickRange {
  /** Records at or after these offsets. */
  from?: LogOffsets;
  /** Records before these offsets; by default all. */
  before?: LogOffsets;
  /** Event times in microseconds UTC, `since_us` inclusive, `until_us` exclusive. */
  since_us?: number;
  until_us?: number;
}

/** The accepted ticks of a lake: records in log order, and the ticks of a record in event order. */
export interface TickHistory {
  /** Pages in bounded memory. A page ends at the end of a record and is never empty. */
  pages(range: TickRange): AsyncIterable<readonly Tick[]>;
  /** Event time of the newest tick before the offsets; null where there is none. */
  newest_us(before: LogOffsets): Promise<number | null>;
}

type PipelineTables = Pick<Pipeline, "reconciliation" | "live" | "topic">;

export interface SqlHistoryOptions {
  query(sql: string): Promise<{ rows: (string | null)[][] }>;
  pipeline: PipelineTables;
  /** live: the tables and the live tail; tables: the tables of the session. */
  over: "live" | "tables";
  /** Rows of one read, which blocks the event loop. */
  page_rows?: number;
}

const PAGE_ROWS = 8_192;
/** Records in a slice, the unit of a page: a record may hold hundreds of elements. */
const SLICE_RECORDS = 64;

export function sqlHistory({ query, pipeline, over, page_rows = PAGE_ROWS }: SqlHistoryOptions): TickHistory {
  const { columns } = pipeline.live;
  const table =
    over === "live" ? pipeline.reconciliation.accepted.replace(/^[^.]+/, "live") : pipeline.reconciliation.accepted;
  const sql = {
    pages: (where: string) =>
      `select log_partition, log_offset // ${SLICE_RECORDS} as slice, count(*)
      from ${table} where ${where} group by all order by all`,
    page: (where: string) => `
      select ${columns.subject}, ${columns.source}, ${columns.value}::varchar, ${columns.amount}::varchar,
        epoch_us(${columns.at}), epoch_us(ingested_at), log_partition, log_offset, element_index,
        ${columns.product}, ${columns.number}::varchar
      from ${table} where ${where} order by log_partition, log_offset, ${eventOrder(columns).join(", ")}`,
    newest: (where: string) => `select epoch_us(max(${columns.at})) from ${table} where ${where}`,
  };
  return {
    async *pages(range) {
      const where = whereOf(range, pipeline);
      for (const page of pagesOf((await query(sql.pages(where))).rows, page_rows)) {
        const { rows } = await query(sql.page(`${where} and ${page}`));
        if (rows.length > 0) yield rows.map(tickOf);
      }
    },
    async newest_us(before) {
      const newest = (await query(sql.newest(whereOf({ before }, pipeline)))).rows[0]?.[0] ?? null;
      return newest === null ? null : Number(newest);
    },
  };
}

function whereOf(
  { from, before, since_us, until_us }: TickRange,
  { live: { columns }, topic }: PipelineTables,
): string {
  const conditions = [
    from === undefined ? "true" : `not (${inPartitions(from, topic.name)})`,
    before === undefined ? "true" : `(${inPartitions(before, topic.name)})`,
  ];
  // The tables are partitioned by date: the condition prunes whole files.
  if (since_us !== undefined)
    conditions.push(`${columns.at} >= ${literal(since_us)} and ${columns.date} >= date '${dayOf(since_us)}'`);
  if (until_us !== undefined)
    conditions.push(`${columns.at} < ${literal(until_us)} and ${columns.date} <= date '${dayOf(until_us)}'`);
  return conditions.join(" and ");
}

/** Records before the offsets. */
function inPartitions(offsets: LogOffsets, topic: string): string {
  const parts = Object.entries(offsets).map(([key, next]) => {
    const { topic: name, partition } = parsePartitionKey(key);
    return name === topic ? `(log_partition = ${partition} and log_offset < ${next})` : "false";
  });
  return parts.length === 0 ? "false" : parts.join(" or ");
}

/** Combines slices of one partition into pages of about `page_rows` rows, as SQL conditions. */
function pagesOf(slices: readonly (string | null)[][], page_rows: number): string[] {
  const pages: { partition: number; first: number; last: number; rows: number }[] = [];
  for (const [partition = 0, slice = 0, rows = 0] of slices.map((row) => row.map(Number))) {
    const page = pages.at(-1);
    if (page?.partition === partition && page.rows + rows <= page_rows) {
      page.last = slice;
      page.rows += rows;
    } else pages.push({ partition, first: slice, last: slice, rows });
  }
  return pages.map(({ partition, first, last }) => {
    const [from, to] = [first * SLICE_RECORDS, (last + 1) * SLICE_RECORDS];
    return `log_partition = ${partition} and log_offset >= ${from} and log_offset < ${to}`;
  });
}

function tickOf(row: readonly (string | null)[]): Tick {
  const [subject, source, value, amount, at_us, ingested_at_us, partition, offset, element_index, product, number] =
    row;
  return {
    subject: subject ?? "",
    source: source ?? "",
    value: unitsOf(value ?? ""),
    amount: amount === null || amount === undefined ? null : unitsOf(amount),
    at_us: Number(at_us),
    ingested_at_us: Number(ingested_at_us),
    partition: Number(partition),
    offset: Number(offset),
    element_index: Number(element_index),
    product: product ?? null,
    number: number === null || number === undefined ? null : BigInt(number),
  };
}

/** The ticks that fill the windows after a restart: those before `before`, from `span_us` before the newest of them. */
export async function* windowPages(
  history: TickHistory,
  before: LogOffsets,
  span_us: number,
): AsyncIterable<readonly Tick[]> {
  const newest_us = await history.newest_us(before);
  if (newest_us === null) return;
  yield* history.pages({ before, since_us: newest_us - span_us });
}

function literal(at_us: number): string {
  return `timestamptz '${isoFromMicros(at_us)}'`;
}

function dayOf(at_us: number): string {
  return isoFromMicros(at_us).slice(0, 10);
}
