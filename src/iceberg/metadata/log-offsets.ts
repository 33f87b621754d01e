import { OperatingError } from "../../base/errors.ts";
import { formatOffsets, maxOffsets, parseOffsets, type LogOffsets } from "../../log/offsets.ts";
import type { Long, TableMetadata, Update } from "../model.ts";

/**
 * The log offsets that a table has consumed: a JSON object from "<topic>/<partition>" to the next offset to consume. It
 * is a table property, so that it changes in the same commit as the rows, and remains when snapshots expire. Spark's
 * commits change either rows or properties: for them it is an entry in the summary of the snapshot with the rows, and a
 * later commit sets the property.
 */
export const LOG_OFFSETS_PROPERTY = "coinlake.log-offsets";

/**
 * In a snapshot's summary: the offsets that the table had consumed when the snapshot was committed on top of its
 * parent.
 */
export const PARENT_OFFSETS_SUMMARY = "coinlake.log-offsets-before";

/** The metadata fields that hold a table's consumed log offsets. */
export type OffsetFields = Pick<TableMetadata, "properties" | "snapshots" | "current-snapshot-id">;

/**
 * The consumed offsets by "<topic>/<partition>"; empty if the table has none. For each partition, the greater value of
 * the property and the snapshots' summaries, because a writer that was killed between the two commits has committed its
 * rows. Throws INVALID_OFFSETS.
 */
export function consumedOffsets(table: OffsetFields): LogOffsets {
  const summary = newestSummary(table)[LOG_OFFSETS_PROPERTY];
  const property = parseTableOffsets(table.properties[LOG_OFFSETS_PROPERTY]);
  return summary === undefined ? property : maxOffsets(property, parseTableOffsets(summary));
}

/** The summary of the newest ancestor of the current snapshot that states offsets; Spark's compactions state none. */
function newestSummary({ snapshots, "current-snapshot-id": current }: OffsetFields): Readonly<Record<string, string>> {
  if (!snapshots.some(({ summary }) => summary[LOG_OFFSETS_PROPERTY] !== undefined)) return {};
  const by_id = new Map(snapshots.map((snapshot) => [String(snapshot["snapshot-id"]), snapshot]));
  for (let id: Long | null | undefined = current; id !== null && id !== undefined;) {
    const snapshot = by_id.get(String(id));
    if (snapshot === undefined || snapshot.summary[LOG_OFFSETS_PROPERTY] !== undefined) return snapshot?.summary ?? {};
    id = snapshot["parent-snapshot-id"];
  }
  return {};
}

/** The offsets in a table property or a snapshot's summary. Throws INVALID_OFFSETS. */
export function parseTableOffsets(text: string | undefined): LogOffsets {
  const offsets = parseOffsets(text);
  if (offsets === null) throw offsetsMalformed(text);
  return offsets;
}

export function offsetsMalformed(text: string | undefined): OperatingError {
  return new OperatingError("INVALID_OFFSETS", `The table property ${LOG_OFFSETS_PROPERTY} is ${text}`, {
    next_step:
      'Set it to {"<topic>/<partition>": <next offset>}, from the highest log_offset of each partition in the table.',
  });
}

/**
 * The updates, with the offsets before and after the commit in each new snapshot's summary. The property has only the
 * offsets of the table's head; the summaries allow reading earlier states of several tables at the same offsets. A
 * table without offsets, or with malformed ones, stays unchanged. Pure.
 */
export function recordLogOffsets(updates: readonly Update[], base: TableMetadata): readonly Update[] {
  if (!updates.some(({ action }) => action === "add-snapshot")) return updates;
  let before: LogOffsets;
  let after: LogOffsets;
  try {
    before = consumedOffsets(base);
    after = propertyIn(updates) ?? before;
  } catch (error) {
    if (error instanceof OperatingError && error.code === "INVALID_OFFSETS") return updates;
    throw error;
  }
  if (Object.keys(after).length === 0) return updates;
  const recorded = { [LOG_OFFSETS_PROPERTY]: formatOffsets(after), [PARENT_OFFSETS_SUMMARY]: formatOffsets(before) };
  return updates.map((update) => (update.action === "add-snapshot" ? withSummary(update, recorded) : update));
}

function propertyIn(updates: readonly Update[]): LogOffsets | null {
  const values = updates.flatMap((update) => {
    const set =
      update.action === "set-properties" ? (update["updates"] as Record<string, unknown> | undefined) : undefined;
    const value = set?.[LOG_OFFSETS_PROPERTY];
    return typeof value === "string" ? [value] : [];
  });
  const last = values.at(-1);
  return last === undefined ? null : parseTableOffsets(last);
}

/**
 * Keeps entries that the snapshot already has, because Spark's writer knows its offsets. The update itself rejects a
 * malformed snapshot.
 */
function withSummary(update: Update, recorded: Readonly<Record<string, string>>): Update {
  const snapshot = update["snapshot"] as { summary?: unknown } | null | undefined;
  const summary = snapshot?.summary;
  if (typeof summary !== "object" || summary === null) return update;
  return { ...update, snapshot: { ...snapshot, summary: { ...recorded, ...summary } } };
}
