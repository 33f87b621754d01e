import { OperatingError, messageOf } from "../base/errors.ts";
import { parsePartitionKey, type LogOffsets } from "../log/offsets.ts";
import type { PinnedTables } from "../duckdb/pinned.ts";
import type { PartitionBounds } from "../log/log.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { countConflicts } from "../query/conflicts.ts";
import { conditionOn } from "../ingest/lost-offsets.ts";
import { countOffsets } from "../ingest/offset-ranges.ts";
import type { Moment } from "../transform/moment.ts";

export interface Check {
  claim: string;
  is_true: boolean;
  /** The compared figures, in words. */
  evidence: string;
  /** Tables of the check, the dependent one first. */
  tables: string[];
}

export interface ReconciledFigures {
  checks: Check[];
  figures: {
    /** Number of log records that bronze lacks. */
    log_waiting: number;
    bronze_records: number;
    /** Number of bronze records that silver has not consumed. */
    silver_waiting: number;
    /** Sum of the element counts that the records state; each record has at least one. */
    elements: number;
    accepted: number;
    duplicates: number;
    /** Duplicates whose values differ from the accepted row. */
    conflicting: number;
    rejected: number;
    rejected_by_reason: Record<string, number>;
  };
}

/** The log's bounds before and after the state was chosen, because the log grows meanwhile. */
export interface LogBounds {
  before: readonly PartitionBounds[];
  after: readonly PartitionBounds[];
}

export interface Reconciliation extends ReconciledFigures {
  /**
   * Checks that were skipped because a table is missing or damaged, or that the engine could not run.
   */
  failures: { claim: string; tables: string[]; reason: string; is_left_out: boolean }[];
}

/**
 * Compares the layers of one moment by counts, keys and sums: log, bronze, silver, gold. `log` is null where the log
 * cannot be read. Tables that are not `readable` are left out.
 */
export async function reconcile(
  moment: Moment,
  tables: PinnedTables,
  pipeline: Pipeline,
  { log, readable }: { log: LogBounds | null; readable: ReadonlySet<string> },
): Promise<Reconciliation> {
  const reconciler = new Reconciler(moment, tables, pipeline, readable);
  // The offsets of a damaged bronze table are unknown.
  if (log !== null && !moment.damaged.includes(pipeline.bronze.table)) reconciler.checkLog(log);
  await reconciler.checkBronze();
  await reconciler.checkSilver();
  await reconciler.checkKeys();
  await reconciler.checkEqualFigures();
  return reconciler.result();
}

function tablesIn(sql: string): string[] {
  return sql.match(/\b(?:bronze|silver|gold)\.\w+/g) ?? [];
}

interface ElementCounts {
  records: number;
  elements: number;
  /** Number of elements with more than one verdict. */
  doubled: number;
  /** Number of records that lack an element. */
  incomplete: number;
}

/** Figures of a lake in which nothing could be counted. */
export function noFigures(): ReconciledFigures["figures"] {
  return {
    log_waiting: 0,
    bronze_records: 0,
    silver_waiting: 0,
    elements: 0,
    accepted: 0,
    duplicates: 0,
    conflicting: 0,
    rejected: 0,
    rejected_by_reason: {},
  };
}

class Reconciler {
  readonly #moment: Moment;
  readonly #session: PinnedTables;
  readonly #pipeline: Pipeline;
  readonly #readable: ReadonlySet<string>;
  readonly #checks: Check[] = [];
  readonly #failures: Reconciliation["failures"] = [];
  readonly #figures = noFigures();

  constructor(moment: Moment, session: PinnedTables, pipeline: Pipeline, readable: ReadonlySet<string>) {
    this.#moment = moment;
    this.#session = session;
    this.#pipeline = pipeline;
    this.#readable = readable;
  }

  result(): Reconciliation {
    return { checks: this.#checks, figures: this.#figures, failures: this.#failures };
  }

  #check(claim: string, tables: string[], is_true: boolean, evidence: string): void {
    this.#checks.push({ claim, is_true, evidence, tables });
  }

