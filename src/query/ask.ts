import { OperatingError } from "../base/errors.ts";
import type { Pipeline, Question, QuestionPart, TableNaming } from "../pipeline/definition.ts";
import { nameOfTable } from "../iceberg/errors.ts";
import type { QueryResult, QuerySession, TableSnapshot } from "../duckdb/session.ts";
import { firstSubject, knownSubjects, resolveSubject } from "./subjects.ts";

export interface AskOptions {
  /** Event time to answer as of, ISO 8601; null for the lake's latest event. */
  as_of: string | null;
  /** Values of the question's options; missing ones take their defaults. */
  values: Readonly<Record<string, string | number>>;
  /** Live views for answers as of now; without it, the current snapshots of the tables. */
  live?: LiveTables;
  /** Cached newest event time, in the form of `latest_event`. */
  latest?(): Promise<string | null>;
  /** Interrupts queries; `ask` then throws QUERY_CANCELLED. */
  signal?: AbortSignal;
}

/** The lake as of now: tables plus the live tail, as `live.<table>`. */
export interface LiveTables {
  query(sql: string): Promise<QueryResult>;
  /** Snapshots of the tables that the views read now. */
  snapshots(): TableSnapshot[];
}

/** The tables themselves. */
export const stored: TableNaming = (table) => table;
/** `gold.fact_…` → `live.fact_…`. */
export const live: TableNaming = (table) => `live.${table.slice(table.indexOf(".") + 1)}`;

export interface Answer {
  number: number;
  title: string;
  /** Event time that the answer holds for, ISO 8601. */
  as_of: string;
  parts: AnsweredPart[];
}

export interface AnsweredPart {
  definition: QuestionPart;
  sql: string;
  result: QueryResult;
  /** Snapshots of the tables that the SQL names. */
  snapshots: TableSnapshot[];
  /** Lake time of the tables read, ISO 8601; null for now. */
  lake_at: string | null;
  note: string | null;
}

/** The newest event time, by the pipeline's `latest_event`; null before the first increment has ended. */
export async function latestEvent(
  session: QuerySession,
  pipeline: Pipeline,
  signal?: AbortSignal,
): Promise<string | null> {
  const sql = pipeline.latest_event(stored);
  if (missingTable(session, pipeline, sql) !== undefined) return null;
  return (await session.query(sql, { signal })).rows[0]?.[0] ?? null;
}

/** The same, read through the live views. */
export async function latestLiveEvent({ query }: LiveTables, pipeline: Pipeline): Promise<string | null> {
  return (await query(pipeline.latest_event(live))).rows[0]?.[0] ?? null;
}

/**
 * Answers one question. Parts with a lake time read earlier snapshots of the tables; other parts read the current ones.
 * Throws LAKE_EMPTY when there is no data, SUBJECT_NOT_FOUND or AMBIGUOUS_SUBJECT for a name that matches none or
 * several.
 */
export async function ask(
  session: QuerySession,
  pipeline: Pipeline,
  question: Question,
  options: AskOptions,
): Promise<Answer> {
  if (!options.live) await session.travelTo(null);
  const latest = await (options.latest?.() ??
    (options.live ? latestLiveEvent(options.live, pipeline) : latestEvent(session, pipeline, options.signal)));
  if (latest === null) throw lakeEmpty(pipeline);
  const as_of = options.as_of ?? latest;
  const as_of_ms = Date.parse(as_of.replace(" ", "T").replace(/\+00$/, "Z"));
  const defaults = Object.entries(question.options).flatMap(([name, { default: value }]) =>
    value === null ? [] : [[name, value]],
  );
  const given = await withSubjects(session, pipeline, question, options);
  const values = { ...Object.fromEntries(defaults), ...given } as Record<string, string | number>;
  const parts: AnsweredPart[] = [];
  for (const definition of question.parts) {
    const sqlOver = (table: TableNaming) => tidy(definition.sql({ as_of: `timestamptz '${as_of}'`, values, table }));
    if (options.live && definition.lake_time_before_ms === undefined)
      parts.push(await answerLive(options.live, definition, sqlOver(live)));
    else parts.push(await answerPart(session, pipeline, definition, { sql: sqlOver(stored), as_of_ms, ...options }));
  }
  return { number: question.number, title: question.title, as_of: new Date(as_of_ms).toISOString(), parts };
}

