import { nameOfTable } from "../iceberg/errors.ts";
import type { LoadedTable } from "../iceberg/model.ts";
import { OperatingError } from "../base/errors.ts";

/**
 * Rejects tables whose files other tables may need, such as a table that is registered under two names; Iceberg's
 * property `gc.enabled` marks them. Throws UNSUPPORTED_GC.
 */
export function rejectWithoutOwnership({ identifier, metadata }: LoadedTable): void {
  if (metadata.properties["gc.enabled"] !== "false") return;
  throw new OperatingError(
    "UNSUPPORTED_GC",
    `Cannot delete files of ${nameOfTable(identifier)}: its property gc.enabled is false`,
    {
      next_step: "Set gc.enabled to true if no other table needs these files.",
    },
  );
}
