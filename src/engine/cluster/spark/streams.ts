import type { MessageInitShape } from "@bufbuild/protobuf";
import { OperatingError } from "../../../errors.ts";
import { parseProgress, type StreamProgress } from "./progress.ts";
import { StreamingQueryEventType, type StreamingQueryCommandSchema, type StreamingQueryInstanceId } from "./protocol/spark/connect/commands_pb.js";
import type { Relation } from "./relation.ts";
import { SparkSession, type CallOptions, type Command, type Response } from "./session.ts";

/** The session that Coinlake's streaming queries belong to: any process that names it lists, watches and stops them. */
const SESSION_ID = "3f1d0a52-6f0b-5c55-9d7e-c0143a5ee001";
/** Spark's own minute for stopping what a batch is busy with, and some. */
const STOP_TIMEOUT_MS = 90_000;

export interface StreamDefinition {
  /** Unique among those that run. Spark keeps the query's checkpoint under it: the same name goes on where the last run of it stopped. */
  name: string;
  input: Relation;
  /** Rows are appended to it, each batch in one commit, and each batch once. */
  table: string;
  /** A batch begins this long after the one before began, or at once where that one took longer. `available`: what is there now, then it ends. */
  trigger: { every_ms: number } | "available";
  /** Of the table's format. */
  options?: Readonly<Record<string, string>>;
}

export interface StreamStatus {
  is_active: boolean;
  is_data_available: boolean;
  /** Spark's words: "Waiting for next trigger". */
  message: string;
}

export type StreamEvent =
  | { kind: "progress"; progress: StreamProgress }
  | { kind: "idle"; query_id: string; at: string }
  | { kind: "ended"; query_id: string; failure: string | null };

/** Streaming queries of one Spark: they run in the server, with or without whoever started them. */
export class SparkStreams {
  readonly session: SparkSession;

  constructor(remote: string) {
    this.session = new SparkSession({ remote, session_id: SESSION_ID });
  }

  /** Starts a query, or finds it running. Throws what a session throws; SPARK_TIMED_OUT leaves open whether it runs, and this may be called again. */
  async start({ name, input, table, trigger, options = {} }: StreamDefinition): Promise<StreamingQuery> {
    const running = await this.find(name);
    if (running !== null) return running;
    const { value } = await this.session.ask(
      {
        case: "writeStreamOperationStart",
        value: {
          input,
          format: "iceberg",
          options,
          outputMode: "append",
          queryName: name,
          trigger: trigger === "available" ? { case: "availableNow", value: true } : { case: "processingTimeInterval", value: `${trigger.every_ms} milliseconds` },
          sinkDestination: { case: "tableName", value: table },
        },
      },
      "writeStreamOperationStartResult",
      `start the stream "${name}"`,
    );
    return new StreamingQuery(this.session, known(value.queryId), name);
  }

  async list(): Promise<StreamingQuery[]> {
    const command = { case: "streamingQueryManagerCommand", value: { command: { case: "active", value: true } } } as const;
    const { value } = await this.session.ask(command, "streamingQueryManagerCommandResult", "list its streams");
    const queries = value.resultType.case === "active" ? value.resultType.value.activeQueries : [];
    return queries.map(({ id, name }) => new StreamingQuery(this.session, known(id), name ?? ""));
  }

  /** Null where no query of this name runs. */
  async find(name: string): Promise<StreamingQuery | null> {
    return (await this.list()).find((query) => query.name === name) ?? null;
  }

  /**
   * Resolves once it listens: to what all queries do from now on, as they do it, until the signal aborts. Rejects when the server
   * goes away. Spark has one listener a session: throws STREAMS_LISTENED_TO where somebody else is it.
   */
  async listen(signal: AbortSignal): Promise<AsyncGenerator<StreamEvent>> {
    const responses = this.session.execute(listenerCommand("addListenerBusListener"), "tell what its streams do", { timeout_ms: null, signal });
    const first = await responses.next();
    if (first.done || first.value.case !== "streamingQueryListenerEventsResult" || !first.value.value.listenerBusListenerAdded) {
      throw new OperatingError("STREAMS_LISTENED_TO", "Another process listens to Spark's streams, and Spark tells only one.", {
        next_step: "Stop that one, or list the streams instead: their progress can be asked for by any number.",
        is_retryable: true,
      });
    }
    return this.#eventsOf(responses);
  }

