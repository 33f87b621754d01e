import { once } from "node:events";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { OperatingError } from "../../base/errors.ts";
import type { AppendAnswer, AppendFailure, AppendMessage, AppendRequest, AppendTarget } from "./append-worker.ts";

interface Waiter {
  resolve(): void;
  reject(reason: unknown): void;
}

/**
 * The thread that waits for the disk: an fsync takes milliseconds under load and would block the event loop for that
 * time. It starts with the first append, keeps the process alive only while an append is pending, and runs requests in
 * order. After it has ended unexpectedly, every append fails with LOG_FAILED; only a read shows which pending appends
 * are durable.
 */
export class AppendThread {
  readonly #target: AppendTarget;
  readonly #under_way: Waiter[] = [];
  #worker: Worker | null = null;
  #ended: OperatingError | null = null;

  constructor(target: AppendTarget) {
    this.#target = target;
  }

  /** Resolves when the segments and the position are on disk. The segments' buffers are transferred to the thread. */
  append(request: Omit<AppendRequest, "deadline_ns">): Promise<void> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const worker = (this.#worker ??= this.#start());
    const deadline_ns = process.hrtime.bigint() + BigInt(Math.ceil(this.#target.busy_timeout_ms * 1e6));
    const buffers = request.segments.flatMap(({ index, payloads }) => [
      index.buffer as ArrayBuffer,
      payloads.buffer as ArrayBuffer,
    ]);
    return new Promise((resolve, reject) => {
      worker.postMessage({ ...request, deadline_ns } satisfies AppendMessage, buffers);
      this.#under_way.push({ resolve, reject });
      worker.ref();
    });
  }

  /** Closes after the pending appends. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return;
    worker.ref();
    worker.postMessage("end" satisfies AppendMessage, []);
    await once(worker, "exit");
  }

  #start(): Worker {
    const script = `append-worker${extname(import.meta.filename)}`;
    const worker = new Worker(new URL(script, import.meta.url), {
      workerData: this.#target,
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
    let reason: unknown;
    worker.on("message", (answer: AppendAnswer) => {
      const waiter = this.#under_way.shift();
      if (this.#under_way.length === 0) worker.unref();
      if (answer === null) waiter?.resolve();
      else waiter?.reject(thrownBy(answer));
    });
    worker.on("error", (error) => (reason = error));
    worker.on("exit", () => {
      this.#worker = null;
      this.#ended = ended(this.#target.file, reason);
      for (const waiter of this.#under_way.splice(0)) waiter.reject(this.#ended);
    });
    return worker;
  }
}

function thrownBy({ message, operating, cause }: AppendFailure): Error {
  return operating === undefined
    ? new Error(message, { cause })
    : new OperatingError(operating.code, message, { ...operating, cause });
}

function ended(file: string, cause: unknown): OperatingError {
  return new OperatingError("LOG_FAILED", `The thread that appends to the log ${file} has ended`, {
    next_step:
      "Start again: what was acknowledged is on disk. `npm run -s coinlake -- verify` tells whether the log is whole.",
    cause,
  });
}
