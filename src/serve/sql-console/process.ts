import { onAbort, unlessAborted } from "../../base/abortable.ts";
import { spawn, type ChildProcess } from "node:child_process";
import { OperatingError } from "../../base/errors.ts";
import { requestError } from "../problem.ts";
import type { Failure, QueryLimits, QueryOutcome, Reply, Request } from "./protocol.ts";

/** Opening the lake takes a second or two. */
const START_TIMEOUT_MS = 60_000;
/** Time to stop after a cancel or shutdown; then the process is killed. */
const GRACE_MS = 2_000;
const STDERR_KEPT_CHARACTERS = 2_000;
const HEAP_MB = 512;

/** Environment variables passed to the process; none of them may hold a secret. */
const PASSED_VARIABLES = [
  "PATH",
  "HOME",
  "TMPDIR",
  "TEMP",
  "TMP",
  "LANG",
  "LC_ALL",
  "SYSTEMROOT",
  "LD_LIBRARY_PATH",
  "MALLOC_ARENA_MAX",
  "MALLOC_MMAP_THRESHOLD_",
  "DUCKDB_JE_MALLOC_CONF",
  "UV_THREADPOOL_SIZE",
  "COINLAKE_TOOLS",
];

interface PendingReply {
  resolve(reply: Extract<Reply, { kind: "result" | "exported" }>): void;
  reject(error: Error): void;
}

interface QueryRequest {
  sql: string;
  at_ms: number | null;
  limits: QueryLimits;
}

type UnnumberedRequest =
  Extract<Request, { kind: "run" | "export" }> extends infer R ? (R extends unknown ? Omit<R, "id"> : never) : never;

/** A failure of a console query, with its position in the SQL. */
export class ConsoleFailure extends OperatingError {
  readonly position: number | null;

  constructor({ code, message, next_step, position }: Failure) {
    super(code, message, { next_step });
    this.position = position;
  }
}

/** One console process, from its start to its end. */
export class ConsoleProcess {
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<number, PendingReply>();
  #last_id = 0;
  #stderr = "";
  #ending: string | null = null;
  #is_alive = true;

  constructor(command: string, args: readonly string[]) {
    const env = Object.fromEntries(
      PASSED_VARIABLES.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    );
    this.#child = spawn(command, [`--max-old-space-size=${HEAP_MB}`, ...args], {
      env: { ...env, NO_COLOR: "1" },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      serialization: "advanced",
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT_CHARACTERS);
    });
    this.#exited = new Promise((resolve) => {
      const ended = (how: string) => {
        this.#died(how);
        resolve();
      };
      this.#child.once("error", (error) => ended(error.message));
      this.#child.once("exit", (code, signal) => ended(signal ?? `exit code ${code}`));
    });
    this.#ready = this.#untilReady();
    // The first request reports a failed start.
    this.#ready.catch(() => {});
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  /** Whether the process accepts queries; false while it is ending. */
  get is_alive(): boolean {
    return this.#is_alive && this.#ending === null;
  }

  async run(request: QueryRequest, signal: AbortSignal): Promise<QueryOutcome> {
    const reply = await this.#request({ kind: "run", ...request }, signal);
    if (reply.kind !== "result") throw new TypeError(`a query is not answered by ${reply.kind}`);
    return reply.outcome;
  }

  /** Resolves to the number of rows written. */
  async export(
    request: QueryRequest & { format: "csv" | "parquet"; file: string },
    signal: AbortSignal,
  ): Promise<number> {
    const reply = await this.#request({ kind: "export", ...request }, signal);
    if (reply.kind !== "exported") throw new TypeError(`an export is not answered by ${reply.kind}`);
    return reply.rows;
  }

  async end(): Promise<void> {
    if (!this.#is_alive) return;
    this.#ending ??= "it was stopped";
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), GRACE_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  async #request(
    request: UnnumberedRequest,
    signal: AbortSignal,
  ): Promise<Extract<Reply, { kind: "result" | "exported" }>> {
    await unlessAborted(this.#ready, signal, cancelledQuery);
    if (!this.#is_alive) throw this.#death("");
    this.#last_id += 1;
    const id = this.#last_id;
    const timers: NodeJS.Timeout[] = [];
    const killAfter = (delay_ms: number, why: string) => timers.push(setTimeout(() => this.#kill(why), delay_ms));
    const cancel = () => {
      this.#send({ kind: "cancel", id });
      killAfter(GRACE_MS, "a cancelled query did not stop");
    };
    let stopListening = (): void => {};
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        this.#send({ ...request, id });
        // The process enforces the time limit itself; this is for a process that hangs.
        killAfter(request.limits.timeout_ms + GRACE_MS, "a query that exceeded its time limit did not stop");
        stopListening = onAbort(signal, cancel);
      });
    } finally {
      stopListening();
      for (const timer of timers) clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  #send(message: Request): void {
    // If the process has just died, the "exit" handler rejects the pending requests.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #kill(why: string): void {
    this.#ending ??= why;
    this.#child.kill("SIGKILL");
  }

  #untilReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#kill("it did not start in time"), START_TIMEOUT_MS);
      this.#child.on("message", (reply: Reply) => {
        if (reply.kind === "ready") {
          clearTimeout(timer);
          resolve();
        } else if (reply.kind === "ending") this.#ending = reply.reason;
        else if (reply.kind === "failed") this.#waiting.get(reply.id)?.reject(new ConsoleFailure(reply.failure));
        else this.#waiting.get(reply.id)?.resolve(reply);
      });
      this.#child.once("exit", () => {
        clearTimeout(timer);
        reject(this.#death(""));
      });
      this.#child.once("error", reject);
    });
  }

  #died(how: string): void {
    this.#is_alive = false;
    const death = this.#death(how);
    for (const { reject } of this.#waiting.values()) reject(death);
    this.#waiting.clear();
  }

  #death(how: string): OperatingError {
    const reason = this.#ending ?? (`${how} ${this.#stderr.trim().split("\n").at(-1) ?? ""}`.trim() || "it ended");
    return new OperatingError("CONSOLE_DIED", `The console's process ended: ${reason}`, {
      next_step: "Query less data; the next query starts a new process.",
    });
  }
}

/** The error of a query that was cancelled while no process worked on it. */
export function cancelledQuery(): OperatingError {
  return requestError("QUERY_CANCELLED", "The query was cancelled", "Run it again, or query less data.");
}
