import { isoFromMicros } from "../../clock.ts";
import type { SparkSession } from "../../engine/cluster/spark/session.ts";
import { figuresOf, literal, UNLIMITED, type TableFigures } from "./tables.ts";

export interface Expiry {
  table: string;
  before: TableFigures;
  after: TableFigures;
  deleted_files: number;
}

/** However old they are, so many of the newest stay. */
const KEPT_SNAPSHOTS = 10;

/** Forgets the table's snapshots from before that moment, and deletes the files that none of the others has. The current one stays. */
export async function expire(session: SparkSession, table: string, before_us: number): Promise<Expiry> {
  const before = await figuresOf(session, table);
  const [result] = await session.sql(
    `call system.expire_snapshots(table => ${literal(table)}, older_than => timestamp ${literal(isoFromMicros(before_us))}, retain_last => ${KEPT_SNAPSHOTS})`,
    UNLIMITED,
  );
  const deleted = Object.entries(result ?? {}).filter(([name]) => name.startsWith("deleted_"));
  return { table, before, after: await figuresOf(session, table), deleted_files: deleted.reduce((sum, [, count]) => sum + Number(count), 0) };
}
