import { live } from "../../query/ask.ts";
import { conflictsSql } from "../../query/conflicts.ts";
import { isoOfSql } from "../times.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import type { PipelineHandle } from "../pipeline-handle.ts";
import { Conflicts, type Conflict } from "../schemas/conflicts.ts";

/** Conflicts listed; the table of duplicates has all of them. */
const MAX_LISTED = 50;
const LIST_MS = { fresh_ms: 5_000, stale_ms: 30_000 };

/** Duplicates whose values differ from the accepted row of the same event. */
export function conflictRoutes(app: App, { handle, reader }: ServerDependencies): void {
  const { reconciliation } = handle.pipeline;
  const rows = (sql: string) => reader.now().rows(sql);
  register(app, {
    method: "get",
    path: "/api/quality/conflicts",
    tag: "Quality",
    summary: "Count duplicates whose values differ from the accepted row, and list the newest",
    response: Conflicts,
    handle: () =>
      reader.cache.get("conflicting duplicates", { ...LIST_MS, version: reader.version() }, async () => {
        const [counted] = await rows(
          `select count(*) as total from (${conflictsSql(reconciliation, live(reconciliation.duplicates))})`,
        );
        const total = Number(counted?.["total"] ?? 0);
        // Usually there are none; then the join is skipped.
        return { total, items: total === 0 ? [] : (await rows(newestSql(handle))).map((row) => describe(handle, row)) };
      }),
  });
}

function newestSql({
  pipeline: {
    reconciliation,
    live: { columns },
  },
}: PipelineHandle): string {
  const values = reconciliation.compared.flatMap((column) => [
    `accepted.${column}::varchar as accepted_${column}`,
    `conflicts.${column}::varchar as repeated_${column}`,
  ]);
  const order = "ingested_at desc, log_partition desc, log_offset desc, element_index desc";
  return `
    with conflicts as (
      ${conflictsSql(reconciliation, live(reconciliation.duplicates))} order by ${order} limit ${MAX_LISTED}
    )
    select conflicts.${columns.identity} as identity, conflicts.${columns.source} as source,
      conflicts.${columns.subject} as subject, conflicts.ingested_at, conflicts.log_topic, conflicts.log_partition,
      conflicts.log_offset, conflicts.element_index,
      ${values.join(", ")}
    from conflicts left join ${live(reconciliation.accepted)} as accepted
      on accepted.${columns.date} = conflicts.${columns.date}
      and accepted.${columns.identity} = conflicts.${columns.identity}
    order by ${order.replaceAll(/\b(?=ingested_at|log_|element_index)/g, "conflicts.")}`;
}

function describe({ pipeline: { reconciliation } }: PipelineHandle, row: Record<string, string | null>): Conflict {
  const differences = reconciliation.compared
    .map((column) => ({
      column,
      accepted: row[`accepted_${column}`] ?? null,
      repeated: row[`repeated_${column}`] ?? null,
    }))
    .filter(({ accepted, repeated }) => accepted !== repeated);
  return {
    identity: row["identity"] ?? "",
    source: row["source"] ?? "",
    subject: row["subject"] ?? "",
    ingested_at: isoOfSql(row["ingested_at"]),
    topic: row["log_topic"] ?? "",
    partition: Number(row["log_partition"]),
    offset: Number(row["log_offset"]),
    element_index: Number(row["element_index"]),
    differences,
  };
}
