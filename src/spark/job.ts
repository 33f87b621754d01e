import type { SparkStreams, StreamDefinition, StreamingQuery } from "./streams.ts";

/** Where a job finds what it reads, and how often it is to commit. */
export interface JobOptions {
  /** `host:port`, by comma. */
  kafka_brokers: string;
  /** In place of the job's own. */
  trigger?: StreamDefinition["trigger"];
}

/** A streaming query as part of a pipeline. */
export interface StreamJob {
  /** Of the query too. */
  name: string;
  /** One line for people. */
  description: string;
  /** Starts it, with the tables that it needs made where they are missing; finds it where it runs already. */
  start(streams: SparkStreams, options: JobOptions): Promise<StreamingQuery>;
}
