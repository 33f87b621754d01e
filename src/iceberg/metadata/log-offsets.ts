import { OperatingError } from "../../base/errors.ts";
import type { Long, TableMetadata, Update } from "../model.ts";

/**
 * The log offsets that a table has consumed: a JSON object from "<topic>/<partition>" to the next offset to take. A table property,
 * so that it changes in the same commit as the rows, and stays when snapshots expire. Spark's commits change rows or properties, not
 * both: there it is an entry of the summary of the snapshot that brings the rows, and the property follows.
 */
export const LOG_OFFSETS_PROPERTY = "coinlake.log-offsets";

/** In a snapshot's summary: the offsets that the table had consumed when the snapshot was committed on top of its parent. */
export const PARENT_OFFSETS_SUMMARY = "coinlake.log-offsets-before";

/** The metadata fields that hold a table's consumed log offsets. */
export type OffsetFields = Pick<TableMetadata, "properties" | "snapshots" | "current-snapshot-id">;

type LogOffsets = Record<string, number>;

/**
 * The consumed offsets by "<topic>/<partition>"; empty where the table has none. By partition the greater of what the property and the
 * snapshots say: a writer that was killed between the two has committed its rows. Throws INVALID_OFFSETS.
 */
export function consumedOffsets(table: OffsetFields): LogOffsets {
  const offsets = parseOffsets(table.properties[LOG_OFFSETS_PROPERTY]);
  for (const [name, next] of Object.entries(parseOffsets(newestSummary(table)[LOG_OFFSETS_PROPERTY]))) {
    offsets[name] = Math.max(next, offsets[name] ?? 0);
  }
  return offsets;
}

/** Of the snapshots that led to the current one, the last that says its offsets: Spark's compactions do not. */
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

/** Throws INVALID_OFFSETS. */
export function parseOffsets(text: string | undefined): LogOffsets {
  let value: unknown;
  try {
    value = JSON.parse(text ?? "{}");
  } catch (error) {
    throw offsetsMalformed(text, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw offsetsMalformed(text);
  return value as LogOffsets;
}

export function offsetsMalformed(text: string | undefined, cause?: unknown): OperatingError {
  return new OperatingError("INVALID_OFFSETS", `The table property ${LOG_OFFSETS_PROPERTY} is ${text}`, {
    next_step:
      'Set it to {"<topic>/<partition>": <next offset>}, from the highest log_offset of each partition in the table.',
    cause,
  });
}

/**
 * The updates with each new snapshot's summary completed by the offsets before and after the commit. The property alone says where the
 * table's head is; with the summaries, an earlier state can be read that belongs to the same offsets as the states of other tables.
 * A table without offsets, or with malformed ones, is left as it is. Pure.
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
  const recorded = { [LOG_OFFSETS_PROPERTY]: JSON.stringify(after), [PARENT_OFFSETS_SUMMARY]: JSON.stringify(before) };
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
  return last === undefined ? null : parseOffsets(last);
}

/** What the snapshot says itself stays: Spark's writer knows better. A malformed snapshot is for the update to refuse. */
function withSummary(update: Update, recorded: Readonly<Record<string, string>>): Update {
  const snapshot = update["snapshot"] as { summary?: unknown } | null | undefined;
  const summary = snapshot?.summary;
  if (typeof summary !== "object" || summary === null) return update;
  return { ...update, snapshot: { ...snapshot, summary: { ...recorded, ...summary } } };
}
