import { dirname } from "node:path";
import { systemClock } from "../base/clock.ts";
import type { OperatingError } from "../base/errors.ts";
import type { StepListener } from "../base/failpoints.ts";
import { openParquetWriter } from "../duckdb/parquet.ts";
import { tableNamed } from "../iceberg/errors.ts";
import { createIngest, type Ingest, type IngestCommit, type IngestOptions } from "../ingest/ingest.ts";
import type { OpenLake } from "../lake/open.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { SourceReport } from "../producer/producer.ts";
import type { Stream } from "../serve/schemas/status.ts";
import { setDesiredStreams } from "../services/desired.ts";
import { clusterFolder } from "../services/state.ts";
import type { StreamJob } from "../spark/job.ts";

/** Ingest from the log to bronze: in this process, or a stream in the cluster that outlives it. */
export interface IngestService extends Pick<Ingest, "run" | "drain"> {
  /** Mean payload of a record; null where another engine ingests. */
  meanRecordBytes(): number | null;
  /** The stream's state; null where this process ingests. */
  state(): Stream | null;
  close(): void;
}

export interface IngestServiceOptions {
  pipeline: Pipeline;
  /** The pipeline's stream for a lake in a cluster. */
  bronzeJob(pipeline: Pipeline): StreamJob;
  step: StepListener;
  report(report: SourceReport): void;
  /** Called with the error that fails every commit to bronze, and with null when a commit succeeds again. */
  stalled(error: OperatingError | null): void;
  /** Called after each commit of this process. */
  committed(commit: IngestCommit): void;
}

export async function openIngestService(open: OpenLake, options: IngestServiceOptions): Promise<IngestService> {
  const { pipeline, bronzeJob, step, report, stalled, committed } = options;
  if (open.cluster !== null) {
    const { StreamIngest } = await import("../spark/stream-ingest.ts");
    const job = bronzeJob(pipeline);
    // The stream continues in Spark without this process: the supervisor restarts it together with Spark.
    setDesiredStreams(clusterFolder(dirname(open.lake.folder)), [job.name], true);
    return new StreamIngest({
      open: { catalog: open.catalog, cluster: open.cluster },
      pipeline,
      job,
      clock: systemClock,
      report,
    });
  }
  const records = await openParquetWriter(open);
  const ingest = createEmbeddedIngest(open, pipeline, { records, step, report, stalled, committed });
  return {
    run: (signal) => ingest.run(signal),
    drain: (signal) => ingest.drain(signal),
    meanRecordBytes: () => ingest.meanRecordBytes(),
    state: () => null,
    close: () => records.close(),
  };
}

function createEmbeddedIngest(
  open: OpenLake,
  pipeline: Pipeline,
  options: Pick<IngestOptions, "records" | "step" | "report" | "stalled" | "committed">,
): Ingest {
  return createIngest({
    ...options,
    log: open.log,
    catalog: open.catalog,
    storage: open.storage,
    table: tableNamed(pipeline.bronze.table),
    topic: pipeline.topic.name,
    clock: systemClock,
    limits: {
      pacing: pipeline.bronze.commit,
      commit_size_bytes: pipeline.bronze.commit_size_bytes,
      retention_ms: pipeline.topic.retention_ms,
    },
  });
}
