import {
  ARRIVING,
  BRONZE_COLUMNS,
  TAIL,
  type Statements,
  type TailDatabase,
  type TailValue,
} from "../duckdb/tail-database.ts";
import type { LogRecord } from "../log/log.ts";
import type { LogOffsets } from "../log/offsets.ts";
import { TICK_DECIMALS, type LiveDefinition, type Tick } from "../pipeline/definition.ts";
import { compareEvents, compareLogPosition, eventOrder } from "../pipeline/event-order.ts";
import {
  bind,
  emptyLike,
  isPast,
  DUPLICATE_LOOKUP,
  quote,
  tableAt,
  withoutCopies,
  type PinnedTable,
} from "./bindings.ts";
import type { CompiledRelation } from "../transform/worker.ts";
import { HighWaterMarks } from "./high-water-marks.ts";
import { MINUTE_US, MinuteCoverage } from "./minute-coverage.ts";
import { tableName, tableOf, type LiveShape } from "./shape.ts";

/** Amounts are larger than values, so they have fewer decimals, which leaves more digits before the point. */
const AMOUNT_DECIMALS = 18;
const AMOUNT_UNIT = 10n ** BigInt(TICK_DECIMALS - AMOUNT_DECIMALS);

/** Payload bytes from which on a tail is deleted from when it is trimmed; a copy would need its memory twice. */
const COPIED_BYTES = 2 * 1024 * 1024;

/** An element that is accepted unless it is a duplicate. */
export interface Candidate extends Tick {
  /** UTC date of the event, as text. */
  date: string;
  /** The sequence that the source's number belongs to: source and product. */
  sequence_key: string;
  has_timestamp_identity: boolean;
}

/** The next input from one partition: records of the log, or a range of bronze where the log has pruned them. */
export type Arrival = { partition: number; from: number } & (
  | { kind: "log"; records: readonly LogRecord[] }
  | { kind: "bronze"; bronze: PinnedTable; to: number }
);

/** The prepared statements of one batch, in order. */
interface Steps {
  /** Returns the elements, each with a flag that says whether it is a candidate. */
  parse: Statements;
  /** Accepts all candidates: for batches in which no candidate can be a duplicate. */
  accept_new: Statements;
  /** Accepts candidates after the search for duplicates. */
  accept: Statements;
  others: Statements;
}

/**
 * Records that the tables have not consumed, parsed once, with the verdict on each element, by the same SQL as dbt's.
 * `tail.main.<accepted>` is complete by minute: where it holds a row of a subject's minute, it holds all accepted rows
 * of that minute, including older ones from the table. Minutes are aggregated from it, and duplicates are recognised in
 * it.
 */
export class Tail {
  readonly #db: TailDatabase;
  readonly #live: LiveDefinition;
  readonly #shape: LiveShape;
  readonly #topic: string;
  readonly #accepted_table: string;
  readonly #marks = new HighWaterMarks();
  readonly #coverage: MinuteCoverage;
  #steps: Steps | null = null;
  #oldest_us = Infinity;
  #records = 0;
  #size_bytes = 0;
  /**
   * Whether the duplicate lookup has rows. It is emptied before the next search, so that no row is both there and in
   * the tail.
   */
  #has_lookup_rows = false;
  /** Whether the arriving tables hold rows of a failed batch, which is read again. */
  #has_arrived = false;

  constructor(db: TailDatabase, parts: { live: LiveDefinition; shape: LiveShape; topic: string }) {
    this.#db = db;
    this.#live = parts.live;
    this.#shape = parts.shape;
    this.#topic = parts.topic;
    this.#accepted_table = tailTable(parts.shape.accepted);
    this.#coverage = new MinuteCoverage();
  }

