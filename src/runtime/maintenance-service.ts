import { systemClock } from "../base/clock.ts";
import type { OperatingError } from "../base/errors.ts";
import type { StepListener } from "../base/failpoints.ts";
import type { Turns } from "../base/turns.ts";
import { BUILT_LAYERS } from "../lake/layers.ts";
import type { OpenLake } from "../lake/open.ts";
import { embeddedMaintainer } from "../maintain/embedded.ts";
import type { ActionReport } from "../maintain/parts.ts";
import { MaintenanceSchedule } from "../maintain/schedule.ts";
import { MaintenanceStore } from "../maintain/store.ts";
import type { DbtWorker } from "../transform/worker.ts";

export interface MaintenanceServiceOptions {
  open: OpenLake;
  worker: DbtWorker;
  step: StepListener;
  /** One pass at a time in the process: each opens an engine. */
  turns: Turns;
  maintained(report: ActionReport): void;
  failed(table: string, error: OperatingError): void;
}

/** Limits for maintenance beside a pipeline: it may take longer, and must not slow the pipeline down. */
const ENGINE_LIMITS = { memory_limit_mb: 128, threads: 1 };

/** Compaction and expiry for an embedded lake. Commits to tables that dbt writes wait until no increment is running. */
export function createMaintenanceService(options: MaintenanceServiceOptions): MaintenanceSchedule {
  const { open, worker, step, turns, maintained, failed } = options;
  const built_layers = new Set<string>(BUILT_LAYERS);
  const exclusively = <T>(table: string, commit: () => Promise<T>): Promise<T> =>
    built_layers.has(table.slice(0, table.indexOf("."))) ? worker.between(commit) : commit();
  return new MaintenanceSchedule({
    lake: open.lake,
    catalog: open.catalog,
    clock: systemClock,
    turns,
    async withMaintainer(work, signal) {
      const store = new MaintenanceStore(open.lake.folder);
      try {
        return await work(
          embeddedMaintainer({
            open,
            store,
            clock: systemClock,
            signal,
            engine: ENGINE_LIMITS,
            step,
            exclusively,
          }),
        );
      } finally {
        store.close();
      }
    },
    events: { maintained, failed },
  });
}
