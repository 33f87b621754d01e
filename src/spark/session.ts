import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { OperatingError } from "../base/errors.ts";
import { SparkRefused, sparkFailure } from "./failure.ts";
import type { ExecutePlanResponse, PlanSchema } from "./protocol/spark/connect/base_pb.js";
import { InterruptRequest_InterruptType, SparkConnectService } from "./protocol/spark/connect/base_pb.js";
import type { CommandSchema } from "./protocol/spark/connect/commands_pb.js";
import { sqlRelation, type Relation } from "./relation.ts";
import { rowsFromArrow, type SparkRow } from "./rows.ts";

export interface SessionOptions {
  /** `sc://host:port`: what SPARK_REMOTE holds. */
  remote: string;
  /** A UUID. Views and streaming queries belong to a session: whoever names the same one finds them. By default one of its own. */
  session_id?: string;
  /** For each call that does not say otherwise. */
  timeout_ms?: number;
}

export interface CallOptions {
  /** Null waits for as long as it takes. */
  timeout_ms?: number | null;
  signal?: AbortSignal;
}

type Command = MessageInitShape<typeof CommandSchema>["commandType"];
type Response = ExecutePlanResponse["responseType"];

const DEFAULT_TIMEOUT_MS = 60_000;
/** Spark sends results in parts of 4 MB; a single row may be larger. */
const MAX_MESSAGE_BYTES = 128 * 1024 * 1024;
/**
 * A server that left without a word is noticed within the sum of these, while something is awaited from it. gRPC's servers cut off
 * who pings more often than every five minutes.
 */
const PING_INTERVAL_MS = 330_000;
const PING_TIMEOUT_MS = 20_000;
const INTERRUPT_TIMEOUT_MS = 5_000;
/** A commit that is under way comes first. */
const END_TIMEOUT_MS = 120_000;
const USER = { userId: "coinlake", userName: "coinlake" };

/**
 * A session with Spark over Spark Connect. Every call rejects with SPARK_UNREACHABLE, SPARK_TIMED_OUT, SPARK_SESSION_CLOSED or
 * SPARK_REFUSED (a SparkRefused), or with the reason of the signal that ended it. Nothing is tried twice: the caller knows what may be.
 */
export class SparkSession {
  readonly session_id: string;
  readonly #remote: string;
  readonly #timeout_ms: number;
  readonly #connection: Http2SessionManager;
  readonly #client: Client<typeof SparkConnectService>;

