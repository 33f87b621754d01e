import type { TableCatalog } from "../iceberg/model.ts";
import type { Clock } from "../base/clock.ts";
import type { RewriterOptions } from "../duckdb/rewriter.ts";
import type { StepListener } from "../base/failpoints.ts";
import type { Storage } from "../storage/storage.ts";

/** Locations that no commit needs or will need. This run deletes them, or the next one after a kill. */
export interface PendingFiles {
  /** Durable when the call returns. */
  add(table: string, locations: readonly string[]): void;
  remove(locations: readonly string[]): void;
  of(table: string): string[];
}

/** Dependencies of the actions of an embedded lake. */
export interface MaintenanceParts {
  catalog: TableCatalog;
  storage: Storage;
  /** Location that contains every table folder; nothing outside is deleted. */
  warehouse: string;
  clock: Clock;
  /** Files that the next run deletes if this one is killed. */
  pending: PendingFiles;
  /** Memory and threads of the engine that rewrites files, and its access to S3. */
  engine: RewriterOptions;
  step: StepListener;
  signal: AbortSignal;
  /** Runs a commit while no other writer of this process commits. */
  exclusively<T>(table: string, commit: () => Promise<T>): Promise<T>;
}

/** Statistics of a table's current snapshot and metadata, from manifests alone. */
export interface TableFigures {
  files: number;
  delete_files: number;
  /** The size of data and delete files. */
  size_bytes: number;
  /** Visible rows. */
  rows: number;
  manifests: number;
  snapshots: number;
}

export type ActionName = "compact" | "expire" | "orphans";

/** Result of one action on one table. Counts are those of this run; `before` and `after` describe the table. */
export interface ActionReport {
  action: ActionName;
  table: string;
  before: TableFigures;
  after: TableFigures;
  /** Files read and replaced, and their bytes; 0 for actions that rewrite nothing. */
  rewritten_files: number;
  rewritten_bytes: number;
  /** Files that replace them. */
  added_files: number;
  added_bytes: number;
  /** Files that were deleted from storage. */
  deleted_files: number;
  expired_snapshots: number;
  /** Number of conflicts with other writers, after which the work was planned again. */
  conflicts: number;
  seconds: number;
  /** In a dry run nothing was changed; the counts are of the plan. */
  is_dry_run: boolean;
  /** Strategy, if there are several: `pack`, `z-order by …`. */
  strategy?: string;
  /** Locations of the deleted orphans, if listed. */
  removed?: string[];
}

/** The report of an action before its first change. */
export function emptyReport(action: ActionName, table: string, before: TableFigures): ActionReport {
  return {
    action,
    table,
    before,
    after: before,
    rewritten_files: 0,
    rewritten_bytes: 0,
    added_files: 0,
    added_bytes: 0,
    deleted_files: 0,
    expired_snapshots: 0,
    conflicts: 0,
    seconds: 0,
    is_dry_run: false,
  };
}
