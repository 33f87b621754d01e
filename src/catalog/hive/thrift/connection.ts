import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { messageOf } from "../../../base/errors.ts";
import { encodeCall, Incomplete, MESSAGE_KIND, MessageReader, type StructValue } from "./binary.ts";
import type { Method, Struct } from "./idl.ts";

const CONNECT_TIMEOUT_MS = 5_000;
/** A metastore that creates folders in an object store may take seconds. */
const ANSWER_TIMEOUT_MS = 30_000;
/** Far above any answer of a metastore; a longer one comes from another kind of server. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

/** Answer of a Thrift server if it cannot return any of the method's declared answers (TApplicationException). */
const APPLICATION_EXCEPTION: Struct = {
  name: "TApplicationException",
  fields: [{ id: 1, name: "message", shape: { kind: "string" } }],
};

/** An exception from the server: one that the method declares, or TApplicationException. */
export class ThriftFault extends Error {
  readonly type: string;

  constructor(type: string, message: string) {
    super(message);
    this.name = new.target.name;
    this.type = type;
  }
}

/** No answer arrived. With `is_sent`, the server may have executed the request. */
export class NoAnswer extends Error {
  readonly is_sent: boolean;

  constructor(message: string, is_sent: boolean) {
    super(message);
    this.name = new.target.name;
    this.is_sent = is_sent;
  }
}

interface Pending {
  method: Method;
  sequence_id: number;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** One connection, with one call at a time. Any NoAnswer closes it for good. */
export class ThriftConnection {
  readonly #socket: Socket;
  #pending: Pending | null = null;
  #received: Buffer[] = [];
  #sequence_id = 0;
  #closed_because: string | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#onData(bytes));
    socket.on("error", (error) => this.#fail(error.message));
    socket.on("end", () => this.#fail("the server closed the connection"));
    socket.on("close", () => this.#fail("the connection was closed"));
    socket.on("timeout", () => this.#fail(`nothing came for ${ANSWER_TIMEOUT_MS} ms`));
    // An idle connection must not keep the process alive.
    socket.unref();
  }

  /** Throws NoAnswer. */
  static async open(host: string, port: number): Promise<ThriftConnection> {
    const socket = connect({ host, port });
    try {
      await once(socket, "connect", { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) });
    } catch (error) {
      socket.destroy();
      const is_late = error instanceof Error && error.name === "AbortError";
      throw new NoAnswer(is_late ? `no connection within ${CONNECT_TIMEOUT_MS} ms` : messageOf(error), false);
    }
    return new ThriftConnection(socket);
  }

  get is_open(): boolean {
    return this.#closed_because === null;
  }

  /** Throws ThriftFault, NoAnswer. */
  async call(method: Method, args: StructValue): Promise<unknown> {
    if (this.#closed_because !== null) throw new NoAnswer(this.#closed_because, false);
    assert.equal(this.#pending, null, "one call at a time");
    this.#sequence_id += 1;
    const sequence_id = this.#sequence_id;
    const bytes = encodeCall(method.name, method.args, args, sequence_id);
    this.#socket.ref();
    this.#socket.setTimeout(ANSWER_TIMEOUT_MS);
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#pending = { method, sequence_id, resolve, reject };
        this.#socket.write(bytes);
      });
    } finally {
      this.#pending = null;
      this.#socket.setTimeout(0);
      this.#socket.unref();
    }
  }

  close(): void {
    this.#fail("closed");
  }

  #fail(reason: string): void {
    if (this.#closed_because !== null) return;
    this.#closed_because = reason;
    this.#socket.destroy();
    this.#pending?.reject(new NoAnswer(reason, true));
  }

  #onData(bytes: Buffer): void {
    this.#received.push(bytes);
    const received = Buffer.concat(this.#received);
    this.#received = [received];
    try {
      if (received.length > MAX_ANSWER_BYTES) throw new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`);
      this.#take(received);
    } catch (error) {
      if (error instanceof ThriftFault) this.#pending?.reject(error);
      else if (!(error instanceof Incomplete)) this.#fail(`the answer is no Thrift message: ${messageOf(error)}`);
    }
  }

  #take(received: Buffer): void {
    const pending = this.#pending;
    assert.ok(pending !== null, "it came unasked");
    const reader = new MessageReader(received);
    const header = reader.header();
    const is_exception = header.kind === MESSAGE_KIND.exception;
    const value = reader.struct(is_exception ? APPLICATION_EXCEPTION : pending.method.result);
    assert.equal(header.sequence_id, pending.sequence_id);
    assert.equal(reader.size_bytes, received.length);
    this.#received = [];
    if (is_exception) throw new ThriftFault(APPLICATION_EXCEPTION.name, String(value["message"]));
    pending.resolve(answerIn(pending.method.result, value));
  }
}

/** The answer; undefined for a void method. Throws the exception in the answer, if any. */
function answerIn({ fields }: Struct, value: StructValue): unknown {
  for (const { id, name, shape } of fields) {
    const thrown = id === 0 ? undefined : (value[name] as { message?: string } | undefined);
    if (thrown !== undefined && shape.kind === "struct")
      throw new ThriftFault(shape.struct.name, thrown.message ?? "no further word");
  }
  return value["success"];
}