  /** The number of records in the tail, and the bytes of their payloads. */
  get size(): { records: number; size_bytes: number } {
    return { records: this.#records, size_bytes: this.#size_bytes };
  }

  /** Event time of the oldest accepted row that a table has not consumed; null where there is none. */
  get oldest_at_us(): number | null {
    return this.#oldest_us === Infinity ? null : this.#oldest_us;
  }

  /** Creates the tail's tables. `accepted` is the pinned table of accepted rows. */
  async open(accepted: PinnedTable): Promise<void> {
    const { bronze, seeds, elements, others } = this.#shape;
    for (const table of [tailTable(bronze), arrivingTable(bronze)])
      await this.#db.run(`CREATE TABLE ${table} (${BRONZE_COLUMNS})`);
    const makes = [
      [tailTable(elements), elements],
      [arrivingTable(elements), elements],
      [this.#accepted_table, this.#shape.accepted],
      [DUPLICATE_LOOKUP, this.#shape.accepted],
      ...[...others, ...seeds].map((model) => [tailTable(model), model] as const),
    ] as const;
    for (const [table, model] of makes) await this.#db.run(`CREATE TABLE ${table} AS ${emptyLike(model)}`);
    if (accepted.snapshot_id !== null) {
      const [[newest_us] = []] = await this.#db.read(
        `select epoch_us(max(${this.#live.columns.at})) from ${this.#tableAt(accepted)}`,
      );
      if (typeof newest_us === "number") this.#coverage.beginAfter(newest_us);
    }
    await this.#prepare();
  }

  /**
   * Begins after records that the tail left to the tables: those at or past `from` and before `to`, which every table
   * has consumed. All of the tail's rows are older and are dropped. Returns the newest of these ticks of each subject.
   */
  async beginAfter(from: LogOffsets, to: LogOffsets, accepted: PinnedTable): Promise<Tick[]> {
    const { bronze, elements, others } = this.#shape;
    const tables = [...[bronze, elements, ...others].map(tailTable), this.#accepted_table, ...this.#batchTables()];
    const { ticks, newest_us } = await this.#db.transact(async () => {
      const newest = await this.#newestBetween(from, to, accepted);
      const [[held_us] = []] = await this.#db.read(
        `select epoch_us(max(${this.#live.columns.at})) from ${this.#accepted_table}`,
      );
      await this.#db.run(tables.map((table) => copyRows(table, "false")).join("; "));
      const known = [held_us, ...newest.map(({ at_us }) => at_us)].filter((at_us) => typeof at_us === "number");
      return { ticks: newest, newest_us: Math.max(...known) };
    });
    this.#coverage.restartAfter(newest_us);
    this.#marks.clear();
    this.#has_lookup_rows = false;
    this.#oldest_us = Infinity;
    this.#records = 0;
    this.#size_bytes = 0;
    return ticks;
  }

