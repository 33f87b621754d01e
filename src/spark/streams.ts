import type { MessageInitShape } from "@bufbuild/protobuf";
import { systemClock } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import { parseProgress, type StreamProgress } from "./progress.ts";
import type { StreamingQueryCommandSchema, StreamingQueryInstanceId } from "./protocol/spark/connect/commands_pb.js";
import { SparkRejected } from "./failure.ts";
import type { Relation } from "./relation.ts";
import { SparkSession, type CallOptions } from "./session.ts";

/** The session of Coinlake's streaming queries: any process that uses its id can list, watch and stop them. */
const SESSION_ID = "3f1d0a52-6f0b-5c55-9d7e-c0143a5ee001";
/** Spark itself waits up to one minute for a running batch to stop. */
const STOP_TIMEOUT_MS = 90_000;
/** The polling interval of watchers. */
const LOOK_MS = 500;

export interface StreamDefinition {
  /**
   * Unique among running queries. Spark stores the query's checkpoint under this name, and a restart resumes from it.
   */
  name: string;
  input: Relation;
  /** The table to which rows are appended: one commit per batch, each batch once. */
  table: string;
  /**
   * The interval between the starts of batches; after a batch that takes longer, the next starts at once. `available`:
   * process the records available now, then end.
   */
  trigger: { every_ms: number } | "available";
  /** Options of the table's format. */
  options?: Readonly<Record<string, string>>;
}

export interface StreamStatus {
  is_active: boolean;
  is_data_available: boolean;
  /** Spark's status message, such as "Waiting for next trigger". */
  message: string;
}

export type StreamEvent =
  | { kind: "progress"; query: StreamingQuery; progress: StreamProgress }
  | { kind: "ended"; query: StreamingQuery; failure: string | null };

/** The streaming queries of one Spark server, which run with or without the process that started them. */
export class SparkStreams {
  readonly session: SparkSession;

  constructor(remote: string) {
    this.session = new SparkSession({ remote, session_id: SESSION_ID });
  }

  /**
   * Starts a query, or returns the running one. Throws as the session does; after SPARK_TIMED_OUT the query may run,
   * and the call can be repeated.
   */
  async start(definition: StreamDefinition): Promise<StreamingQuery> {
    const { name } = definition;
    const running = await this.find(name);
    if (running !== null) return running;
    try {
      return await this.#startNew(definition);
    } catch (error) {
      // If two clients start the query at once, Spark rejects one.
      const started = error instanceof SparkRejected ? await this.find(name) : null;
      if (started === null) throw error;
      return started;
    }
  }

  async #startNew({ name, input, table, trigger, options = {} }: StreamDefinition): Promise<StreamingQuery> {
    const { value } = await this.session.ask(
      {
        case: "writeStreamOperationStart",
        value: {
          input,
          format: "iceberg",
          options,
          outputMode: "append",
          queryName: name,
          trigger:
            trigger === "available"
              ? { case: "availableNow", value: true }
              : { case: "processingTimeInterval", value: `${trigger.every_ms} milliseconds` },
          sinkDestination: { case: "tableName", value: table },
        },
      },
      "writeStreamOperationStartResult",
      `start the stream "${name}"`,
    );
    return new StreamingQuery(this.session, known(value.queryId), name);
  }

  async list(): Promise<StreamingQuery[]> {
    const command = {
      case: "streamingQueryManagerCommand",
      value: { command: { case: "active", value: true } },
    } as const;
    const { value } = await this.session.ask(command, "streamingQueryManagerCommandResult", "list its streams");
    const queries = value.resultType.case === "active" ? value.resultType.value.activeQueries : [];
    return queries.map(({ id, name }) => new StreamingQuery(this.session, known(id), name ?? ""));
  }

  /** Null where no query of this name runs. */
  async find(name: string): Promise<StreamingQuery | null> {
    return (await this.list()).find((query) => query.name === name) ?? null;
  }

  /**
   * Resolves, once the watch has started, to the events of all queries from then on, until the signal aborts. Rejects
   * when the server becomes unreachable. It polls, because Spark pushes events to only one listener per session, and
   * there may be several watchers.
   */
  async watch(signal: AbortSignal): Promise<AsyncGenerator<StreamEvent>> {
    const watched = new Map<string, Watched>();
    for (const query of await this.list())
      watched.set(query.run_id, { query, told_until: (await query.lastProgress())?.at ?? "" });
    return this.#eventsOf(watched, signal);
  }

  async *#eventsOf(watched: Map<string, Watched>, signal: AbortSignal): AsyncGenerator<StreamEvent> {
    for (;;) {
      await systemClock.wait(LOOK_MS, signal);
      const running = await this.list();
      for (const query of running) if (!watched.has(query.run_id)) watched.set(query.run_id, { query, told_until: "" });
      for (const one of watched.values()) {
        const { query } = one;
        for (const progress of await query.recentProgress()) {
          if (progress.at <= one.told_until) continue;
          one.told_until = progress.at;
          yield { kind: "progress", query, progress };
        }
        if (running.some(({ run_id }) => run_id === query.run_id)) continue;
        watched.delete(query.run_id);
        yield { kind: "ended", query, failure: await query.failure() };
      }
    }
  }

  /** Disconnects; the queries continue. */
  disconnect(): void {
    this.session.disconnect();
  }
}