  /**
   * Runs a check of tables unless one is unreadable; an engine error is a failure of these tables.
   */
  async #ask(claim: string, tables: string[], work: () => Promise<void>): Promise<void> {
    const unread = tables.filter((table) => !this.#readable.has(table));
    if (unread.length > 0) {
      this.#failures.push({ claim, tables: unread, reason: `${unread.join(", ")} cannot be read`, is_left_out: true });
      return;
    }
    try {
      await work();
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      this.#failures.push({ claim, tables, reason: messageOf(error), is_left_out: false });
    }
  }

  async #count(sql: string): Promise<number> {
    return Number((await this.#session.figure(sql)) ?? 0);
  }

  checkLog({ before, after }: LogBounds): void {
    const { topic, bronze } = this.#pipeline;
    const committed = this.#moment.bronze;
    for (const { partition, end } of after) {
      const name = `${topic.name}/${partition}`;
      const next = committed[name] ?? 0;
      this.#figures.log_waiting += Math.max(0, end - next);
      this.#check(
        `bronze is not ahead of the log (${name})`,
        [bronze.table],
        next <= end,
        `committed up to ${next}, log ends at ${end}`,
      );
    }
    for (const { partition, begin } of before) {
      const name = `${topic.name}/${partition}`;
      const next = committed[name] ?? 0;
      this.#check(
        `the log forgot only what bronze has (${name})`,
        [bronze.table],
        begin <= next,
        `log begins at ${begin}, committed up to ${next}`,
      );
    }
    const missing = Object.keys(committed).filter(
      (name) => !after.some(({ partition }) => `${topic.name}/${partition}` === name),
    );
    if (missing.length > 0)
      this.#check(
        "the log has every partition that bronze has",
        [bronze.table],
        false,
        `none of ${missing.join(", ")}`,
      );
  }

  /**
   * Checks that bronze is a copy of the log without gaps and duplicates, up to the consumed offsets in its property.
   */
  async checkBronze(): Promise<void> {
    const { topic, bronze } = this.#pipeline;
    const tables = [bronze.table];
    for (const [name, next] of Object.entries(this.#moment.bronze)) {
      const { partition } = parsePartitionKey(name);
      const where = `log_topic = '${topic.name}' and log_partition = ${partition}`;
      await this.#ask(`bronze has no gap (${name})`, tables, async () => {
        const { rows, distinct, min, max } = await this.#countOffsets(bronze.table, where, next);
        this.#figures.bronze_records += rows;
        const lost = countOffsets(new Map([...this.#moment.lost].filter(([lost_in]) => lost_in === partition)));
        const is_whole = next === 0 || (min >= 0 && max < next && distinct === next - lost);
        const acknowledged = lost === 0 ? "" : `, ${lost} acknowledged as lost`;
        const gap =
          max >= next
            ? `rows up to ${max}, beyond the offsets`
            : `${next - lost - distinct} missing of ${next}${acknowledged}`;
        this.#check(`bronze has no gap (${name})`, tables, is_whole, gap);
        this.#check(
          `bronze has no duplicate (${name})`,
          tables,
          rows === distinct,
          `${rows - distinct} too many of ${rows}`,
        );
      });
    }
  }

  /**
   * Rows, distinct offsets and bounds of a partition. Compares the sum of hashes of the offsets with that of all
   * offsets below `next`, which takes one pass and little memory. Only if the sums differ, offsets are counted one by
   * one.
   */
  async #countOffsets(
    table: string,
    where: string,
    next: number,
  ): Promise<{ rows: number; distinct: number; min: number; max: number }> {
    const numbers = async (sql: string) =>
      (await this.#session.query(sql)).rows[0]?.map((value) => (value === null ? undefined : Number(value))) ?? [];
    const [rows = 0, min = 0, max = -1] = await numbers(
      `select count(*), min(log_offset), max(log_offset) from ${table} where ${where}`,
    );
    const hashes = await this.#session.figure(`select sum(hash(log_offset)::hugeint) from ${table} where ${where}`);
    const expected = await this.#session.figure(
      `select sum(hash(value)::hugeint) from range(${next}) as offsets(value)`,
    );
    if (rows === next && hashes === expected) return { rows, distinct: rows, min, max };
    const [distinct = 0] = await numbers(`select count(distinct log_offset) from ${table} where ${where}`);
    return { rows, distinct, min, max };
  }

  /** Checks that every element of every consumed record is in exactly one verdict table. */
  async checkSilver(): Promise<void> {
    const { accepted, duplicates, rejected } = this.#pipeline.reconciliation;
    const verdicts = [accepted, duplicates, rejected];
    const { bronze, built } = this.#moment;
    for (const [name, next] of Object.entries(bronze)) this.#figures.silver_waiting += next - (built[name] ?? 0);
    const is_ahead = Object.entries(built).some(([name, next]) => next > (bronze[name] ?? 0));
    if (Object.keys(built).length === 0) return;
    const evidence = `silver up to ${JSON.stringify(built)}, bronze up to ${JSON.stringify(bronze)}`;
    const bronze_table = this.#pipeline.bronze.table;
    if (!this.#moment.damaged.includes(bronze_table))
      this.#check("silver is not ahead of bronze", [bronze_table], !is_ahead, evidence);
    await this.#ask(
      "elements = accepted + duplicates + rejected",
      [...verdicts, this.#pipeline.bronze.table],
      async () => {
        this.#figures.accepted = await this.#count(`select count(*) from ${accepted}`);
        this.#figures.duplicates = await this.#count(`select count(*) from ${duplicates}`);
        this.#figures.conflicting = await countConflicts(this.#session, this.#pipeline.reconciliation);
        const reasons = await this.#session.query(
          `select reason, count(*) from ${rejected} group by all order by 2 desc, 1`,
        );
        for (const [reason, count] of reasons.rows) this.#figures.rejected_by_reason[reason ?? ""] = Number(count);
        this.#figures.rejected = Object.values(this.#figures.rejected_by_reason).reduce((sum, count) => sum + count, 0);
        await this.#checkElements(verdicts, built);
      },
    );
  }

  async #checkElements(verdicts: string[], consumed: LogOffsets): Promise<void> {
    const columns = "log_topic, log_partition, log_offset, element_index, element_count";
    // Silver may have verdicts on records that bronze has lost.
    const is_lost = conditionOn(this.#pipeline.topic.name, this.#moment.lost);
    const unionOf = (where: string): string =>
      verdicts.map((table) => `select ${columns} from ${table} where ${where}`).join(" union all ");
    const union = unionOf(`not ${is_lost}`);
    const consumed_offsets = Object.entries(consumed)
      .map(([key, next]) => `(log_partition = ${parsePartitionKey(key).partition} and log_offset < ${next})`)
      .join(" or ");
    const consumed_bronze = `from ${this.#pipeline.bronze.table} where ${consumed_offsets}`;
    const bronze_records = await this.#count(`select count(*) ${consumed_bronze}`);
    const is_exact = await this.#isExact(union, consumed_bronze);
    const { records, elements, doubled, incomplete } = is_exact
      ? await this.#firstElements(union)
      : await this.#eachRecord(union);
    const of_lost = this.#moment.lost.size === 0 ? 0 : (await this.#firstElements(unionOf(is_lost))).elements;
    this.#figures.elements = elements + of_lost;
    const verdict_evidence =
      records === bronze_records && !is_exact
        ? "records that bronze lacks"
        : `${bronze_records} records, ${records} with a verdict`;
    const is_sound = doubled === 0 && incomplete === 0;
    this.#check(
      "every record in bronze has its verdict",
      verdicts,
      records === bronze_records && (is_exact || !is_sound),
      verdict_evidence,
    );
    this.#check("no element has two verdicts", verdicts, doubled === 0, `${doubled} doubled`);
    this.#check("no record lacks an element", verdicts, incomplete === 0, `${incomplete} incomplete`);
    const { accepted, duplicates, rejected } = this.#figures;
    this.#check(
      "elements = accepted + duplicates + rejected",
      verdicts,
      this.#figures.elements === accepted + duplicates + rejected,
      `${this.#figures.elements} elements; ${accepted} + ${duplicates} + ${rejected}`,
    );
  }

  /**
   * Whether the records with a first element are exactly those of bronze, and the elements exactly those that the first
   * elements count. Compares sums of hashes in one pass with little memory.
   */
  async #isExact(union: string, consumed_bronze: string): Promise<boolean> {
    const record = "log_topic, log_partition, log_offset";
    const is_exact = await this.#session.figure(`
      with verdicts as (${union}), firsts as (select * from verdicts where element_index = 0)
      select (select sum(hash(${record})::hugeint) from firsts)
          is not distinct from (select sum(hash(${record})::hugeint) ${consumed_bronze})
        and (select sum(hash(${record}, element_index::integer, element_count::integer)::hugeint) from verdicts)
          is not distinct from (
          select sum(hash(${record}, element::integer, element_count::integer)::hugeint)
          from (select ${record}, element_count, unnest(range(element_count)) as element from firsts)
        )`);
    return is_exact === "true";
  }

  async #firstElements(union: string): Promise<ElementCounts> {
    const sql = `select count(*), coalesce(sum(element_count), 0) from (${union}) where element_index = 0`;
    const [records = 0, elements = 0] = ((await this.#session.query(sql)).rows[0] ?? []).map(Number);
    return { records, elements, doubled: 0, incomplete: 0 };
  }

  /** Counts record by record, to report the differences. */
  async #eachRecord(union: string): Promise<ElementCounts> {
    const { rows } = await this.#session.query(`
      with records as (
        select log_topic, log_partition, log_offset, count(*) as elements,
          count(distinct element_index) as distinct_elements,
          max(element_index) as last_index, min(element_count) as least, max(element_count) as most
        from (${union}) group by all
      )
      select count(*), coalesce(sum(most), 0), coalesce(sum(elements - distinct_elements), 0),
        count_if(distinct_elements <> least or least <> most or last_index <> most - 1)
      from records`);
    const [records = 0, elements = 0, doubled = 0, incomplete = 0] = (rows[0] ?? []).map(Number);
    return { records, elements, doubled, incomplete };
  }

  /** Checks that keys are unique and references exist. */
  async checkKeys(): Promise<void> {
    const { tables, references } = this.#pipeline.reconciliation;
    for (const [table, { key, is_counted_by_element }] of Object.entries(tables)) {
      // Elements are counted above, each once.
      if (is_counted_by_element === true || !this.#moment.tables.has(table)) continue;
      const claim = `${table} is unique by ${key.join(", ")}`;
      await this.#ask(claim, [table], async () => {
        const sql = `select count(*) - count(distinct (${key.join(", ")})) from ${table}`;
        const doubled = await this.#count(sql);
        this.#check(claim, [table], doubled === 0, `${doubled} doubled`);
      });
    }
    for (const { table, column, to, to_column } of references) {
      if (!this.#moment.tables.has(table) || !this.#moment.tables.has(to)) continue;
      const claim = `${table}.${column} is in ${to}`;
      await this.#ask(claim, [table, to], async () => {
        const unknown = await this.#count(
          `select count(*) from (select distinct ${column} as value from ${table}) as used
            anti join ${to} as known on used.value = known.${to_column}`,
        );
        this.#check(claim, [to, table], unknown === 0, `${unknown} values are not there`);
      });
    }
  }

  /** Further checks of the pipeline; compared as text, because sums of hashes exceed doubles. */
  async checkEqualFigures(): Promise<void> {
    if (Object.keys(this.#moment.built).length === 0) return;
    for (const { claim, left, right } of this.#pipeline.reconciliation.checks) {
      const tables = [...new Set(tablesIn(`${right} ${left}`))];
      if (tables.some((table) => !this.#moment.tables.has(table))) continue;
      await this.#ask(claim, tables, async () => {
        const [a, b] = [await this.#session.figure(left), await this.#session.figure(right)];
        this.#check(claim, tables, a === b, `${a} and ${b}`);
      });
    }
  }
}
