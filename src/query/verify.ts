import { OperatingError } from "../errors.ts";
import type { PartitionBounds } from "../log/log.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { systemClock, type Clock } from "../clock.ts";
import type { OpenLake } from "../engine/open.ts";
import { nameOfTable, tableNamed } from "../catalog/errors.ts";
import type { QuerySession } from "../engine/embedded/session.ts";
import { conditionOn, lostOffsets } from "../ingest/lost-offsets.ts";
import { NO_OFFSETS, countOffsets, type OffsetRanges } from "../ingest/offset-ranges.ts";
import { countConflicts } from "./conflicts.ts";
import { logOffsets } from "../transform/offsets.ts";

export interface Check {
  claim: string;
  is_true: boolean;
  /** The figures compared, in words. */
  evidence: string;
}

export interface Books {
  checks: Check[];
  figures: {
    /** Records: waiting in the log, not yet in bronze. */
    log_waiting: number;
    bronze_records: number;
    /** Records that bronze has and silver has not consumed. */
    silver_waiting: number;
    /** Elements, one per price or refusal, as the records say how many they have; each has at least one. */
    elements: number;
    accepted: number;
    duplicates: number;
    /** Duplicates that say something else than what counts. */
    conflicting: number;
    refused: number;
    refused_by_reason: Record<string, number>;
  };
}

/** An increment commits its tables one after the other, within seconds: it is waited for where a pipeline is running. */
const STANDSTILL_TIMEOUT_MS = 30_000;
const LOOK_MS = 200;

export interface VerifyOptions {
  clock?: Clock;
  /** Whether somebody is writing the lake: then an increment under way is waited for, else it was cut off. */
  is_running?: boolean;
}

/** One moment of the lake: the session holds the tables as they were then. */
interface Moment {
  log: PartitionBounds[];
  /** How far each table had come in the log, by `layer.table`. */
  offsets: ReadonlyMap<string, Record<string, number>>;
  /** What bronze is known to have lost: an acknowledged gap. */
  lost: OffsetRanges;
}

/**
 * The books of a lake: log against bronze against silver against gold. Reads only; safe beside a running pipeline, because it
 * looks at one moment between two increments. Throws INCREMENT_CUT_OFF where nobody is left to finish one.
 */
export async function verify(lake: OpenLake, session: QuerySession, pipeline: Pipeline, options: VerifyOptions = {}): Promise<Books> {
  try {
    const auditor = new Auditor(await momentOf(lake, session, pipeline, options), session, pipeline);
    await auditor.auditBronze();
    await auditor.auditSilver();
    await auditor.auditBalances();
    return auditor.books();
  } finally {
    await session.travelTo(null);
  }
}

async function momentOf(
  lake: OpenLake,
  session: QuerySession,
  pipeline: Pipeline,
  { clock = systemClock, is_running = true }: VerifyOptions,
): Promise<Moment> {
  const deadline_us = clock.now_us() + STANDSTILL_TIMEOUT_MS * 1000;
  for (;;) {
    const held = await session.hold();
    const log = await logBounds(lake, pipeline);
    const offsets = new Map<string, Record<string, number>>();
    for (const table of (await session.tables()).map(nameOfTable)) offsets.set(table, await logOffsets(lake.catalog, table));
    // Nothing moved while we looked, so that all of it belongs to what is held.
    const is_still = JSON.stringify(await session.snapshots(null)) === JSON.stringify(held);
    const is_between = isBetweenIncrements(offsets, pipeline);
    if ((is_still && is_between) || clock.now_us() >= deadline_us) return { log, offsets, lost: await lostIn(lake, pipeline) };
    if (!is_between && !is_running) throw incrementCutOff();
    await clock.wait(LOOK_MS);
  }
}

async function lostIn({ catalog }: OpenLake, { bronze, topic }: Pipeline): Promise<OffsetRanges> {
  const identifier = tableNamed(bronze.table);
  return (await catalog.hasTable(identifier)) ? lostOffsets((await catalog.loadTable(identifier)).metadata, topic.name) : NO_OFFSETS;
}

