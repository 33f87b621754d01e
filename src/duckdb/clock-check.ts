import { nameOfTable } from "../iceberg/errors.ts";
import type { TableCatalog, TableIdentifier } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";

/**
 * DuckDB takes a table as it was when the transaction began: of a table that changed later, by the machine's clock, it reads an older
 * snapshot without saying so. The catalog gives no times of the future, so that happens only where the catalog's clock and
 * this machine's differ. Throws CLOCK_BEHIND if one of the tables would be read so.
 */
export async function checkClock(catalog: TableCatalog, tables: readonly TableIdentifier[]): Promise<void> {
  for (const identifier of tables) {
    const { metadata } = await catalog.loadTable(identifier);
    const ahead_ms = Number(metadata["last-updated-ms"]) - Date.now();
    if (ahead_ms <= 0) continue;
    const seconds = Math.ceil(ahead_ms / 1000);
    const message = `${nameOfTable(identifier)} was changed ${seconds} s after now by this machine's clock: an older state of it would be read`;
    throw new OperatingError("CLOCK_BEHIND", message, {
      next_step: "Set the clocks of the machines right, then try again.",
    });
  }
}
