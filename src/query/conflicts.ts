import type { QuerySession } from "../duckdb/session.ts";
import type { ReconciliationRules } from "../pipeline/definition.ts";

/** Duplicates that differ from the accepted row of their identity. */
export async function countConflicts(
  session: Pick<QuerySession, "figure">,
  reconciliation: ReconciliationRules,
): Promise<number> {
  return Number(
    await session.figure(`select count(*) from (${conflictsSql(reconciliation, reconciliation.duplicates)})`),
  );
}

/** SQL for the conflicting rows of `duplicates`; empty for a table without the column. */
export function conflictsSql({ conflicting }: ReconciliationRules, duplicates: string): string {
  const rows = `select null::boolean as ${conflicting} where false union all by name select * from ${duplicates}`;
  return `select * from (${rows}) where ${conflicting}`;
}