  async *#eventsOf(responses: AsyncGenerator<Response>): AsyncGenerator<StreamEvent> {
    try {
      for await (const response of responses) {
        if (response.case !== "streamingQueryListenerEventsResult") continue;
        for (const { eventType, eventJson } of response.value.events) yield eventOf(eventType, eventJson);
      }
    } finally {
      // Spark does not notice that nobody listens any more.
      for await (const _ of this.session.execute(listenerCommand("removeListenerBusListener"), "forget a listener"));
    }
  }

  /** Leaves; the queries go on. */
  disconnect(): void {
    this.session.disconnect();
  }
}

function listenerCommand(command: "addListenerBusListener" | "removeListenerBusListener"): Command {
  return { case: "streamingQueryListenerBusCommand", value: { command: { case: command, value: true } } };
}

function eventOf(type: StreamingQueryEventType, json: string): StreamEvent {
  if (type === StreamingQueryEventType.QUERY_PROGRESS_EVENT) {
    return { kind: "progress", progress: parseProgress(JSON.stringify((JSON.parse(json) as { progress: unknown }).progress)) };
  }
  const told = JSON.parse(json) as { id: string; timestamp: string; exception?: string | null };
  if (type === StreamingQueryEventType.QUERY_IDLE_EVENT) return { kind: "idle", query_id: told.id, at: told.timestamp };
  return { kind: "ended", query_id: told.id, failure: told.exception ?? null };
}

interface Instance {
  /** Of the query, over all its runs. */
  id: string;
  run_id: string;
}

function known(instance: StreamingQueryInstanceId | undefined): Instance {
  if (instance === undefined) throw new TypeError("Spark names every query by its ids");
  return { id: instance.id, run_id: instance.runId };
}

/** One run of a streaming query. */
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
    const result = await this.#ask({ case: "lastProgress", value: true }, "tell the progress of");
    const json = result.case === "recentProgress" ? result.value.recentProgressJson[0] : undefined;
    return json === undefined ? null : parseProgress(json);
  }

  /** Why it failed; null for a query that did not. */
  async failure(): Promise<string | null> {
    const result = await this.#ask({ case: "exception", value: true }, "tell the failure of");
    return result.case === "exception" ? (result.value.exceptionMessage ?? null) : null;
  }

  /** Resolves when all that its source held at the call is committed. Throws STREAM_FAILED where it fails before. */
  async drain(options: CallOptions = {}): Promise<void> {
    await this.#orFailed(() => this.#ask({ case: "processAllAvailable", value: true }, "drain", options));
  }

  /** Resolves to whether it has ended within this time, by being stopped or having done all it was to do. Throws STREAM_FAILED where it failed. */
  async waitForEnd(within_ms: number): Promise<boolean> {
    const command = { case: "awaitTermination", value: { timeoutMs: BigInt(within_ms) } } as const;
    const result = await this.#orFailed(() => this.#ask(command, "await the end of", { timeout_ms: within_ms + STOP_TIMEOUT_MS }));
    return result.case === "awaitTermination" && result.value.terminated;
  }

  /** Resolves when it has stopped; a batch that was under way is done again by the next run. */
  async stop(): Promise<void> {
    await this.#ask({ case: "stop", value: true }, "stop", { timeout_ms: STOP_TIMEOUT_MS });
  }

  async #ask(command: MessageInitShape<typeof StreamingQueryCommandSchema>["command"], doing: string, options: CallOptions = {}) {
    const { value } = await this.#session.ask(
      { case: "streamingQueryCommand", value: { queryId: { id: this.id, runId: this.run_id }, command } },
      "streamingQueryCommandResult",
      `${doing} the stream "${this.name}"`,
      options,
    );
    return value.resultType;
  }

  async #orFailed<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      const is_refused = error instanceof OperatingError && error.code === "SPARK_REFUSED";
      const failure = is_refused ? await this.failure() : null;
      if (failure === null) throw error;
      throw new OperatingError("STREAM_FAILED", `The stream "${this.name}" failed: ${failure.split("\n")[0]}`, {
        next_step: "Nothing is lost: mend what it says, then start it again, and it goes on at the batch that failed.",
        cause: error,
      });
    }
  }
}