  /** The newest accepted tick of each subject among the records at or past `from` and before `to`, in event order. */
  async #newestBetween(from: LogOffsets, to: LogOffsets, accepted: PinnedTable): Promise<Tick[]> {
    if (accepted.snapshot_id === null) return [];
    const order = eventOrder(this.#live.columns).map((column) => `${column} desc`);
    // The comparison with one number lets DuckDB pass over files; the offsets of each partition decide.
    const first = Math.min(...Object.keys(to).map((partition) => from[partition] ?? 0));
    const rows = await this.#db.read(
      `select ${this.#tickColumns()} from ${this.#tableAt(accepted)}
       where log_offset >= ${first} and ${isPast(from)} and not (${isPast(to)})
       qualify row_number() over (partition by ${this.#live.columns.subject} order by ${order.join(", ")}) = 1`,
    );
    return rows.map(tickOf).sort(compareEvents);
  }

  /** Replaces a seed's rows by those of its pinned table. */
  async takeSeed(seed: LiveShape["seeds"][number], bound: PinnedTable): Promise<void> {
    await this.#db.run(
      `DELETE FROM ${tailTable(seed)}; INSERT INTO ${tailTable(seed)} BY NAME ${tableAt(seed, bound)}`,
    );
  }

  /**
   * Parses a batch and decides on each element, atomically: no query sees a part of it. `from` is the tail's offsets;
   * rows of the accepted table at or past them are still to be absorbed and do not count as duplicates. Returns the
   * accepted ticks in the log's order, and within a record in the order of events.
   */
  async absorb(arrival: Arrival, from: LogOffsets, accepted: PinnedTable): Promise<Tick[]> {
    const steps = this.#steps;
    if (steps === null) throw new Error("the tail is not open");
    const arrived = await this.#fill(arrival);
    let candidates: Candidate[] = [];
    const ticks = await this.#db.transact(async () => {
      candidates = (await steps.parse.read())
        .filter(([is_candidate]) => is_candidate === true)
        .map(candidateOf)
        .sort(compareLogPosition);
      await this.#loadMissingMinutes(candidates, from, accepted);
      const has_doubtful = await this.#loadPossibleDuplicates(candidates, from, accepted);
      if (!has_doubtful) {
        await steps.accept_new.runAndCommit();
        return candidates;
      }
      if ((await steps.accept.run()) === candidates.length) return candidates;
      await steps.others.run();
      return this.#acceptedOf(candidates, arrival);
    });
    this.#has_arrived = false;
    this.#records += arrived.records;
    this.#size_bytes += arrived.size_bytes;
    for (const { at_us } of candidates) this.#oldest_us = Math.min(this.#oldest_us, at_us);
    this.#coverage.hold(candidates);
    this.#marks.advance(candidates);
    return ticks;
  }

  /**
   * Removes rows that every table has consumed, except minutes that still receive rows. Runs in the caller's
   * transaction. `has_deleted` says whether only a checkpoint frees the memory of the removed rows.
   */
  async trim(absorbed: LogOffsets): Promise<{ committed(): void; has_deleted: boolean }> {
    const { at } = this.#live.columns;
    const [[oldest_us, newest_us] = []] = await this.#db.read(
      `select epoch_us(min(${at}) filter (where ${isPast(absorbed)})), ` +
        `epoch_us(max(${at})) from ${this.#accepted_table}`,
    );
    const cut_us = this.#coverage.cutBefore(oldest_us as number | null, newest_us as number | null);
    const { bronze, elements, others } = this.#shape;
    const kept = [
      ...[bronze, elements, ...others].map((model) => [tailTable(model), isPast(absorbed)] as const),
      [this.#accepted_table, `${isPast(absorbed)} or ${at} >= ${timeLiteral(cut_us)}`] as const,
    ];
    const has_deleted = this.#size_bytes >= COPIED_BYTES;
    const keep = has_deleted ? deleteOthers : copyRows;
    const statements = kept.map(([table, condition]) => keep(table, condition));
    // Each batch leaves its deleted rows behind until a checkpoint: 60 MB after twenty minutes of a slow stream.
    if (!has_deleted) statements.push(...this.#batchTables().map((table) => copyRows(table, "false")));
    await this.#db.run(statements.join("; "));
    const left = await this.#count(tailTable(bronze));
    const committed = (): void => {
      this.#coverage.forgetBefore(cut_us);
      this.#oldest_us = (oldest_us as number | null) ?? Infinity;
      this.#records = left.records;
      this.#size_bytes = left.size_bytes;
    };
    return { committed, has_deleted };
  }

  /** The tables whose rows only the batch in progress needs. */
  #batchTables(): string[] {
    const { bronze, elements } = this.#shape;
    return [arrivingTable(bronze), arrivingTable(elements), DUPLICATE_LOOKUP];
  }

  async #prepare(): Promise<void> {
    const { bronze, seeds, elements, accepted, others } = this.#shape;
    const local = seeds.map((seed) => [seed.relation, tailTable(seed)] as const);
    const insert = (into: string, model: CompiledRelation, binding: (readonly [string, string])[]) =>
      `INSERT INTO ${into} BY NAME ${bind(model, new Map([...local, ...binding]), {})}`;
    const judged = [elements.relation, arrivingTable(elements)] as const;
    const known = `(select * from ${this.#accepted_table} union all by name select * from ${DUPLICATE_LOOKUP})`;
    const take_in = [
      ...[bronze, elements].map((model) => `INSERT INTO ${tailTable(model)} FROM ${arrivingTable(model)}`),
      `DELETE FROM ${arrivingTable(bronze)}`,
    ];
    this.#steps = {
      parse: await this.#db.prepare(
        `DELETE FROM ${arrivingTable(elements)}`,
        `${insert(arrivingTable(elements), elements, [[bronze.relation, arrivingTable(bronze)]])} ` +
          `RETURNING ${this.#candidateColumns()}`,
      ),
      accept_new: await this.#db.prepare(...take_in, insert(this.#accepted_table, withoutCopies(accepted), [judged])),
      accept: await this.#db.prepare(
        ...take_in,
        insert(this.#accepted_table, accepted, [judged, [accepted.relation, known]]),
      ),
      others: await this.#db.prepare(
        ...others.map((model) => insert(tailTable(model), model, [judged, [accepted.relation, known]])),
      ),
    };
  }

  async #fill(arrival: Arrival): Promise<{ records: number; size_bytes: number }> {
    const table = arrivingTable(this.#shape.bronze);
    if (this.#has_arrived) await this.#db.run(`DELETE FROM ${table}`);
    this.#has_arrived = true;
    if (arrival.kind === "log") {
      const { records } = arrival;
      await this.#db.append(table, this.#topic, records);
      return { records: records.length, size_bytes: records.reduce((sum, { payload }) => sum + payload.length, 0) };
    }
    const { bronze, partition, from, to } = arrival;
    const range = `log_topic = ${quote(this.#topic)} AND log_partition = ${partition} AND log_offset >= ${from}`;
    await this.#db.run(
      `INSERT INTO ${table} BY NAME ${tableAt(this.#shape.bronze, bronze)} WHERE ${range} AND log_offset < ${to}`,
    );
    return this.#count(table);
  }

  async #count(table: string): Promise<{ records: number; size_bytes: number }> {
    const [[records, size_bytes] = []] = await this.#db.read(
      `select count(*), coalesce(sum(payload_size_bytes), 0)::bigint from ${table}`,
    );
    return { records: Number(records), size_bytes: Number(size_bytes) };
  }

  /** The columns of an element that `candidateOf` reads. */
  #candidateColumns(): string {
    const { columns, is_candidate, has_timestamp_identity } = this.#live;
    return `${is_candidate}, ${columns.date}::varchar, ${has_timestamp_identity}, ${this.#tickColumns()}`;
  }

  /** The columns of an element or an accepted row that `tickOf` reads. */
  #tickColumns(): string {
    const { columns } = this.#live;
    return `${columns.subject}, ${columns.source}, ${columns.value}::decimal(38, ${TICK_DECIMALS}),
      ${columns.amount}::decimal(38, ${AMOUNT_DECIMALS}), epoch_us(${columns.at}), epoch_us(ingested_at),
      log_partition, log_offset, element_index, ${exactly(columns.number)}, ${columns.product}`;
  }

  /** Loads from the table the accepted rows of the candidates' minutes that the tail does not cover. */
  async #loadMissingMinutes(candidates: readonly Candidate[], from: LogOffsets, accepted: PinnedTable): Promise<void> {
    const missing = accepted.snapshot_id === null ? [] : this.#coverage.missing(candidates);
    if (missing.length === 0) return;
    const { subject, at, date } = this.#live.columns;
    const minutes = missing.map(({ minute_us }) => minute_us);
    const wanted = missing.map((minute) => `(${quote(minute.subject)}, ${minute.minute_us})`).join(", ");
    await this.#db.run(
      `INSERT INTO ${this.#accepted_table} BY NAME SELECT t.* FROM ${this.#tableAt(accepted)} AS t
       WHERE t.${date} IN (${dateLiterals(missing.map((minute) => minute.date))})
         AND t.${at} >= ${timeLiteral(Math.min(...minutes))}
         AND t.${at} < ${timeLiteral(Math.max(...minutes) + MINUTE_US)}
         AND (t.${subject}, epoch_us(t.${at}) // ${MINUTE_US} * ${MINUTE_US}) IN (${wanted}) AND not (${isPast(from)})`,
    );
  }

  /**
   * Loads from the table the events that candidates may duplicate, and returns whether there may be any. Most
   * candidates have a higher sequence number than all before, so that no search is needed.
   */
  async #loadPossibleDuplicates(
    candidates: readonly Candidate[],
    from: LogOffsets,
    accepted: PinnedTable,
  ): Promise<boolean> {
    const { columns } = this.#live;
    for (const date of this.#marks.unknownDates(candidates)) {
      const heads = await this.#db.read(
        `select ${columns.source}, ${columns.product}, ${exactly(`max(${columns.number})`)} from (
           select * from ${this.#tableAt(accepted)} as t where not (${isPast(from)})
          union all by name select * from ${this.#accepted_table}
         ) where ${columns.date} = date '${date}' and ${columns.number} is not null group by all`,
      );
      const learnt = heads.map(
        ([source, product, number]) => [sequenceKey(String(source), textOrNull(product)), number as bigint] as const,
      );
      this.#marks.learn(date, learnt);
    }
    const doubtful = candidates.filter((candidate) => this.#marks.mayBeCopy(candidate));
    if (doubtful.length === 0 && this.#marks.areStrictlyIncreasing(candidates)) return false;
    if (this.#has_lookup_rows) await this.#db.run(`DELETE FROM ${DUPLICATE_LOOKUP}`);
    if (doubtful.length === 0) return true;
    if (accepted.snapshot_id === null) return true;
    const wanted = doubtful
      .map(({ partition, offset, element_index }) => `(${partition}, ${offset}, ${element_index})`)
      .join(", ");
    const identities = [columns.identity, columns.former_identity].filter((name) => name !== undefined);
    const isInTail = (name: string) =>
      `exists (select 1 from ${this.#accepted_table} as hot ` +
      `where hot.${columns.identity} = arrived.${name} and hot.${columns.date} = arrived.${columns.date})`;
    const unknown = `select * from (
        select unnest([${identities.join(", ")}]) as wanted, ${columns.date}
        from ${arrivingTable(this.#shape.elements)} as arrived
        where (log_partition, log_offset, element_index) in (${wanted})
          and ${identities.map((name) => `not ${isInTail(name)}`).join(" and ")}
      ) where wanted is not null`;
    const [[count] = []] = await this.#db.read(`select count(*) from (${unknown})`);
    if (count === 0) return true;
    this.#has_lookup_rows = true;
    await this.#db.run(
      `INSERT INTO ${DUPLICATE_LOOKUP} BY NAME SELECT t.* FROM ${this.#tableAt(accepted)} AS t
       WHERE t.${columns.date} IN (${dateLiterals(doubtful.map(({ date }) => date))})
         AND (t.${columns.identity}, t.${columns.date}) IN (${unknown}) AND not (${isPast(from)})`,
    );
    return true;
  }

  /** The candidates of the last batch that were accepted. */
  async #acceptedOf(candidates: readonly Candidate[], { partition, from }: Arrival): Promise<Tick[]> {
    const rows = await this.#db.read(
      `select log_partition, log_offset, element_index from ${this.#accepted_table} ` +
        `where log_partition = ${partition} and log_offset >= ${from}`,
    );
    const accepted = new Set(rows.map((row) => row.join("/")));
    return candidates.filter(({ partition, offset, element_index }) =>
      accepted.has(`${partition}/${offset}/${element_index}`),
    );
  }

  #tableAt(accepted: PinnedTable): string {
    return `(${tableAt(this.#shape.accepted, accepted)})`;
  }
}

