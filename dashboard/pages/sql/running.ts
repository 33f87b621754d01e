import { signal } from "@preact/signals";
import type { SqlRequest, SqlResult } from "../../../src/serve/schemas/sql.ts";
import { ApiError, call, download } from "../../state/api.ts";
import { remember } from "./storage.ts";

const MAX_ROWS = 100_000;

export type Running =
  | { is: "idle" }
  | { is: "running"; query_id: string; since_ms: number; doing: string }
  | { is: "done"; result: SqlResult; sql: string }
  | { is: "failed"; error: ApiError }
  | { is: "cancelled" };

/** Runs one query at a time. */
export class Runner {
  readonly state = signal<Running>({ is: "idle" });
  /** The last result, shown until the next one arrives. */
  readonly result = signal<SqlResult | null>(null);
  #abort: AbortController | null = null;

  async run(sql: string, at: string | null): Promise<ApiError | null> {
    const body: SqlRequest = { sql, max_rows: MAX_ROWS, query_id: crypto.randomUUID(), ...(at === null ? {} : { at }) };
    const started_ms = Date.now();
    const error = await this.#await("running", body.query_id ?? "", async (signal) => {
      const result = await call<SqlResult>("POST", "/api/sql", body, signal);
      if (result === null) return;
      this.result.value = result;
      this.state.value = { is: "done", result, sql };
      remember({ sql, at, ran_at_ms: started_ms, rows: result.row_count, elapsed_ms: result.elapsed_ms });
    });
    if (error !== null) remember({ sql, at, ran_at_ms: started_ms, rows: null, elapsed_ms: Date.now() - started_ms });
    return error;
  }

  async export(sql: string, at: string | null, format: "csv" | "parquet"): Promise<ApiError | null> {
    const query_id = crypto.randomUUID();
    const before = this.state.peek();
    return this.#await(`writing ${format}`, query_id, async (signal) => {
      const file = await download("/api/sql/export", { sql, format, query_id, ...(at === null ? {} : { at }) }, signal);
      offer(file, `coinlake-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.${format}`);
      this.state.value = before;
    });
  }

  /** Cancels the query on the server without waiting for it to stop. */
  cancel(): void {
    const running = this.state.peek();
    if (running.is !== "running") return;
    this.#abort?.abort();
    this.state.value = { is: "cancelled" };
    call("DELETE", `/api/sql/${running.query_id}`).catch((error: unknown) => {
      // The query had already ended.
      if (!(error instanceof ApiError)) throw error;
    });
  }

  async #await(
    doing: string,
    query_id: string,
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<ApiError | null> {
    this.cancel();
    const abort = new AbortController();
    this.#abort = abort;
    this.state.value = { is: "running", query_id, since_ms: Date.now(), doing };
    try {
      await work(abort.signal);
      return null;
    } catch (error) {
      if (abort.signal.aborted) return null;
      if (!(error instanceof ApiError)) throw error;
      this.state.value = { is: "failed", error };
      return error;
    }
  }
}

function offer(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
