import { randomUUID } from "node:crypto";
import { createReadStream, mkdirSync, rmSync, type ReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { spillFolder } from "../../duckdb/spill.ts";
import { requestError } from "../problem.ts";
import { cancelledQuery, ConsoleProcess } from "./process.ts";
import { MAX_RUNNING, type QueryLimits, type QueryOutcome } from "./protocol.ts";

export interface ConsoleOptions {
  /** Command line of the process that runs `worker.ts`. */
  command: string;
  args: readonly string[];
  limits?: Partial<ConsoleLimits>;
}

export interface ConsoleLimits {
  timeout_ms: number;
  export_timeout_ms: number;
  max_bytes: number;
  /** Time without a query after which the process ends; the next query starts another. */
  idle_ms: number;
}

const LIMITS: ConsoleLimits = {
  timeout_ms: 30_000,
  export_timeout_ms: 120_000,
  max_bytes: 32 * 1024 * 1024,
  idle_ms: 5 * 60_000,
};

export interface ConsoleQuery {
  sql: string;
  /** Lake time; null for now. */
  at_ms: number | null;
  /** Id for cancelling; null for none. */
  query_id: string | null;
  /** Aborts when the client disconnects. */
  signal: AbortSignal;
}

/**
 * Runs users' SQL in a separate process, which can always be stopped: first by an interrupt, then by a kill. The
 * process starts with the first query and is restarted after it died.
 */
export class Console {
  readonly #options: ConsoleOptions;
  readonly #limits: ConsoleLimits;
  /** Exports in progress; of a killed process, the next start deletes them. */
  readonly #folder = spillFolder();
  readonly #running = new Map<string, AbortController>();
  #process: ConsoleProcess | null = null;
  #idle: NodeJS.Timeout | null = null;
  #starts = 0;
  #is_closed = false;

  constructor(options: ConsoleOptions) {
    mkdirSync(this.#folder, { mode: 0o700 });
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
  }

  get running(): number {
    return this.#running.size;
  }

  /** Process id; null if no process runs. */
  get pid(): number | null {
    return this.#process?.is_alive === true ? this.#process.pid : null;
  }

  get starts(): number {
    return this.#starts;
  }

  /**
   * Runs a query. Throws SQL_NOT_ALLOWED, INVALID_SQL, QUERY_TIMED_OUT, QUERY_CANCELLED, QUERY_OUT_OF_MEMORY,
   * TOO_MANY_QUERIES, QUERY_ID_IN_USE, CONSOLE_DIED.
   */
  async run(query: ConsoleQuery & { max_rows: number }): Promise<QueryOutcome> {
    const { sql, at_ms, max_rows } = query;
    const slot = this.#takeSlot(query);
    try {
      return await slot.process.run(
        { sql, at_ms, limits: this.#queryLimits(max_rows, this.#limits.timeout_ms) },
        slot.signal,
      );
    } finally {
      slot.release();
    }
  }

  /**
   * Exports a result to a file, which is deleted when the stream closes; until then the query counts as running. Throws
   * as `run` does, and QUERY_TOO_LARGE.
   */
  async export(query: ConsoleQuery & { format: "csv" | "parquet" }): Promise<ReadStream> {
    const { sql, at_ms, format } = query;
    const slot = this.#takeSlot(query);
    const file = join(this.#folder, `${randomUUID()}.${format}`);
    const end = async () => {
      slot.release();
      await rm(file, { force: true });
    };
    try {
      await slot.process.export(
        { sql, at_ms, format, file, limits: this.#queryLimits(Infinity, this.#limits.export_timeout_ms) },
        slot.signal,
      );
      if (slot.signal.aborted) throw cancelledQuery();
      return createReadStream(file, { signal: slot.signal }).once("close", () => void end());
    } catch (error) {
      await end();
      throw error;
    }
  }

  /** Throws QUERY_NOT_FOUND. */
  cancel(query_id: string): void {
    const controller = this.#running.get(query_id);
    if (controller === undefined)
      throw requestError("QUERY_NOT_FOUND", `No query ${query_id} is running`, "It may have ended already.");
    controller.abort();
  }

  async close(): Promise<void> {
    this.#is_closed = true;
    if (this.#idle !== null) clearTimeout(this.#idle);
    await this.#process?.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #queryLimits(max_rows: number, timeout_ms: number): QueryLimits {
    return { timeout_ms, max_rows, max_bytes: this.#limits.max_bytes };
  }

  #takeSlot({ query_id, signal }: ConsoleQuery): { process: ConsoleProcess; signal: AbortSignal; release(): void } {
    if (this.#is_closed) throw requestError("CONSOLE_CLOSED", "The server is stopping", "Try again once it runs.");
    if (this.#running.size >= MAX_RUNNING) {
      throw requestError(
        "TOO_MANY_QUERIES",
        `Too many queries: ${MAX_RUNNING} are running`,
        "Wait for one to end, or cancel it.",
      );
    }
    const id = query_id ?? randomUUID();
    if (this.#running.has(id))
      throw requestError("QUERY_ID_IN_USE", `A query with the id ${id} is already running`, "Choose another query_id.");
    const controller = new AbortController();
    this.#running.set(id, controller);
    if (this.#idle !== null) clearTimeout(this.#idle);
    return {
      process: this.#started(),
      signal: AbortSignal.any([signal, controller.signal]),
      release: () => {
        this.#running.delete(id);
        if (this.#running.size === 0 && !this.#is_closed) this.#endWhenIdle();
      },
    };
  }

  #started(): ConsoleProcess {
    if (this.#process?.is_alive !== true) {
      this.#starts += 1;
      this.#process = new ConsoleProcess(this.#options.command, [...this.#options.args, "--exports", this.#folder]);
    }
    return this.#process;
  }

  #endWhenIdle(): void {
    this.#idle = setTimeout(() => void this.#process?.end(), this.#limits.idle_ms);
    this.#idle.unref();
  }
}
