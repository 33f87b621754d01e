import { tableNamed } from "../iceberg/errors.ts";
import { dirname } from "node:path";
import { systemClock } from "../base/clock.ts";
import { setDesiredStreams } from "../services/desired.ts";
import { clusterFolder } from "../services/state.ts";
import type { StreamJob } from "../spark/job.ts";
import { openParquetWriter } from "../duckdb/parquet.ts";
import type { OpenLake } from "../lake/open.ts";
import { createIngest, type Ingest, type IngestCommit, type IngestOptions } from "../ingest/ingest.ts";
import type { OperatingError } from "../base/errors.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { Stream } from "../serve/schemas/status.ts";
import type { SourceReport } from "../producer/producer.ts";
import type { StepListener } from "../base/failpoints.ts";

/** What brings the log to bronze: this process itself, or a stream in the cluster that goes on without it. */
export interface Carrier extends Pick<Ingest, "run" | "drain"> {
  /** Bytes of payload in a record, on average; null where another engine ingests. */
  meanRecordBytes(): number | null;
  /** Of the stream; null for this process itself. */
  state(): Stream | null;
  close(): void;
}

export interface CarrierOptions {
  pipeline: Pipeline;
  /** Of the pipeline, for a lake in a cluster. */
  bronzeJob(pipeline: Pipeline): StreamJob;
  step: StepListener;
  report(report: SourceReport): void;
  /** Told why no commit to bronze succeeds, and with null when one does. */
  stalled(error: OperatingError | null): void;
  /** Told of every commit that this process makes. */
  committed(commit: IngestCommit): void;
}

export async function openCarrier(
  open: OpenLake,
  { pipeline, bronzeJob, step, report, stalled, committed }: CarrierOptions,
): Promise<Carrier> {
  if (open.cluster !== null) {
    const { StreamIngest } = await import("../spark/stream-ingest.ts");
    const job = bronzeJob(pipeline);
    // It goes on in Spark without this process: a restart of Spark includes a restart of it.
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
  const ingest = ingestInto(open, pipeline, { records, step, report, stalled, committed });
  return {
    run: (signal) => ingest.run(signal),
    drain: (signal) => ingest.drain(signal),
    meanRecordBytes: () => ingest.meanRecordBytes(),
    state: () => null,
    close: () => records.close(),
  };
}

function ingestInto(
  open: OpenLake,
  pipeline: Pipeline,
  own: Pick<IngestOptions, "records" | "step" | "report" | "stalled" | "committed">,
): Ingest {
  return createIngest({
    ...own,
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
