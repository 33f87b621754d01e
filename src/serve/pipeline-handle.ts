import type { AlertFacade } from "../alert/facade.ts";
import type { Clock } from "../base/clock.ts";
import type { OpenLake } from "../lake/open.ts";
import type { LiveLake } from "../live/live-lake.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { SourceStatus } from "../producer/producer.ts";
import type { CommandResult } from "../transform/worker.ts";
import type { Stream } from "./schemas/status.ts";

/** What the server asks of the live tail. */
export type LiveReader = Pick<LiveLake, "query" | "state" | "onAbsorbed">;

/** A running pipeline as the server sees it. */
export interface PipelineHandle {
  version: string;
  open: OpenLake;
  pipeline: Pipeline;
  clock: Clock;
  started_at_us: number;
  /** Whether this process carries bronze on to silver and gold; if not, another does so when its schedule says. */
  is_transforming: boolean;
  live: LiveReader;
  alerts: AlertFacade;
  sources(): readonly SourceStatus[];
  /** What carries the log to bronze where another engine does; null where this process does. */
  stream(): Stream | null;
  /** The last result of each of dbt's tests; null before the first. */
  tests(): { ran_at_us: number; result: CommandResult } | null;
  /** Failures of the loops that have not been followed by a success: what dbt or a commit said last. */
  failures(): readonly { code: string; message: string }[];
  /** Process id of the dbt worker; null where none runs. */
  dbt_pid(): number | null;
  /** How to start the process that runs typed SQL: a command line, whose process speaks `console/protocol.ts`. */
  console: { command: string; args: readonly string[] };
}
