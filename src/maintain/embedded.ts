import type { Clock } from "../base/clock.ts";
import type { OpenLake } from "../lake/open.ts";
import type { RewriterOptions } from "../duckdb/rewriter.ts";
import { noop, type StepListener } from "../base/failpoints.ts";
import type { Maintainer } from "./maintainer.ts";
import type { MaintenanceParts } from "./parts.ts";
import { forgetDropped, maintainTable, tablesOf } from "./run.ts";
import type { MaintenanceStore } from "./store.ts";

export interface EmbeddedOptions {
  open: Pick<OpenLake, "lake" | "catalog" | "storage" | "s3">;
  store: MaintenanceStore;
  clock: Clock;
  signal: AbortSignal;
  engine?: Partial<Omit<RewriterOptions, "s3">>;
  step?: StepListener;
  exclusively?: MaintenanceParts["exclusively"];
}

/** Limits of a command; a running pipeline sets lower ones. */
const ENGINE = { memory_limit_mb: 256, threads: 2 };

export function embeddedMaintainer({
  open,
  store,
  clock,
  signal,
  engine,
  step = noop,
  exclusively = (_table, commit) => commit(),
}: EmbeddedOptions): Maintainer {
  const parts: MaintenanceParts = {
    catalog: open.catalog,
    storage: open.storage,
    warehouse: open.lake.warehouse,
    clock,
    pending: store,
    engine: { ...ENGINE, ...engine, s3: open.s3 },
    step,
    signal,
    exclusively,
  };
  return {
    async tables() {
      const tables = await tablesOf(open.catalog);
      forgetDropped(store, tables);
      return tables;
    },
    maintain: (table, actions, options) => maintainTable(parts, store, table, actions, options),
  };
}