/**
 * SQL that replaces a table by its rows that meet the condition. After a checkpoint that follows deletions, DuckDB
 * allocates half a megabyte per column for the next few rows, 60 MB in all; a small table is copied instead.
 */
function copyRows(table: string, condition: string): string {
  return `CREATE OR REPLACE TABLE ${table} AS FROM ${table} WHERE ${condition}`;
}

function deleteOthers(table: string, condition: string): string {
  return `DELETE FROM ${table} WHERE not (${condition})`;
}

/** The tail's table for a model. */
export function tailTable(model: LiveShape["accepted"]): string {
  return `${TAIL}.${tableName(tableOf(model))}`;
}

/** The table that holds a model's rows of the batch in progress. */
function arrivingTable(model: LiveShape["accepted"]): string {
  return `${ARRIVING}.${tableName(tableOf(model))}`;
}

function candidateOf(row: readonly TailValue[]): Candidate {
  const [, date, has_timestamp_identity, ...columns] = row;
  const tick = tickOf(columns);
  return {
    ...tick,
    date: String(date),
    sequence_key: sequenceKey(tick.source, tick.product),
    has_timestamp_identity: has_timestamp_identity === true,
  };
}

function tickOf(row: readonly TailValue[]): Tick {
  const [subject, source, value, amount, at_us, ingested_at_us, partition, offset, element_index, number, product] =
    row;
  return {
    subject: String(subject),
    source: String(source),
    value: value as bigint,
    amount: amount === null ? null : (amount as bigint) * AMOUNT_UNIT,
    at_us: Number(at_us),
    ingested_at_us: Number(ingested_at_us),
    partition: Number(partition),
    offset: Number(offset),
    element_index: Number(element_index),
    number: number as bigint | null,
    product: textOrNull(product),
  };
}

/** A BIGINT as a decimal, which `read` returns without loss: JavaScript numbers are not exact beyond 2^53. */
function exactly(integer: string): string {
  return `${integer}::decimal(38, 0)`;
}

function sequenceKey(source: string, product: string | null): string {
  return `${source}|${product ?? ""}`;
}

function textOrNull(value: TailValue | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}

function timeLiteral(at_us: number): string {
  return `make_timestamptz(${at_us}::bigint)`;
}

function dateLiterals(dates: readonly string[]): string {
  return [...new Set(dates)].map((date) => `date '${date}'`).join(", ");
}
