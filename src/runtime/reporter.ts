import type { OperatingError } from "../base/errors.ts";
import type { SourceReport } from "../producer/producer.ts";
import type { CommandResult } from "../transform/worker.ts";
import type { Increment } from "./build-progress.ts";

/** The events of a running pipeline, for a display. Methods return at once and never throw. */
export interface PipelineReporter {
  /** A step of the preparation that takes long, such as an installation. */
  preparing(message: string): void;
  /** The dashboard and its API answer at this address. */
  serving(url: string): void;
  /** A message from a source, from ingest or from the alerts. */
  reported(report: SourceReport): void;
  /** Records that a source appended to the log. */
  appended(records: number): void;
  /** The error that keeps a source or ingest waiting; null when it continues. */
  stalled(name: string, error: OperatingError | null): void;
  /** An increment succeeded. */
  recovered(): void;
  /** What an increment added to gold. */
  built(increment: Increment): void;
  /** Gold holds the log's backlog of the start. Called once. */
  caughtUp(): void;
  tested(result: CommandResult): void;
  /** A retryable failure; the pipeline continues. */
  failed(error: OperatingError): void;
  /** The pipeline continues, and the next pass maintains the table again. */
  maintenanceFailed(table: string, error: OperatingError): void;
  /** A failure that loses nothing, as a sentence. */
  warned(message: string): void;
}
