import type { Long, TableMetadata } from "../catalog/model.ts";
import { OperatingError } from "../errors.ts";
import type { PartitionBounds } from "../log/log.ts";

/**
 * How far a table has come in the log: a JSON object from "<topic>/<partition>" to the next offset to take. A table property,
 * so that it changes in the same commit as the rows, and stays when snapshots expire. Spark's commits change rows or properties, not
 * both: there it is an entry of the summary of the snapshot that brings the rows, and the property follows.
 */
export const LOG_OFFSETS_PROPERTY = "coinlake.log-offsets";

/** What of a table says its place. */
export type Placed = Pick<TableMetadata, "properties" | "snapshots" | "current-snapshot-id">;

/**
 * A table's place in the log, next offset by "<topic>/<partition>"; empty where it has none. By partition the greater of what the
 * property and the snapshots say: one that was killed between the two has its rows. Throws OFFSETS_MALFORMED.
 */
export function placeIn(table: Placed): Record<string, number> {
  const place = parse(table.properties);
  for (const [name, next] of Object.entries(parse(newestSummary(table)))) place[name] = Math.max(next, place[name] ?? 0);
  return place;
}

/** Of the snapshots that led to the current one, the last that says a place: compaction's do not. */
function newestSummary({ snapshots, "current-snapshot-id": current }: Placed): Readonly<Record<string, string>> {
  if (!snapshots.some(({ summary }) => summary[LOG_OFFSETS_PROPERTY] !== undefined)) return {};
  const by_id = new Map(snapshots.map((snapshot) => [String(snapshot["snapshot-id"]), snapshot]));
  for (let id: Long | null | undefined = current; id !== null && id !== undefined; ) {
    const snapshot = by_id.get(String(id));
    if (snapshot === undefined || snapshot.summary[LOG_OFFSETS_PROPERTY] !== undefined) return snapshot?.summary ?? {};
    id = snapshot["parent-snapshot-id"];
  }
  return {};
}

/** Next offset by partition. */
export type Offsets = ReadonlyMap<number, number>;

/** Throws OFFSETS_MALFORMED. */
export function readOffsets(table: Placed, topic: string): Map<number, number> {
  const offsets = new Map<number, number>();
  for (const [name, next] of Object.entries(placeIn(table))) {
    const slash = name.lastIndexOf("/");
    const partition = Number(name.slice(slash + 1));
    if (!Number.isSafeInteger(next) || !Number.isInteger(partition)) throw malformed(table.properties);
    if (name.slice(0, slash) === topic) offsets.set(partition, next);
  }
  return offsets;
}

/** The property's next value: other topics keep theirs. */
export function writeOffsets(table: Placed, topic: string, offsets: Offsets): string {
  const own = Object.fromEntries(Array.from(offsets, ([partition, next]) => [`${topic}/${partition}`, next]));
  return JSON.stringify({ ...placeIn(table), ...own });
}

export function isSameOffsets(a: Offsets, b: Offsets): boolean {
  return a.size === b.size && [...a].every(([partition, next]) => b.get(partition) === next);
}

export function pendingRecords(offsets: Offsets, bounds: readonly PartitionBounds[]): number {
  return bounds.reduce((pending, { partition, begin, end }) => pending + Math.max(0, end - (offsets.get(partition) ?? begin)), 0);
}

/**
 * Where each partition goes on. A table that has nothing of a partition begins where the log does. Throws LOG_GAP where the
 * log no longer has what comes next, and LOG_BEHIND where it ends before what the table has: the copy could not be gapless.
 */
export function startingOffsets(committed: Offsets, bounds: readonly PartitionBounds[], topic: string): Map<number, number> {
  return new Map(
    bounds.map(({ partition, begin, end }) => {
      const next = committed.get(partition) ?? begin;
      if (next < begin) throw gap(`${topic}/${partition} begins at offset ${begin}, but bronze has records up to ${next} only`);
      if (next > end) throw behind(`${topic}/${partition} ends at offset ${end}, but bronze has records up to ${next}`);
      return [partition, next];
    }),
  );
}

function parse(properties: Readonly<Record<string, string>>): Record<string, number> {
  let value: unknown;
  try {
    value = JSON.parse(properties[LOG_OFFSETS_PROPERTY] ?? "{}");
  } catch (error) {
    throw malformed(properties, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(properties);
  return value as Record<string, number>;
}

function malformed(properties: Readonly<Record<string, string>>, cause?: unknown): OperatingError {
  return new OperatingError("OFFSETS_MALFORMED", `The table property ${LOG_OFFSETS_PROPERTY} is ${properties[LOG_OFFSETS_PROPERTY]}`, {
    next_step: 'Set it to {"<topic>/<partition>": <next offset>}, from the highest log_offset of each partition in the table.',
    cause,
  });
}

function gap(message: string): OperatingError {
  return new OperatingError("LOG_GAP", message, {
    next_step:
      "Run `npm run -s coinlake -- repair`: it looks for the records in newer metadata and data files of the warehouse, and with " +
      "--from DIR in a backup. Only what is nowhere has to be accepted as lost, with --accept-loss.",
  });
}

function behind(message: string): OperatingError {
  return new OperatingError("LOG_BEHIND", message, {
    next_step:
      "Use the log that belongs to this lake; an older copy of its file would give offsets out twice. Where the log is lost, " +
      "`npm run -s coinlake -- repair` says what is gone with it, and makes another that goes on after bronze.",
  });
}
