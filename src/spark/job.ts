import type { SparkStreams, StreamDefinition, StreamingQuery } from "./streams.ts";

/** The source of a job, and its commit interval. */
export interface JobOptions {
  /** `host:port`, separated by commas. */
  kafka_brokers: string;
  /** Overrides the job's trigger. */
  trigger?: StreamDefinition["trigger"];
}

/** A streaming query of a pipeline. */
export interface StreamJob {
  /** The name of the job and of its query. */
  name: string;
  /** The name of the job's pipeline. */
  pipeline: string;
  /** A description of one line. */
  description: string;
  /** Starts the job and creates missing tables that it needs; returns the running query where it already runs. */
  start(streams: SparkStreams, options: JobOptions): Promise<StreamingQuery>;
}
