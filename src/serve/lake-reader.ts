import { isoFromMicros } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import { QuerySession, type QueryResult, type TableSnapshot } from "../duckdb/session.ts";
import type { KnownSubject, Question, ReadTables } from "../pipeline/definition.ts";
import { TimeTravelSession } from "../duckdb/time-travel-session.ts";
import {
  ask,
  latestEvent,
  latestLiveEvent,
  live,
  objectsOf,
  stored,
  type Answer,
  type LiveTables,
} from "../query/ask.ts";
import { knownSubjects, resolveSubject, subjectId } from "../query/subjects.ts";
import { AnswerCache } from "./cache.ts";
import { requestError } from "./problem.ts";
import type { PipelineHandle } from "./pipeline-handle.ts";

/** Lifetimes of results that requests share: fresh, and stale while they are computed again. */
const SHARED_MS = { fresh_ms: 500, stale_ms: 10_000 };
/**
 * Answers over a large lake cost seconds of CPU: a request gets the last one at once, and `as_of` says how old it is.
 */
const ANSWER_MS = { fresh_ms: 1_000, stale_ms: 60_000 };
/** The past does not change: its results are kept this long. */
const PAST_MS = { fresh_ms: 60_000, stale_ms: 60_000 };
/** Queries about the past that may wait; more are rejected. */
const MAX_WAITING = 32;
const PAST_ENGINE = { memory_limit_mb: 128, threads: 1 };

/**
 * The server's own reads of the lake: of the present through the live views, of the past through one time-travel
 * session.
 */
export class LakeReader implements LiveTables {
  readonly cache: AnswerCache;
  readonly #handle: PipelineHandle;
  readonly #past: TimeTravelSession;
  #first_event: Promise<string | null> | null = null;
  #newest_us: number | null = null;
  readonly #unsubscribe: () => void;
  #is_closed = false;