/** The given values, with subject names resolved to ids, or the question's default subject. */
async function withSubjects(
  session: QuerySession,
  pipeline: Pipeline,
  { options }: Question,
  { values, live: views }: AskOptions,
): Promise<AskOptions["values"]> {
  const given = Object.keys(values).filter((name) => options[name]?.is_subject === true);
  const left = Object.entries(options).filter(
    ([name, { default_names }]) => default_names !== undefined && values[name] === undefined,
  );
  if (given.length === 0 && left.length === 0) return values;
  const [naming, query] = views ? [live, views.query] : [stored, (sql: string) => session.query(sql)];
  const has_subjects = views !== undefined || session.has(pipeline.subjects.table);
  const known = has_subjects ? await knownSubjects(pipeline, naming, async (sql) => objectsOf(await query(sql))) : [];
  const { noun } = pipeline.subjects;
  const named = given.map((name) => [name, resolveSubject(noun, String(values[name]), known).id] as const);
  const usual = left.flatMap(([name, { default_names = [] }]) => {
    const subject = firstSubject(noun, default_names, known);
    return subject === null ? [] : [[name, subject.id] as const];
  });
  return { ...values, ...Object.fromEntries([...named, ...usual]) };
}

/** Rows as objects, keyed by column name. */
export function objectsOf({ columns, rows }: Pick<QueryResult, "columns" | "rows">): Record<string, string | null>[] {
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index] ?? null])));
}

export function lakeEmpty({ reconciliation: { rejected } }: Pick<Pipeline, "reconciliation">): OperatingError {
  return new OperatingError("LAKE_EMPTY", "The lake has no accepted records yet", {
    next_step:
      "Let `npm start` run until it reports its first increment, then ask again. If it has reported one, every " +
      "record was rejected, and this counts the reasons: " +
      `\`npm run -s coinlake -- query "select reason, count(*) from ${rejected} group by reason"\``,
  });
}

async function answerLive(
  { query, snapshots }: LiveTables,
  definition: QuestionPart,
  sql: string,
): Promise<AnsweredPart> {
  const result = await query(sql);
  const named = snapshots().filter(({ table }) => namesTable(sql, live(table)));
  return {
    definition,
    sql,
    result,
    snapshots: named,
    lake_at: null,
    note: result.rows.length === 0 ? definition.when_empty : null,
  };
}

async function answerPart(
  session: QuerySession,
  pipeline: Pipeline,
  definition: QuestionPart,
  { sql, as_of_ms, signal }: { sql: string; as_of_ms: number; signal?: AbortSignal },
): Promise<AnsweredPart> {
  const lake_at_ms = definition.lake_time_before_ms === undefined ? null : as_of_ms - definition.lake_time_before_ms;
  const lake_at = lake_at_ms === null ? null : new Date(lake_at_ms).toISOString();
  // Pinned for answers as of now too, so that the reported snapshots are those read.
  const held = lake_at_ms === null ? await session.hold() : await session.travelTo(lake_at_ms);
  const snapshots = held.filter(({ table }) => namesTable(sql, table));
  const part = { definition, sql, snapshots, lake_at };
  const missing = missingTable(session, pipeline, sql);
  if (missing !== undefined) {
    const columns = definition.columns.map(({ name }) => ({ name, type: "" }));
    const note = `No answer: ${await describeMissing(session, missing)}.`;
    return { ...part, result: { columns, rows: [], is_truncated: false }, note };
  }
  const result = await session.query(sql, { signal });
  return { ...part, result, note: result.rows.length === 0 ? definition.when_empty : null };
}

/**
 * A table that the SQL names and that has no snapshot at the session's time: the live views answer before the first
 * commit, and the first increment commits table by table.
 */
function missingTable(session: QuerySession, pipeline: Pipeline, sql: string): string | undefined {
  return Object.keys(pipeline.reconciliation.tables).find((table) => namesTable(sql, table) && !session.has(table));
}

/** Why a table cannot be read at the moment asked for. */
async function describeMissing(session: QuerySession, table: string): Promise<string> {
  const identifier = (await session.tables()).find((existing) => nameOfTable(existing) === table);
  const oldest = identifier === undefined ? null : await session.oldestSnapshot(identifier);
  if (oldest === null) return `${table} has no snapshot yet`;
  return `the ${oldest.is_first ? "first" : "oldest retained"} snapshot of ${table} is of ${oldest.at}`;
}

/** Whether SQL names the table, rather than one whose name begins with the same words. */
function namesTable(sql: string, table: string): boolean {
  return new RegExp(`\\b${table.replace(".", "\\.")}\\b`).test(sql);
}

/** The statement without the indentation of its source file. */
function tidy(sql: string): string {
  const lines = sql.split("\n").filter((line) => line.trim() !== "");
  const indents = lines.slice(1).map((line) => line.length - line.trimStart().length);
  const indent = indents.length > 0 ? Math.min(...indents) : 0;
  return lines.map((line, index) => (index === 0 && !line.startsWith(" ") ? line : line.slice(indent))).join("\n");
}
