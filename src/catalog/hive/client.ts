import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { OperatingError, UnknownOutcome } from "../../base/errors.ts";
import { badRequest } from "../../iceberg/errors.ts";
import type { MetastoreMethods, MethodName } from "./service.ts";
import type { StructValue } from "./thrift/binary.ts";
import { NoAnswer, ThriftConnection } from "./thrift/connection.ts";
import { parseIdl, type Method } from "./thrift/idl.ts";

const METHODS = parseIdl(readFileSync(new URL("metastore.thrift", import.meta.url), "utf8"));
const DEFAULT_PORT = 9083;
/** Limit on connections, because a metastore uses one thread for each; further calls wait. */
const MAX_CONNECTIONS = 8;

/**
 * Set on each connection, for that connection only: a metastore otherwise compares columns by position, and so rejects
 * dropped and moved columns. Iceberg identifies columns by id.
 */
const COLUMNS_MAY_CHANGE = { key: "metastore.disallow.incompatible.col.type.changes", value: "false" };

type Args<M extends MethodName> = MetastoreMethods[M]["args"];
type Answer<M extends MethodName> = MetastoreMethods[M]["answer"];

/**
 * Calls to one metastore. Throws ThriftFault for errors that the metastore reports; other errors state the effect on
 * the caller.
 */
export class MetastoreClient {
  readonly #host: string;
  readonly #port: number;
  readonly #idle: ThriftConnection[] = [];
  readonly #waiting: (() => void)[] = [];
  #in_use = 0;
  #is_closed = false;

  /** The URI has the form `thrift://host:port`. Throws INVALID_REQUEST. */
  constructor(uri: string) {
    const url = URL.canParse(uri) ? new URL(uri) : null;
    if (url?.protocol !== "thrift:" || url.hostname === "")
      throw badRequest(`${JSON.stringify(uri)} is no address of a Hive Metastore (thrift://host:9083)`);
    this.#host = url.hostname;
    this.#port = url.port === "" ? DEFAULT_PORT : Number(url.port);
  }

  /**
   * Calls a method without side effects. Retries once if the answer is lost, for example because the metastore was
   * restarted.
   */
  async read<M extends MethodName>(name: M, args: Args<M>): Promise<Answer<M>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#call(name, args);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        if (attempt === 2 || !error.is_sent) throw this.#unreachable(error);
      }
    }
  }

  /** Calls a method with side effects, without retry. Throws UnknownOutcome if the answer is lost. */
  async change<M extends MethodName>(name: M, args: Args<M>): Promise<Answer<M>> {
    try {
      return await this.#call(name, args);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      if (!error.is_sent) throw this.#unreachable(error);
      throw new UnknownOutcome(
        `The Hive Metastore at ${this.#host}:${this.#port} was asked to ${name} and gave no answer: ${error.message}`,
        error,
      );
    }
  }

  /** Calls in progress complete. */
  close(): void {
    this.#is_closed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  async #call<M extends MethodName>(name: M, args: Args<M>): Promise<Answer<M>> {
    if (this.#in_use >= MAX_CONNECTIONS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#in_use += 1;
    try {
      const connection = this.#idleConnection() ?? (await this.#open());
      try {
        return (await connection.call(methodNamed(name), args as StructValue)) as Answer<M>;
      } finally {
        if (this.#is_closed) connection.close();
        else if (connection.is_open) this.#idle.push(connection);
      }
    } finally {
      this.#in_use -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #open(): Promise<ThriftConnection> {
    const connection = await ThriftConnection.open(this.#host, this.#port);
    try {
      await connection.call(methodNamed("setMetaConf"), COLUMNS_MAY_CHANGE);
      return connection;
    } catch (error) {
      connection.close();
      // The caller's request has not been sent yet.
      throw error instanceof NoAnswer ? new NoAnswer(error.message, false) : error;
    }
  }

  #idleConnection(): ThriftConnection | null {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop())
      if (connection.is_open) return connection;
    return null;
  }

  #unreachable(error: NoAnswer): OperatingError {
    return new OperatingError(
      "METASTORE_FAILED",
      `The Hive Metastore at ${this.#host}:${this.#port} gave no answer: ${error.message}`,
      {
        next_step: "Check that it runs and listens there, then try again.",
        cause: error,
      },
    );
  }
}

function methodNamed(name: MethodName): Method {
  const method = METHODS.get(name);
  assert.ok(method !== undefined, `metastore.thrift does not declare ${name}`);
  return method;
}
