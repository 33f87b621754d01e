import { isoFromMicros } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import { QuerySession, type QueryResult, type TableSnapshot } from "../duckdb/session.ts";
import type { KnownSubject, Question, ReadTables } from "../pipeline/definition.ts";
import { ask, latestLiveEvent, live, objectsOf, stored, type Answer, type LiveTables } from "../query/ask.ts";
import { knownSubjects, resolveSubject, subjectId } from "../query/subjects.ts";
import { AnswerCache } from "./cache.ts";
import { requestError } from "./problem.ts";
import type { PipelineHandle } from "./pipeline-handle.ts";

/** Cache ages of results that several requests share. */
const SHARED_MS = { fresh_ms: 500, stale_ms: 10_000 };
/** Answers over a large lake take seconds of CPU, so older ones are served; `as_of` says how old an answer is. */
const ANSWER_MS = { fresh_ms: 1_000, stale_ms: 60_000 };
/** Results about the past do not change; the age only bounds memory. */
const PAST_MS = { fresh_ms: 60_000, stale_ms: 60_000 };
/** Queries about the past that may wait at once; more are rejected. */
const MAX_WAITING = 32;

/** Runs the server's own queries: over the live views for now, in one time-travel session for the past. */
export class LakeReader implements LiveTables {
  readonly cache: AnswerCache;
  readonly #served: PipelineHandle;
  #session: Promise<QuerySession> | null = null;
  #first_event: Promise<string | null> | null = null;
  #newest_us: number | null = null;
  readonly #unsubscribe: () => void;
  /** Serialises queries about the past: the session's tables are pinned to one time. */
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #is_closed = false;

