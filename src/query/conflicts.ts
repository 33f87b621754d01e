import type { QuerySession } from "../duckdb/session.ts";
import type { ReconciliationRules } from "../pipeline/definition.ts";

/** Duplicates that say something else than the accepted row of their identity. */
export async function countConflicts(
  session: Pick<QuerySession, "figure">,
  reconciliation: ReconciliationRules,
): Promise<number> {
  return Number(
    await session.figure(`select count(*) from (${conflictsSql(reconciliation, reconciliation.duplicates)})`),
  );
}

/** Those rows of the duplicates, under the name that the table goes by; none of a table from before the column. */
export function conflictsSql({ conflicting }: ReconciliationRules, duplicates: string): string {
  const rows = `select null::boolean as ${conflicting} where false union all by name select * from ${duplicates}`;
  return `select * from (${rows}) where ${conflicting}`;
}
