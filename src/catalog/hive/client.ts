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
/** A metastore serves each with a thread of its own, so calls beyond that wait for their turn here. */
const MAX_CONNECTIONS = 8;

/**
 * Said on each connection, for that connection: a metastore otherwise compares columns by place, and so refuses to hear that one
 * was dropped or moved. Iceberg tells columns by id.
 */
const COLUMNS_MAY_CHANGE = { key: "metastore.disallow.incompatible.col.type.changes", value: "false" };

type Args<M extends MethodName> = MetastoreMethods[M]["args"];
type Answer<M extends MethodName> = MetastoreMethods[M]["answer"];

/** Calls to one metastore. Throws ThriftFault for what it answers; what else is thrown says what that means for the caller. */
export class MetastoreClient {
  readonly #host: string;
  readonly #port: number;
  readonly #idle: ThriftConnection[] = [];
  readonly #waiting: (() => void)[] = [];
  #in_use = 0;
  #is_closed = false;

  /** `thrift://host:port`. Throws INVALID_REQUEST. */
  constructor(uri: string) {
    const url = URL.canParse(uri) ? new URL(uri) : null;
    if (url?.protocol !== "thrift:" || url.hostname === "")
      throw badRequest(`${JSON.stringify(uri)} is no address of a Hive Metastore (thrift://host:9083)`);
    this.#host = url.hostname;
    this.#port = url.port === "" ? DEFAULT_PORT : Number(url.port);
  }

  /** For what changes nothing: asked once more where an answer is lost, as it is when the metastore was started anew. */
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

  /** For what changes something: never repeated. A lost answer is an UnknownOutcome. */
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

  /** Calls in progress get their answers. */
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
      // What the caller asks for has not been sent yet.
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