function incrementCutOff(): OperatingError {
  return new OperatingError("INCREMENT_CUT_OFF", "The pipeline was ended in the middle of an increment: some tables have it, others not yet.", {
    next_step: "Nothing is lost. Start the pipeline once more: each table goes on where its last commit stands; then verify again.",
    is_retryable: true,
  });
}

/** All tables that the books speak of stand at one place; before the first increment, at none. */
function isBetweenIncrements(offsets: Moment["offsets"], { books }: Pipeline): boolean {
  const { accepted, duplicates, refused, balances } = books;
  const tables = [accepted, duplicates, refused, ...balances.flatMap(({ left, right }) => tablesIn(`${left} ${right}`))];
  return new Set(tables.map((table) => JSON.stringify(offsets.get(table) ?? {}))).size === 1;
}

function tablesIn(sql: string): string[] {
  return sql.match(/\b(?:bronze|silver|gold)\.\w+/g) ?? [];
}

/** A lake that was made and never started has no topic yet. */
async function logBounds(lake: OpenLake, { topic }: Pipeline): Promise<PartitionBounds[]> {
  try {
    return await lake.log.bounds(topic.name);
  } catch (error) {
    if (error instanceof OperatingError && error.code === "NO_SUCH_TOPIC") return [];
    throw error;
  }
}

