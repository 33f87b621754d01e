import type { ErrorCode } from "../../base/error-codes.ts";
import type { TableSnapshot } from "../../duckdb/session.ts";
import type { Scan } from "./scans.ts";

/** Messages between the server and its console process, over Node's IPC channel. */

/** Concurrent queries; more are rejected. */
export const MAX_RUNNING = 4;

export interface QueryLimits {
  timeout_ms: number;
  max_rows: number;
  max_bytes: number;
}

export type Request =
  | { kind: "run"; id: number; sql: string; at_ms: number | null; limits: QueryLimits }
  | {
      kind: "export";
      id: number;
      sql: string;
      at_ms: number | null;
      format: "csv" | "parquet";
      file: string;
      limits: QueryLimits;
    }
  | { kind: "cancel"; id: number };

export interface QueryOutcome {
  columns: { name: string; type: string }[];
  /** The rows as JSON, encoded in the console's process to spare the server. */
  rows_json: string;
  row_count: number;
  truncated_by: "rows" | "bytes" | null;
  elapsed_ms: number;
  snapshots: TableSnapshot[];
  scans: Scan[];
}

export interface Failure {
  code: ErrorCode;
  message: string;
  next_step: string;
  /** Position in the SQL, 0-based in UTF-16 units. */
  position: number | null;
}

export type Reply =
  | { kind: "ready" }
  | { kind: "result"; id: number; outcome: QueryOutcome }
  | { kind: "exported"; id: number; rows: number }
  | { kind: "failed"; id: number; failure: Failure }
  /** The process exits because it exceeded its memory limit. */
  | { kind: "ending"; reason: string };
