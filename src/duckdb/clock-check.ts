import { nameOfTable } from "../iceberg/errors.ts";
import type { TableCatalog, TableIdentifier } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";

/**
 * DuckDB reads a table as of the transaction's begin. For a table with a later commit time, by this machine's clock, it
 * silently reads an older snapshot. The catalog never assigns times in the future, so this happens only where the
 * catalog's clock and this machine's differ. Throws CLOCK_BEHIND if DuckDB would read an older snapshot of one of the
 * tables.
 */
export async function checkClock(catalog: TableCatalog, tables: readonly TableIdentifier[]): Promise<void> {
  for (const identifier of tables) {
    const { metadata } = await catalog.loadTable(identifier);
    const ahead_ms = Number(metadata["last-updated-ms"]) - Date.now();
    if (ahead_ms <= 0) continue;
    const seconds = Math.ceil(ahead_ms / 1000);
    const message =
      `${nameOfTable(identifier)} was changed ${seconds} s after now by this machine's clock: ` +
      "an older state of it would be read";
    throw new OperatingError("CLOCK_BEHIND", message, {
      next_step: "Set the clocks of the machines right, then try again.",
    });
  }
}
