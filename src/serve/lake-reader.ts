import { isoFromMicros } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import { QuerySession, type QueryResult, type TableSnapshot } from "../duckdb/session.ts";
import type { KnownSubject, Question, ReadTables } from "../pipeline/definition.ts";
import { ask, latestLiveEvent, live, objectsOf, stored, type Answer, type LiveTables } from "../query/ask.ts";
import { knownSubjects, resolveSubject, subjectId } from "../query/subjects.ts";
import { AnswerCache } from "./cache.ts";
import { refusal } from "./problem.ts";
import type { Served } from "./pipeline-handle.ts";

/** How long what several requests share is given again, and how old it may be while it is made anew. */
const SHARED_MS = { fresh_ms: 500, stale_ms: 10_000 };
/** Answers over a large lake cost seconds of CPU: who asks gets the last one at once, and `as_of` says how old it is. */
const ANSWER_MS = { fresh_ms: 1_000, stale_ms: 60_000 };
/** The past does not change; what was read of it is kept this long. */
const PAST_MS = { fresh_ms: 60_000, stale_ms: 60_000 };
/** Queries of the past that wait for their turn; more are refused. */
const MAX_WAITING = 32;

/** The lake for the server's own questions: through the live views for now, through one time-travelling session for the past. */
export class LakeReader implements LiveTables {
  readonly cache: AnswerCache;
  readonly #served: Served;
  #session: Promise<QuerySession> | null = null;
  #first_event: Promise<string | null> | null = null;
  #newest_us: number | null = null;
  readonly #unsubscribe: () => void;
  /** Queries of the past take turns: the session's tables mean one moment at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #is_closed = false;

  constructor(served: Served) {
    this.#served = served;
    this.cache = new AnswerCache(served.clock);
    this.#unsubscribe = served.live.onAbsorbed(({ ticks }) => {
      for (const { at_us } of ticks) this.#newest_us = Math.max(this.#newest_us ?? at_us, at_us);
    });
  }

  query = (sql: string): Promise<QueryResult> => ours(this.#served.live.query(sql));

  snapshots = (): TableSnapshot[] =>
    this.#served.live
      .state()
      .tables.flatMap(({ table, snapshot_id, committed_at }) =>
        snapshot_id === null || committed_at === null ? [] : [{ table, snapshot_id, committed_at }],
      );

  /** Of what was there at the start by a query, of what came since by the ticks themselves. ISO 8601. */
  async latestEvent(): Promise<string | null> {
    this.#first_event ??= latestLiveEvent(this, this.#served.pipeline);
    // A query that failed is tried anew by the next who asks.
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
      // Of a lake that knows none yet nothing is to be read.
      subject: async (given) => ((await this.#subjects()).length === 0 ? given : this.subject(given)),
    };
  }

  /** The id of the subject that a person means. Throws NO_SUCH_SUBJECT, AMBIGUOUS_SUBJECT, LAKE_EMPTY. */
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
      const has_data = has(pipeline.reconciliation.accepted);
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

  /** The same answer for all who ask the same within a second, and while the next one is made. Throws LAKE_EMPTY, LAKE_BUSY, STOPPING. */
  ask(question: Question, as_of: string | null, values: Readonly<Record<string, string | number>>): Promise<Answer> {
    const { pipeline } = this.#served;
    const key = `answer ${JSON.stringify([question.number, as_of, values])}`;
    const travels = question.parts.some(({ lake_time_before_ms }) => lake_time_before_ms !== undefined);
    return this.cache.get(key, { ...ANSWER_MS, version: this.version() }, () => {
      const options = { as_of, values, live: this, latest: () => this.latestEvent() };
      return this.#inTurn((session) => ask(session, pipeline, question, options), travels);
    });
  }

  /** What answers of now are computed from: while nothing is absorbed or committed, they stay the same but for what they say of the time. */
  version(): string {
    const { next, tables } = this.#served.live.state();
    return JSON.stringify([next, tables.map(({ snapshot_id }) => snapshot_id)]);
  }

  /** An answer about the past, kept: the key names all that it depends on. */
  kept<T>(key: string, make: () => Promise<T>): Promise<T> {
    return this.cache.get(key, PAST_MS, make);
  }

  /** Waits for the query that runs; those that wait for their turn are refused. */
  async close(): Promise<void> {
    this.#is_closed = true;
    this.#unsubscribe();
    await this.#turn;
    // One that could not be opened has told whoever asked for it.
    (await this.#session?.catch(() => null))?.close();
  }

  async #inTurn<T>(work: (session: QuerySession) => Promise<T>, is_alone = true): Promise<T> {
    this.#refuseWhenClosed();
    if (is_alone && this.#waiting >= MAX_WAITING)
      throw refusal("LAKE_BUSY", `${MAX_WAITING} questions about the past wait already.`, "Try again in a moment.");
    const { open } = this.#served;
    this.#session ??= QuerySession.open(open, { memory_limit_mb: 128, threads: 1 });
    const session = this.#session;
    // A session that could not be opened is tried anew by the next who needs one.
    session.catch(() => (this.#session = null));
    if (!is_alone) return ours(session.then(work));
    this.#waiting += 1;
    const turn = this.#turn.then(async () => {
      this.#waiting -= 1;
      this.#refuseWhenClosed();
      return work(await session);
    });
    this.#turn = turn.catch(() => {});
    return ours(turn);
  }

  #refuseWhenClosed(): void {
    if (this.#is_closed) throw refusal("STOPPING", "The server is stopping.", "Try again once it runs.");
  }
}

/** SQL that the server wrote and the engine refuses is the server's failure, and no client's BAD_SQL. */
async function ours<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    if (!(error instanceof OperatingError) || error.code !== "BAD_SQL") throw error;
    throw new Error(`A query of the server's own failed: ${error.message}`, { cause: error });
  }
}

/** From DuckDB's `2023-03-14 02:10:00.123456+00`. */
function microsOf(text: string): number {
  const [, seconds = "", fraction = ""] = /^(.{19})(?:\.(\d{1,6}))?/.exec(text) ?? [];
  return Date.parse(`${seconds.replace(" ", "T")}Z`) * 1000 + Number(fraction.padEnd(6, "0"));
}
