import type { SparkSession } from "../../spark/session.ts";
import { emptyReport, type ActionReport } from "../parts.ts";
import { figuresOf, literal, UNLIMITED } from "./tables.ts";

/** Minimum number of small files of a partition that are merged. */
const MIN_FILES = 5;

/**
 * Merges a table's small files. Z-orders the rows by the given columns, so that a query by any of them skips most
 * files; without columns, it only packs files. Rows and query results stay the same, and earlier snapshots stay
 * readable. If a writer removed a file meanwhile, Spark fails without changes, and a retry may succeed.
 */
export async function compact(
  session: SparkSession,
  table: string,
  z_order: readonly string[] | undefined,
  target_size_bytes?: number,
): Promise<ActionReport> {
  const started_ms = performance.now();
  const before = await figuresOf(session, table);
  const how =
    z_order === undefined
      ? "strategy => 'binpack'"
      : `strategy => 'sort', sort_order => ${literal(`zorder(${z_order.join(", ")})`)}`;
  const target =
    target_size_bytes === undefined ? "" : `, 'target-file-size-bytes', '${Math.round(target_size_bytes)}'`;
  const [result] = await session.sql(
    `call system.rewrite_data_files(table => ${literal(table)}, ${how}, ` +
      `options => map('min-input-files', '${MIN_FILES}', 'remove-dangling-deletes', 'true'${target}))`,
    UNLIMITED,
  );
  return {
    ...emptyReport("compact", table, before),
    after: await figuresOf(session, table),
    strategy: z_order === undefined ? "pack" : `z-order by ${z_order.join(", ")}`,
    rewritten_files: Number(result?.rewritten_data_files_count),
    rewritten_bytes: Number(result?.rewritten_bytes_count),
    added_files: Number(result?.added_data_files_count),
    seconds: (performance.now() - started_ms) / 1000,
  };
}