  constructor(served: PipelineHandle) {
    this.#served = served;
    this.cache = new AnswerCache(served.clock);
    this.#unsubscribe = served.live.onAbsorbed(({ ticks }) => {
      for (const { at_us } of ticks) this.#newest_us = Math.max(this.#newest_us ?? at_us, at_us);
    });
  }

  query = (sql: string): Promise<QueryResult> => asInternalError(this.#served.live.query(sql));

  snapshots = (): TableSnapshot[] =>
    this.#served.live
      .state()
      .tables.flatMap(({ table, snapshot_id, committed_at }) =>
        snapshot_id === null || committed_at === null ? [] : [{ table, snapshot_id, committed_at }],
      );

  /** Event time of the newest event, ISO 8601: from a query at the start, from ticks since then. */
  async latestEvent(): Promise<string | null> {
    this.#first_event ??= latestLiveEvent(this, this.#served.pipeline);
    // The next call retries a failed query.
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
      settled: { before_ms: Math.floor((this.#served.live.state().oldest_at_us ?? Infinity) / 1000), table: stored },
      rows: async (sql) => objectsOf(await this.query(sql)),
      once: (name, make) => this.cache.get(`now ${name}`, { ...SHARED_MS, version: this.version() }, make),
      has: () => true,
      // A lake without subjects has no rows either, so the name needs no resolution.
      subject: async (given) => ((await this.#subjects()).length === 0 ? given : this.subject(given)),
    };
  }

  /** Resolves a name, symbol or id to the subject's id. Throws NO_SUCH_SUBJECT, AMBIGUOUS_SUBJECT, LAKE_EMPTY. */
  async subject(given: string): Promise<string> {
    return subjectId(this.#served.pipeline, given, await this.#subjects());
  }

  #subjects(): Promise<KnownSubject[]> {
    const { once, rows } = this.now();
    return once("subjects", () => knownSubjects(this.#served.pipeline, live, rows));
  }

  /** Runs the work with the tables as they stood at `at_ms`. Throws LAKE_BUSY, STOPPING. */
  past<T>(at_ms: number, work: (tables: ReadTables) => Promise<T>): Promise<T> {
    return this.#inTurn(async (session) => {
      const snapshots = await session.travelTo(at_ms);
      const { pipeline } = this.#served;
      const has = (name: string) => snapshots.some(({ table }) => table === name);
      const has_data = has(pipeline.books.accepted);
      const rows = async (sql: string) => objectsOf(await session.query(sql));
      return work({
        table: stored,
        at: new Date(at_ms).toISOString(),
        latest_event: async () => (has_data ? session.figure(pipeline.latest_event(stored)) : null),
        snapshots: () => snapshots,
        rows,
        once: (_name, make) => make(),
        has,
        subject: async (given) =>
          resolveSubject(pipeline.subjects.noun, given, await knownSubjects(pipeline, stored, rows)).id,
      });
    });
  }

  /** Answers a question; concurrent requests share one cached answer. Throws LAKE_EMPTY, LAKE_BUSY, STOPPING. */
  ask(question: Question, as_of: string | null, values: Readonly<Record<string, string | number>>): Promise<Answer> {
    const { pipeline } = this.#served;
    const key = `answer ${JSON.stringify([question.number, as_of, values])}`;
    const travels = question.parts.some(({ lake_time_before_ms }) => lake_time_before_ms !== undefined);
    return this.cache.get(key, { ...ANSWER_MS, version: this.version() }, () => {
      const options = { as_of, values, live: this, latest: () => this.latestEvent() };
      return this.#inTurn((session) => ask(session, pipeline, question, options), travels);
    });
  }

  /** Version of the data behind answers about now; it changes with each absorbed batch and each commit. */
  version(): string {
    const { next, tables } = this.#served.live.state();
    return JSON.stringify([next, tables.map(({ snapshot_id }) => snapshot_id)]);
  }

  /** Caches a result about the past; the key must contain all that the result depends on. */
  kept<T>(key: string, make: () => Promise<T>): Promise<T> {
    return this.cache.get(key, PAST_MS, make);
  }

  /** Waits for the running query; waiting queries are rejected. */
  async close(): Promise<void> {
    this.#is_closed = true;
    this.#unsubscribe();
    await this.#turn;
    // The caller that opened a session has already received its failure.
    (await this.#session?.catch(() => null))?.close();
  }

  async #inTurn<T>(work: (session: QuerySession) => Promise<T>, is_alone = true): Promise<T> {
    this.#throwIfClosed();
    if (is_alone && this.#waiting >= MAX_WAITING)
      throw requestError(
        "LAKE_BUSY",
        `Too many queries about the past: ${MAX_WAITING} are waiting`,
        "Try again in a moment.",
      );
    const { open } = this.#served;
    this.#session ??= QuerySession.open(open, { memory_limit_mb: 128, threads: 1 });
    const session = this.#session;
    // The next query retries a session that failed to open.
    session.catch(() => (this.#session = null));
    if (!is_alone) return asInternalError(session.then(work));
    this.#waiting += 1;
    const turn = this.#turn.then(async () => {
      this.#waiting -= 1;
      this.#throwIfClosed();
      return work(await session);
    });
    this.#turn = turn.catch(() => {});
    return asInternalError(turn);
  }

  #throwIfClosed(): void {
    if (this.#is_closed) throw requestError("STOPPING", "The server is stopping", "Try again once it runs.");
  }
}

/** Turns BAD_SQL into an internal error: the server wrote this SQL, so the client is not at fault. */
async function asInternalError<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    if (!(error instanceof OperatingError) || error.code !== "BAD_SQL") throw error;
    throw new Error(`An internal query failed: ${error.message}`, { cause: error });
  }
}

/** Parses DuckDB's `2023-03-14 02:10:00.123456+00` to microseconds. */
function microsOf(text: string): number {
  const [, seconds = "", fraction = ""] = /^(.{19})(?:\.(\d{1,6}))?/.exec(text) ?? [];
  return Date.parse(`${seconds.replace(" ", "T")}Z`) * 1000 + Number(fraction.padEnd(6, "0"));
}
