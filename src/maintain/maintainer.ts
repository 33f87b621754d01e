import type { ActionName, ActionReport } from "./parts.ts";
import type { MaintenanceOptions } from "./run.ts";

/** The maintenance engine: this process for embedded lakes, Spark for lakes of a cluster. */
export interface Maintainer {
  /** As `layer.table`. */
  tables(): Promise<string[]>;
  /** Each action that did something, in their order, recorded. Throws what ended one; those before it are done. */
  maintain(table: string, actions: readonly ActionName[], options: MaintenanceOptions): Promise<ActionReport[]>;
}
