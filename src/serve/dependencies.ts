import type { TableReports } from "../query/tables.ts";
import type { Assets } from "./assets.ts";
import type { Console } from "./sql-console/console.ts";
import type { DiskUsage } from "./disk-usage.ts";
import type { EventHub } from "./events/hub.ts";
import type { Authenticator } from "./guard/authentication.ts";
import type { Health } from "./health.ts";
import type { LakeReader } from "./lake-reader.ts";
import type { Metrics } from "./metrics.ts";
import type { Mounts } from "./mounts.ts";
import type { PipelineHandle } from "./pipeline-handle.ts";

/** Dependencies injected into route handlers. */
export interface ServerDependencies {
  handle: PipelineHandle;
  reader: LakeReader;
  tables: TableReports;
  disk: DiskUsage;
  health: Health;
  hub: EventHub;
  console: Console;
  metrics: Metrics;
  authenticator: Authenticator;
  assets: Assets;
  /** The path before the pipeline's routes and pages; empty for the first pipeline. */
  base: string;
  /** All pipelines of the server. */
  mounts: Mounts;
  onError(error: unknown): void;
}
