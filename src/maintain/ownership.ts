import { nameOfTable } from "../catalog/errors.ts";
import type { LoadedTable } from "../catalog/model.ts";
import { OperatingError } from "../errors.ts";

/** Iceberg's property for tables whose files others may need, such as one that is registered under two names. Throws UNSUPPORTED_GC. */
export function refuseWithoutOwnership({ identifier, metadata }: LoadedTable): void {
  if (metadata.properties["gc.enabled"] !== "false") return;
  throw new OperatingError(
    "UNSUPPORTED_GC",
    `Files of ${nameOfTable(identifier)} are not deleted, because its property gc.enabled is false`,
    {
      next_step: "Set gc.enabled to true if no other table needs these files.",
    },
  );
}
