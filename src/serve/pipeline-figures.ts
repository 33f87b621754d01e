import type { IngestCommit } from "../ingest/ingest.ts";
import type { SourceReport } from "../source/producer.ts";
import type { Metrics } from "./metrics.ts";

const CONFLICTS = ["coinlake_commit_conflicts_total", "Commits to bronze that another writer's came before; each was tried again."] as const;
const REPORTS = ["coinlake_ingest_reports_total", "What ingest reported, failed attempts to commit among it, by code."] as const;
const FAILURES = ["coinlake_pipeline_retries_total", "Failures of the pipeline's loops that were tried again, by code."] as const;
const COMMIT_S = ["coinlake_bronze_commit_seconds", "From reading the log until the rows are in bronze."] as const;
const COMMIT_RECORDS = ["coinlake_bronze_commit_records_total", "Records committed to bronze by this process."] as const;
const INCREMENT_S = ["coinlake_increment_seconds", "Increments of silver and gold, as dbt reports them."] as const;

/** Counts what the pipeline's loops tell of their commits, increments and retries. */
export class PipelineFigures {
  readonly metrics: Metrics;

  constructor(metrics: Metrics) {
    this.metrics = metrics;
    metrics.count(...CONFLICTS, {}, 0);
  }

  committed = ({ rows, duration_ms }: IngestCommit): void => {
    this.metrics.observe(...COMMIT_S, duration_ms / 1000);
    this.metrics.count(...COMMIT_RECORDS, {}, rows);
  };

  ingestReported = ({ code }: SourceReport): void => {
    if (code === "COMMIT_CONFLICT") this.metrics.count(...CONFLICTS);
    this.metrics.count(...REPORTS, { code });
  };

  incremented = (seconds: number): void => {
    this.metrics.observe(...INCREMENT_S, seconds);
  };

  retried = ({ code }: { code: string }): void => {
    this.metrics.count(...FAILURES, { code });
  };
}
