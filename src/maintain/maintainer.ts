import type { ActionName, ActionReport } from "./parts.ts";
import type { MaintenanceOptions } from "./run.ts";

/** The maintenance engine: this process for embedded lakes, Spark for lakes of a cluster. */
export interface Maintainer {
  /** Names in the form `layer.table`. */
  tables(): Promise<string[]>;
  /**
   * Runs the actions in order and records those that changed something. Throws the first failure; earlier actions
   * remain.
   */
  maintain(table: string, actions: readonly ActionName[], options: MaintenanceOptions): Promise<ActionReport[]>;
}