class Auditor {
  readonly #moment: Moment;
  readonly #session: QuerySession;
  readonly #pipeline: Pipeline;
  readonly #checks: Check[] = [];
  readonly #figures: Books["figures"] = {
    log_waiting: 0,
    bronze_records: 0,
    silver_waiting: 0,
    elements: 0,
    accepted: 0,
    duplicates: 0,
    conflicting: 0,
    refused: 0,
    refused_by_reason: {},
  };

  constructor(moment: Moment, session: QuerySession, pipeline: Pipeline) {
    this.#moment = moment;
    this.#session = session;
    this.#pipeline = pipeline;
  }

  books(): Books {
    return { checks: this.#checks, figures: this.#figures };
  }

  #check(claim: string, is_true: boolean, evidence: string): void {
    this.#checks.push({ claim, is_true, evidence });
  }

  async #count(sql: string): Promise<number> {
    return Number((await this.#session.figure(sql)) ?? 0);
  }

  /** SQL: silver may have the verdict on a record that bronze has lost. */
  #isLost(): string {
    return conditionOn(this.#pipeline.topic.name, this.#moment.lost);
  }

  #offsetsOf(table: string): Record<string, number> {
    return this.#moment.offsets.get(table) ?? {};
  }

  /** Bronze is a gapless, duplicate-free copy of the log, up to the offsets that its property promises. */
  async auditBronze(): Promise<void> {
    const { topic, bronze } = this.#pipeline;
    const committed = this.#offsetsOf(bronze.table);
    for (const { partition, begin, end } of this.#moment.log) {
      const name = `${topic.name}/${partition}`;
      const next = committed[name] ?? 0;
      this.#figures.log_waiting += Math.max(0, end - next);
      this.#check(`bronze is not ahead of the log (${name})`, next <= end, `committed up to ${next}, log ends at ${end}`);
      this.#check(`the log forgot only what bronze has (${name})`, begin <= next, `log begins at ${begin}, committed up to ${next}`);
    }
    for (const [name, next] of Object.entries(committed)) {
      const partition = Number(name.slice(name.lastIndexOf("/") + 1));
      const where = `log_topic = '${topic.name}' and log_partition = ${partition}`;
      const [row = []] = (
        await this.#session.query(
          `select count(*), count(distinct log_offset), min(log_offset), max(log_offset) from ${bronze.table} where ${where}`,
        )
      ).rows;
      const [rows = 0, distinct = 0, min = 0, max = -1] = row.map((value) => (value === null ? undefined : Number(value)));
      this.#figures.bronze_records += rows;
      const lost = countOffsets(new Map([...this.#moment.lost].filter(([lost_in]) => lost_in === partition)));
      const is_whole = next === 0 || (min >= 0 && max < next && distinct === next - lost);
      const acknowledged = lost === 0 ? "" : `, ${lost} acknowledged as lost`;
      this.#check(`bronze has no gap (${name})`, is_whole, `${next - lost - distinct} missing of ${next}${acknowledged}`);
      this.#check(`bronze has no duplicate (${name})`, rows === distinct, `${rows - distinct} too many of ${rows}`);
    }
  }

  /** Every element of every consumed record lies in exactly one verdict table. */
  async auditSilver(): Promise<void> {
    const { accepted, duplicates, refused } = this.#pipeline.books;
    const verdicts = [accepted, duplicates, refused];
    const offsets = verdicts.map((table) => this.#offsetsOf(table));
    const bronze = this.#offsetsOf(this.#pipeline.bronze.table);
    const [first = {}] = offsets;
    this.#check(
      "accepted, duplicates and refused stand at one place in the log",
      offsets.every((other) => JSON.stringify(other) === JSON.stringify(first)),
      JSON.stringify(offsets),
    );
    for (const [name, next] of Object.entries(bronze)) this.#figures.silver_waiting += next - (first[name] ?? 0);
    if (Object.keys(first).length === 0) return;

    this.#figures.accepted = await this.#count(`select count(*) from ${accepted}`);
    this.#figures.duplicates = await this.#count(`select count(*) from ${duplicates}`);
    this.#figures.conflicting = await countConflicts(this.#session, this.#pipeline.books);
    const reasons = await this.#session.query(`select reason, count(*) from ${refused} group by all order by 2 desc, 1`);
    for (const [reason, count] of reasons.rows) this.#figures.refused_by_reason[reason ?? ""] = Number(count);
    this.#figures.refused = Object.values(this.#figures.refused_by_reason).reduce((sum, count) => sum + count, 0);
    await this.#auditElements(verdicts, first);
  }

  async #auditElements(verdicts: readonly string[], consumed: Record<string, number>): Promise<void> {
    const columns = "log_topic, log_partition, log_offset, element_index, element_count";
    const union = verdicts.map((table) => `select ${columns} from ${table}`).join(" union all ");
    const [row = []] = (
      await this.#session.query(`
        with records as (
          select log_topic, log_partition, log_offset, count(*) as elements, count(distinct element_index) as distinct_elements,
            max(element_index) as last_index, min(element_count) as least, max(element_count) as most
          from (${union}) group by all
        )
        select count_if(not ${this.#isLost()}), coalesce(sum(most), 0), coalesce(sum(elements - distinct_elements), 0),
          count_if(distinct_elements <> least or least <> most or last_index <> most - 1)
        from records`)
    ).rows;
    const [records = 0, elements = 0, doubled = 0, incomplete = 0] = row.map(Number);
    this.#figures.elements = elements;
    const bronze_records = await this.#count(
      `select count(*) from ${this.#pipeline.bronze.table} where ${Object.entries(consumed)
        .map(([name, next]) => `(log_partition = ${name.slice(name.lastIndexOf("/") + 1)} and log_offset < ${next})`)
        .join(" or ")}`,
    );
    this.#check("every record in bronze has its verdict", records === bronze_records, `${bronze_records} records, ${records} with a verdict`);
    this.#check("no element has two verdicts", doubled === 0, `${doubled} doubled`);
    this.#check("no record lacks an element", incomplete === 0, `${incomplete} incomplete`);
    const { accepted, duplicates, refused } = this.#figures;
    this.#check(
      "elements = accepted + duplicates + refused",
      elements === accepted + duplicates + refused,
      `${elements} elements; ${accepted} + ${duplicates} + ${refused}`,
    );
  }

  /** What the pipeline itself promises of silver and gold. */
  async auditBalances(): Promise<void> {
    const { offsets: existing } = this.#moment;
    for (const { claim, left, right } of this.#pipeline.books.balances) {
      const missing = tablesIn(`${left} ${right}`).filter((table) => !existing.has(table));
      if (missing.length > 0) {
        // Before the first increment there is nothing to balance; afterwards a table that is gone is a loss.
        if (this.#figures.elements > 0) this.#check(claim, false, `there is no table ${missing.join(", ")}`);
        continue;
      }
      const [a, b] = [await this.#count(left), await this.#count(right)];
      this.#check(claim, a === b, `${a} and ${b}`);
    }
  }
}