  constructor(handle: PipelineHandle) {
    this.#handle = handle;
    this.cache = new AnswerCache(handle.clock);
    this.#past = new TimeTravelSession(() => QuerySession.open(handle.open, PAST_ENGINE));
    this.#unsubscribe = handle.live.onAbsorbed(({ ticks }) => {
      for (const { at_us } of ticks) this.#newest_us = Math.max(this.#newest_us ?? at_us, at_us);
    });
  }

  query = (sql: string): Promise<QueryResult> => internal(this.#handle.live.query(sql));

  snapshots = (): TableSnapshot[] =>
    this.#handle.live
      .state()
      .tables.flatMap(({ table, snapshot_id, committed_at }) =>
        snapshot_id === null || committed_at === null ? [] : [{ table, snapshot_id, committed_at }],
      );

  /** Time of the latest event, ISO 8601: a query finds it once at the start, later ticks advance it. */
  async latestEvent(): Promise<string | null> {
    this.#first_event ??= latestLiveEvent(this, this.#handle.pipeline);
    // After a failure the next caller runs the query again.
    this.#first_event.catch(() => (this.#first_event = null));
    const first = await this.#first_event;
    const first_us = first === null ? null : microsOf(first);
    const newest_us = Math.max(first_us ?? -Infinity, this.#newest_us ?? -Infinity);
    return newest_us === -Infinity ? null : isoFromMicros(newest_us);
  }

  now(): ReadTables {
    return {
      table: live,
      at: null,
      latest_event: () => this.latestEvent(),
      snapshots: this.snapshots,
      settled: { before_ms: Math.floor((this.#handle.live.state().oldest_at_us ?? Infinity) / 1000), table: stored },
      rows: async (sql) => objectsOf(await this.query(sql)),
      once: (name, make) => this.cache.get(`now ${name}`, { ...SHARED_MS, version: this.version() }, make),
      has: () => true,
      // A lake without subjects has nothing to read.
      subject: async (given) => ((await this.subjects()).length === 0 ? given : this.subject(given)),
    };
  }

  /** Resolves a name, symbol or id to the subject's id. Throws SUBJECT_NOT_FOUND, AMBIGUOUS_SUBJECT, LAKE_EMPTY. */
  async subject(given: string): Promise<string> {
    return subjectId(this.#handle.pipeline, given, await this.subjects());
  }

  /** Every subject that the lake knows. */
  subjects(): Promise<KnownSubject[]> {
    const { once, rows } = this.now();
    return once("subjects", () => knownSubjects(this.#handle.pipeline, live, rows));
  }

  /** Runs the work with the tables as they were at `at_ms`. Throws LAKE_BUSY, STOPPING. */
  past<T>(at_ms: number, work: (tables: ReadTables) => Promise<T>): Promise<T> {
    return this.#exclusive(async (session) => {
      const snapshots = await session.travelTo(at_ms);
      const { pipeline } = this.#handle;
      const has = (name: string) => session.has(name);
      const rows = async (sql: string) => objectsOf(await session.query(sql));
      return work({
        table: stored,
        at: new Date(at_ms).toISOString(),
        latest_event: () => latestEvent(session, pipeline),
        snapshots: () => snapshots,
        rows,
        once: (_name, make) => make(),
        has,
        subject: async (given) => {
          const known = has(pipeline.subjects.table) ? await knownSubjects(pipeline, stored, rows) : [];
          return resolveSubject(pipeline.subjects.noun, given, known).id;
        },
      });
    });
  }

  /**
   * Answers a question. Requests within a second share one answer, also while the next one is computed. Throws
   * LAKE_EMPTY, LAKE_BUSY, STOPPING.
   */
  ask(question: Question, as_of: string | null, values: Readonly<Record<string, string | number>>): Promise<Answer> {
    const { pipeline } = this.#handle;
    const key = `answer ${JSON.stringify([question.number, as_of, values])}`;
    const travels = question.parts.some(({ lake_time_before_ms }) => lake_time_before_ms !== undefined);
    return this.cache.get(key, { ...ANSWER_MS, version: this.version() }, () => {
      const options = { as_of, values, live: this, latest: () => this.latestEvent() };
      const answer = (session: QuerySession) => ask(session, pipeline, question, options);
      return travels ? this.#exclusive(answer) : this.#shared(answer);
    });
  }

  /**
   * The state that answers about the present depend on: it changes when records are absorbed or a table is committed.
   */
  version(): string {
    const { next, tables } = this.#handle.live.state();
    return JSON.stringify([next, tables.map(({ snapshot_id }) => snapshot_id)]);
  }

  /** A cached answer about the past. The key contains everything that it depends on. */
  kept<T>(key: string, make: () => Promise<T>): Promise<T> {
    return this.cache.get(key, PAST_MS, make);
  }

  /** Waits for the running query; waiting queries are rejected. */
  async close(): Promise<void> {
    this.#is_closed = true;
    this.#unsubscribe();
    await this.#past.close();
  }

  async #exclusive<T>(work: (session: QuerySession) => Promise<T>): Promise<T> {
    this.#throwIfClosed();
    if (this.#past.waiting >= MAX_WAITING)
      throw requestError(
        "LAKE_BUSY",
        `Too many queries about the past: ${MAX_WAITING} are waiting`,
        "Try again in a moment.",
      );
    return internal(
      this.#past.exclusive(async (session) => {
        this.#throwIfClosed();
        return work(session);
      }),
    );
  }

  async #shared<T>(work: (session: QuerySession) => Promise<T>): Promise<T> {
    this.#throwIfClosed();
    return internal(this.#past.shared(work));
  }

  #throwIfClosed(): void {
    if (this.#is_closed) throw requestError("STOPPING", "The server is stopping", "Try again once it runs.");
  }
}

/** Maps INVALID_SQL to an internal error: the server wrote this SQL, not a client. */
async function internal<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    if (!(error instanceof OperatingError) || error.code !== "INVALID_SQL") throw error;
    throw new Error(`An internal query failed: ${error.message}`, { cause: error });
  }
}

/** From DuckDB's `2023-03-14 02:10:00.123456+00`. */
function microsOf(text: string): number {
  const [, seconds = "", fraction = ""] = /^(.{19})(?:\.(\d{1,6}))?/.exec(text) ?? [];
  return Date.parse(`${seconds.replace(" ", "T")}Z`) * 1000 + Number(fraction.padEnd(6, "0"));
}
