import type { IngestCommit } from "../ingest/ingest.ts";
import { ACTIONS } from "../maintain/run.ts";
import type { ActionReport } from "../maintain/parts.ts";
import type { SourceReport } from "../producer/producer.ts";
import type { Metrics } from "./metrics.ts";

const CONFLICTS = [
  "coinlake_commit_conflicts_total",
  "Commits to bronze that lost to another writer; each was retried.",
] as const;
const REPORTS = [
  "coinlake_ingest_reports_total",
  "Reports of ingest, failed commit attempts included, by code.",
] as const;
const FAILURES = [
  "coinlake_pipeline_retries_total",
  "Failures of the pipeline's loops that were retried, by code.",
] as const;
const COMMIT_S = ["coinlake_bronze_commit_seconds", "Duration from reading the log to the commit to bronze."] as const;
const COMMIT_RECORDS = [
  "coinlake_bronze_commit_records_total",
  "Records committed to bronze by this process.",
] as const;
const COMMIT_BYTES = [
  "coinlake_bronze_commit_bytes_total",
  "Bytes of the files that this process committed to bronze.",
] as const;
const RUNS = [
  "coinlake_maintenance_runs_total",
  "Maintenance runs of this process that changed a table, by action.",
] as const;
const RUN_S = ["coinlake_maintenance_seconds_total", "Total duration of maintenance runs, by action."] as const;
const READ_BYTES = [
  "coinlake_maintenance_rewritten_bytes_total",
  "Bytes of the files that compaction read and replaced.",
] as const;
const WRITTEN_BYTES = [
  "coinlake_maintenance_written_bytes_total",
  "Bytes of the files that compaction wrote.",
] as const;
const DELETED_FILES = [
  "coinlake_maintenance_deleted_files_total",
  "Files that maintenance deleted from storage, by action.",
] as const;
const EXPIRED = ["coinlake_maintenance_expired_snapshots_total", "Snapshots expired."] as const;
const OVERTAKEN = [
  "coinlake_maintenance_conflicts_total",
  "Maintenance commits that lost to another writer; each was planned again.",
] as const;
const MAINTENANCE_FAILURES = [
  "coinlake_maintenance_failures_total",
  "Failed maintenance runs of tables; each is retried later.",
] as const;
const INCREMENT_S = [
  "coinlake_increment_seconds",
  "Duration of increments of silver and gold, as dbt reports it.",
] as const;

/** Counts commits, increments, maintenance runs and retries of the pipeline's loops. */
export class PipelineFigures {
  readonly metrics: Metrics;

  constructor(metrics: Metrics) {
    this.metrics = metrics;
    for (const [name, help] of [
      CONFLICTS,
      COMMIT_BYTES,
      READ_BYTES,
      WRITTEN_BYTES,
      EXPIRED,
      OVERTAKEN,
      MAINTENANCE_FAILURES,
    ])
      metrics.count(name, help, {}, 0);
    for (const action of ACTIONS)
      for (const [name, help] of [RUNS, RUN_S, DELETED_FILES]) metrics.count(name, help, { action }, 0);
  }

  committed = ({ rows, size_bytes, duration_ms }: IngestCommit): void => {
    this.metrics.observe(...COMMIT_S, duration_ms / 1000);
    this.metrics.count(...COMMIT_RECORDS, {}, rows);
    this.metrics.count(...COMMIT_BYTES, {}, size_bytes);
  };

  ingestReported = ({ code }: SourceReport): void => {
    if (code === "COMMIT_CONFLICT") this.metrics.count(...CONFLICTS);
    this.metrics.count(...REPORTS, { code });
  };

  incremented = (seconds: number): void => {
    this.metrics.observe(...INCREMENT_S, seconds);
  };

  maintained = ({
    action,
    seconds,
    rewritten_bytes,
    added_bytes,
    deleted_files,
    expired_snapshots,
    conflicts,
  }: ActionReport): void => {
    this.metrics.count(...RUNS, { action });
    this.metrics.count(...RUN_S, { action }, seconds);
    this.metrics.count(...READ_BYTES, {}, rewritten_bytes);
    this.metrics.count(...WRITTEN_BYTES, {}, added_bytes);
    this.metrics.count(...DELETED_FILES, { action }, deleted_files);
    this.metrics.count(...EXPIRED, {}, expired_snapshots);
    this.metrics.count(...OVERTAKEN, {}, conflicts);
  };

  maintenanceFailed = (): void => {
    this.metrics.count(...MAINTENANCE_FAILURES);
  };

  retried = ({ code }: { code: string }): void => {
    this.metrics.count(...FAILURES, { code });
  };
}