  constructor({ remote, session_id = randomUUID(), timeout_ms = DEFAULT_TIMEOUT_MS }: SessionOptions) {
    const url = urlOf(remote);
    this.session_id = session_id;
    this.#remote = remote;
    this.#timeout_ms = timeout_ms;
    this.#connection = new Http2SessionManager(url, {
      pingIntervalMs: PING_INTERVAL_MS,
      pingTimeoutMs: PING_TIMEOUT_MS,
    });
    this.#client = createClient(
      SparkConnectService,
      createGrpcTransport({ baseUrl: url, sessionManager: this.#connection, readMaxBytes: MAX_MESSAGE_BYTES }),
    );
  }

  async version(options: CallOptions = {}): Promise<string> {
    const request = { ...this.#who(), analyze: { case: "sparkVersion", value: {} } } as const;
    const { result } = await this.#asked("say its version", options, () =>
      this.#client.analyzePlan(request, this.#limits(options)),
    );
    if (result.case !== "sparkVersion") throw new TypeError("Spark answers what it was asked");
    return result.value.version;
  }

  /** Runs a statement, whatever it is; its rows, none where it has no result. */
  async sql(statement: string, options: CallOptions = {}): Promise<SparkRow[]> {
    const { value } = await this.ask(
      { case: "sqlCommand", value: { input: sqlRelation(statement) } },
      "sqlCommandResult",
      "run a statement",
      options,
    );
    return value.relation === undefined ? [] : await this.#collect(value.relation, options);
  }

  async #collect(relation: Relation, options: CallOptions): Promise<SparkRow[]> {
    const rows: SparkRow[] = [];
    for await (const response of this.#run(
      { opType: { case: "root", value: relation } },
      "give a statement's rows",
      options,
    )) {
      if (response.case === "arrowBatch") for (const row of rowsFromArrow(response.value.data)) rows.push(row);
    }
    return rows;
  }

  /** Runs a command that has one answer of a kind, and waits for its end. `doing` completes "Spark could not ...". */
  async ask<Case extends Response["case"]>(
    command: Command,
    wanted: Case,
    doing: string,
    options: CallOptions = {},
  ): Promise<Extract<Response, { case: Case }>> {
    let answer: Response | undefined;
    for await (const response of this.#run(
      { opType: { case: "command", value: { commandType: command } } },
      doing,
      options,
    )) {
      if (response.case === wanted) answer = response;
    }
    if (answer === undefined) throw new TypeError(`Spark's answer has no ${wanted}`);
    return answer as Extract<Response, { case: Case }>;
  }

  async *#run(
    plan: MessageInitShape<typeof PlanSchema>,
    doing: string,
    options: CallOptions,
  ): AsyncGenerator<Response> {
    const operation_id = randomUUID();
    let is_over = false;
    try {
      const responses = this.#client.executePlan(
        { ...this.#who(), operationId: operation_id, plan },
        this.#limits(options),
      );
      for await (const { responseType } of responses) yield responseType;
      is_over = true;
    } catch (error) {
      options.signal?.throwIfAborted();
      const failure = sparkFailure(error, this.#remote, doing);
      is_over = failure instanceof OperatingError && failure.code !== "SPARK_TIMED_OUT";
      throw failure;
    } finally {
      if (!is_over) await this.#interrupt(operation_id);
    }
  }

  /** Spark goes on with what nobody waits for any more, on all its cores, unless it is told. */
  async #interrupt(operation_id: string): Promise<void> {
    const request = {
      ...this.#who(),
      interruptType: InterruptRequest_InterruptType.OPERATION_ID,
      interrupt: { case: "operationId", value: operation_id },
    } as const;
    try {
      await this.#client.interrupt(request, { timeoutMs: INTERRUPT_TIMEOUT_MS });
    } catch (error) {
      // Then it does not hear us; the caller is told what came before.
      if (!(error instanceof ConnectError)) throw error;
    }
  }

  async #asked<T>(doing: string, options: CallOptions, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      options.signal?.throwIfAborted();
      throw sparkFailure(error, this.#remote, doing);
    }
  }

  #who() {
    return { sessionId: this.session_id, userContext: USER, clientType: "coinlake" };
  }

  #limits({ timeout_ms = this.#timeout_ms, signal }: CallOptions) {
    return { ...(timeout_ms !== null && { timeoutMs: timeout_ms }), ...(signal && { signal }) };
  }

  /**
   * Ends what the session is busy with, for whomever, and resolves once all of it has ended: to how many statements that were. Those of a
   * client that is gone are meant, such as PySpark's, which Spark goes on with.
   */
  async endStatements(): Promise<number> {
    const request = { ...this.#who(), interruptType: InterruptRequest_InterruptType.ALL };
    const { interruptedIds } = await this.#asked("end statements", {}, () =>
      this.#client.interrupt(request, this.#limits({})),
    );
    await Promise.all(interruptedIds.map((id) => this.#untilEnded(id)));
    return interruptedIds.length;
  }

  /** A statement that was told to end may commit before it does. Who attaches to it hears its end. */
  async #untilEnded(operation_id: string): Promise<void> {
    const options = { timeout_ms: END_TIMEOUT_MS };
    try {
      for (let is_over = false; !is_over;) {
        const responses = this.#client.reattachExecute(
          { ...this.#who(), operationId: operation_id },
          this.#limits(options),
        );
        for await (const { responseType } of responses) is_over = responseType.case === "resultComplete";
      }
    } catch (error) {
      const failure = sparkFailure(error, this.#remote, "end a statement");
      // It ended as it was told to, or had ended before.
      if (!(failure instanceof SparkRefused)) throw failure;
    }
  }

  /** Ends the session on the server with all that belongs to it, streaming queries included; its id is refused from then on. */
  async release(): Promise<void> {
    await this.#asked("end a session", {}, () => this.#client.releaseSession(this.#who(), this.#limits({})));
    this.disconnect();
  }

  /** Leaves; what the session has stays on the server. */
  disconnect(): void {
    this.#connection.abort();
  }
}

function urlOf(remote: string): string {
  const found = /^sc:\/\/([^/;?#]+?)\/?$/.exec(remote);
  if (found !== null && URL.canParse(`http://${found[1]}`)) return `http://${found[1]}`;
  throw new OperatingError("INVALID_SPARK_REMOTE", `"${remote}" is no address of Spark Connect`, {
    next_step: "Give it as sc://HOST:PORT, such as sc://127.0.0.1:15002; parameters behind it are not taken.",
  });
}
