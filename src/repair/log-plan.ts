import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../base/errors.ts";
import type { Lake } from "../lake/lake.ts";
import type { PartitionBounds } from "../log/log.ts";
import { boundsInFile, missingRecordsInFile, type MissingRecords } from "../log/sqlite/bounds.ts";

/** State of the log's file relative to bronze's consumed offsets. */
export interface LogPlan {
  /** The damage; null if the log is readable and reaches bronze's consumed offsets. */
  damage: string | null;
  /** Set for a readable log. */
  bounds: PartitionBounds[];
  /** Begin offsets of a recreated log, by partition. */
  new_log: ReadonlyMap<number, number>;
}

/**
 * Plans the log's repair. Read-only. `consumed` are bronze's offsets by partition; a lake without any needs no log.
 * With `is_quick` the file's pages are not checked.
 */
export function planLog(
  lake: Lake,
  topic: string,
  partitions: number,
  consumed: ReadonlyMap<number, number>,
  options: { is_quick: boolean },
): LogPlan {
  const found = readBounds(lake.log_file, topic, options);
  const is_behind =
    "bounds" in found && found.bounds.some(({ partition, end }) => end < (consumed.get(partition) ?? 0));
  const gap =
    "bounds" in found && !options.is_quick
      ? missingRecordsInFile(lake.log_file, topic).find(({ partition, end }) => end > (consumed.get(partition) ?? 0))
      : undefined;
  const behind =
    `${basename(lake.log_file)} ends before the offsets that bronze has consumed: it is an older ` +
    "copy, or was created again";
  const damage =
    "damage" in found
      ? found.damage
      : gap !== undefined
        ? lacks(lake.log_file, gap)
        : is_behind || (found.bounds.length === 0 && consumed.size > 0)
          ? behind
          : null;
  const bounds = "bounds" in found && damage === null ? found.bounds : [];
  if (damage === null || consumed.size === 0) return { damage: null, bounds, new_log: new Map() };
  // Alerts evaluate records before bronze has them, so offsets that alerts have evaluated must not be assigned again.
  const judged = judgedOffsets(join(lake.folder, "alerts.db"), topic);
  const old_ends = new Map("bounds" in found ? found.bounds.map(({ partition, end }) => [partition, end]) : []);
  const count = Math.max(partitions, ...[...consumed.keys()].map((partition) => partition + 1));
  const begins = Array.from({ length: count }, (_, partition): [number, number] => [
    partition,
    Math.max(...[consumed, judged, old_ends].map((offsets) => offsets.get(partition) ?? 0)),
  ]);
  return { damage, bounds, new_log: new Map(begins) };
}

function lacks(file: string, { begin, end }: MissingRecords): string {
  return `${basename(file)} lacks the records ${begin} to ${end - 1}`;
}

function readBounds(
  file: string,
  topic: string,
  { is_quick }: { is_quick: boolean },
): { damage: string } | { bounds: PartitionBounds[] } {
  const name = basename(file);
  if (!existsSync(file)) return { damage: `${name} is missing` };
  if (statSync(file).size === 0) return { damage: `${name} is empty` };
  try {
    const damage = is_quick ? null : checkFile(file);
    return damage === null ? { bounds: boundsInFile(file, topic) } : { damage: `${name} is damaged: ${damage}` };
  } catch (error) {
    return { damage: `${name} cannot be read: ${messageOf(error)}` };
  }
}

function checkFile(file: string): string | null {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const found = String(Object.values(database.prepare("pragma quick_check(1)").get() ?? {})[0]);
    return found === "ok" ? null : found;
  } finally {
    database.close();
  }
}

/** Offsets that alerts have evaluated; empty without alerts, or if their file is unreadable. */
function judgedOffsets(file: string, topic: string): Map<number, number> {
  if (!existsSync(file) || statSync(file).size === 0) return new Map();
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true });
    const rows = database.prepare("select partition, next_offset from progress").all();
    const own = rows.filter(
      ({ partition }) => String(partition).slice(0, String(partition).lastIndexOf("/")) === topic,
    );
    return new Map(
      own.map(({ partition, next_offset }) => [Number(String(partition).split("/").at(-1)), Number(next_offset)]),
    );
  } catch {
    // Another check reports an unreadable file of alerts.
    return new Map();
  } finally {
    database?.close();
  }
}
