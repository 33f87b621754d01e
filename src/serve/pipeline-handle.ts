import type { AlertFacade } from "../alert/facade.ts";
import type { Clock } from "../base/clock.ts";
import type { OpenLake } from "../lake/open.ts";
import type { LiveLake } from "../live/live-lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { SourceStatus } from "../producer/producer.ts";
import type { CommandResult } from "../transform/worker.ts";
import type { Stream } from "./schemas/status.ts";

/** The part of the live tail that the server uses. */
export type LiveReader = Pick<LiveLake, "query" | "state" | "onAbsorbed">;

/** A running pipeline, as the server uses it. */
export interface PipelineHandle {
  version: string;
  open: OpenLake;
  pipeline: Pipeline;
  clock: Clock;
  started_at_us: number;
  /** Whether this process builds silver and gold; if not, an external scheduler runs the transforms. */
  is_transforming: boolean;
  live: LiveReader;
  alerts: AlertFacade;
  sources(): readonly SourceStatus[];
  /** The Spark stream that ingests the log into bronze; null if this process does. */
  stream(): Stream | null;
  /** Last result of each dbt test; null before the first run. */
  tests(): { ran_at_us: number; result: CommandResult } | null;
  /** Failures of the loops since their last success, such as a dbt error or a failed commit. */
  failures(): readonly { code: string; message: string }[];
  /** Process id of the dbt worker; null if none runs. */
  dbt_pid(): number | null;
  /** Command line of the SQL console's process, which speaks `sql-console/protocol.ts`. */
  console: { command: string; args: readonly string[] };
}