/** Spark's message for an unknown run; its condition is INTERNAL_ERROR, which other errors have too. */
const OF_NO_RUN = /\[INTERNAL_ERROR\] (Streaming query \S+ is not found|Run id mismatch)/;

interface Watched {
  query: StreamingQuery;
  /** Start of the newest reported batch; ISO 8601, so that text order is time order. */
  told_until: string;
}

interface Instance {
  /** The id of the query across all its runs. */
  id: string;
  run_id: string;
}

function known(instance: StreamingQueryInstanceId | undefined): Instance {
  if (instance === undefined) throw new TypeError("Spark names every query by its ids");
  return { id: instance.id, run_id: instance.runId };
}

/**
 * One run of a streaming query. Its methods throw STREAM_LOST where Spark does not know the run: Spark was restarted,
 * or another process restarted the stream.
 */
export class StreamingQuery {
  readonly id: string;
  readonly run_id: string;
  readonly name: string;
  readonly #session: SparkSession;

  constructor(session: SparkSession, { id, run_id }: Instance, name: string) {
    this.id = id;
    this.run_id = run_id;
    this.name = name;
    this.#session = session;
  }

  async status(): Promise<StreamStatus> {
    const result = await this.#ask({ case: "status", value: true }, "tell the state of");
    if (result.case !== "status") throw new TypeError("Spark answers what it was asked");
    const { isActive, isDataAvailable, statusMessage } = result.value;
    return { is_active: isActive, is_data_available: isDataAvailable, message: statusMessage };
  }

  /** Null before the first batch. */
  async lastProgress(): Promise<StreamProgress | null> {
    return (await this.#progress("lastProgress")).at(-1) ?? null;
  }

  /** The last batches, oldest first; Spark keeps a hundred. */
  async recentProgress(): Promise<StreamProgress[]> {
    return await this.#progress("recentProgress");
  }

  async #progress(command: "lastProgress" | "recentProgress"): Promise<StreamProgress[]> {
    const result = await this.#ask({ case: command, value: true }, "tell the progress of");
    return result.case === "recentProgress" ? result.value.recentProgressJson.map(parseProgress) : [];
  }

  /** The query's error; null for a query that did not fail. */
  async failure(): Promise<string | null> {
    const result = await this.#ask({ case: "exception", value: true }, "tell the failure of");
    return result.case === "exception" ? (result.value.exceptionMessage ?? null) : null;
  }

  /**
   * Resolves when all records that the source held at the call are committed. Throws STREAM_FAILED where the query
   * fails before.
   */
  async drain(options: CallOptions = {}): Promise<void> {
    await this.#orFailed(() => this.#ask({ case: "processAllAvailable", value: true }, "drain", options));
  }

  /**
   * Resolves to whether the query ended within this time, because it was stopped or complete. Throws STREAM_FAILED
   * where it failed.
   */
  async waitForEnd(within_ms: number): Promise<boolean> {
    const command = { case: "awaitTermination", value: { timeoutMs: BigInt(within_ms) } } as const;
    const result = await this.#orFailed(() =>
      this.#ask(command, "await the end of", { timeout_ms: within_ms + STOP_TIMEOUT_MS }),
    );
    return result.case === "awaitTermination" && result.value.terminated;
  }

  /** Resolves when the query has stopped; the next run repeats an interrupted batch. */
  async stop(): Promise<void> {
    await this.#ask({ case: "stop", value: true }, "stop", { timeout_ms: STOP_TIMEOUT_MS });
  }

  async #ask(
    command: MessageInitShape<typeof StreamingQueryCommandSchema>["command"],
    doing: string,
    options: CallOptions = {},
  ) {
    const query = { queryId: { id: this.id, runId: this.run_id }, command };
    try {
      const { value } = await this.#session.ask(
        { case: "streamingQueryCommand", value: query },
        "streamingQueryCommandResult",
        `${doing} the stream "${this.name}"`,
        options,
      );
      return value.resultType;
    } catch (error) {
      throw error instanceof SparkRejected && OF_NO_RUN.test(error.message) ? lost(this.name, error) : error;
    }
  }

  async #orFailed<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      const is_rejected = error instanceof OperatingError && error.code === "SPARK_REJECTED";
      const failure = is_rejected ? await this.failure() : null;
      if (failure === null) throw error;
      throw new OperatingError("STREAM_FAILED", `The stream "${this.name}" failed: ${failure.split("\n")[0]}`, {
        next_step: "Correct what it names, then start it again: it continues with the batch that failed.",
        cause: error,
      });
    }
  }
}

function lost(name: string, cause: unknown): OperatingError {
  return new OperatingError(
    "STREAM_LOST",
    `Spark no longer knows this run of the stream "${name}": Spark or the stream was restarted`,
    {
      next_step: "Look for it by its name; where it does not run, start it, and it goes on from its checkpoint.",
      cause,
    },
  );
}
