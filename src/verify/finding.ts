import { LAYERS } from "../lake/layers.ts";

/** Codes of faults. Scripts match on them. */
export type FindingCode =
  | "STORE_MISSING"
  | "STORE_DAMAGED"
  | "CATALOG_OUTDATED"
  | "TABLE_MISSING"
  | "METADATA_DAMAGED"
  | "FILE_MISSING"
  | "FILE_DAMAGED"
  | "FILE_OUTSIDE_TABLE"
  | "OFFSETS_DIFFER"
  | "CHECK_FAILED"
  | "TABLE_UNREADABLE"
  | "LOG_DIFFERS"
  | "COLUMNS_DIFFER"
  | "ROWS_DIFFER";

/** One fault, and the command that repairs it. */
export interface Finding {
  code: FindingCode;
  /** The fault with its values, without a final period. */
  message: string;
  /** `layer.table`; null if the fault is about the lake. */
  table: string | null;
  /** Such as `price_date=2026-03-14`; null if the fault is not about a partition. */
  partition: string | null;
  /** Location of a file of the table, or path of a file of the lake. */
  file: string | null;
  /** Some of the rows, one line each. */
  rows: string[];
  next_step: string;
}

const COINLAKE = "npm run -s coinlake --";

/** The commands that repair a table and the lake. */
export const repairTable = (table: string): string =>
  `Run \`${COINLAKE} repair --table ${table}\` to see the repair; add --apply to perform it.`;
export const REPAIR_LAKE = `Run \`${COINLAKE} repair\` to see the repair; add --apply to perform it.`;
export const RESTORE_LAKE = `Restore the lake from a backup with \`${COINLAKE} restore\`.`;

type Details = Partial<Pick<Finding, "partition" | "file" | "rows" | "next_step">>;

/** A fault of a table, which `repair` rebuilds unless it is another client's. */
export function tableFinding(code: FindingCode, table: string, message: string, details: Details = {}): Finding {
  const is_own = LAYERS.some((layer) => table.startsWith(`${layer}.`));
  const next_step = is_own ? repairTable(table) : RESTORE_LAKE;
  return { code, message, table, partition: null, file: null, rows: [], next_step, ...details };
}

/** A fault of a file of the lake. */
export function lakeFinding(code: FindingCode, message: string, details: Details = {}): Finding {
  return { code, message, table: null, partition: null, file: null, rows: [], next_step: REPAIR_LAKE, ...details };
}
