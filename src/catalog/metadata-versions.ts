import { isBelow } from "./confinement.ts";
import type { TableMetadata } from "../iceberg/model.ts";

/** The chain of metadata files of one table: names, the log of earlier ones, and which drop off its end. */

/**
 * The number of earlier files that are kept if the table's properties do not say. It is small, because every table has them. But
 * DuckDB reads the version that was current when its transaction began, by the metadata log, and fails if the log has no entry
 * that old. So a file is also kept for some minutes after its replacement, up to a maximum if commits are that frequent.
 */
const DEFAULT_PREVIOUS_VERSIONS = { least: 20, most: 100, at_least_ms: 5 * 60_000 };

/**
 * `…/metadata/00041-<uuid>.metadata.json`, or `.gz.metadata.json` (spec, "Naming for GZIP compressed Metadata JSON files").
 * The number is for people and tools that sort by name, the uuid makes it unique.
 */
export function metadataLocation(
  metadata: TableMetadata,
  version: number,
  uuid: string,
  is_compressed: boolean,
): string {
  const extension = is_compressed ? ".gz.metadata.json" : ".metadata.json";
  return `${metadata.location}/metadata/${String(version).padStart(5, "0")}-${uuid}${extension}`;
}

/** One more than the version in the name of `location` (`00041-…` or `v41.…`); 0 where it has none. */
export function nextVersion(location: string): number {
  const name = location.slice(location.lastIndexOf("/") + 1);
  const digits = /^(\d+)-/.exec(name)?.[1] ?? /^v(\d+)\./.exec(name)?.[1];
  return digits === undefined ? 0 : Number(digits) + 1;
}

/** `next` with the file it replaces in its log, which keeps `write.metadata.previous-versions-max` entries (at least 1), or the default's. */
export function withPreviousVersion(next: TableMetadata, base: TableMetadata, base_location: string): TableMetadata {
  const log = [...base["metadata-log"], { "metadata-file": base_location, "timestamp-ms": base["last-updated-ms"] }];
  const stated = Number(next.properties["write.metadata.previous-versions-max"] ?? Number.NaN);
  const kept = Number.isInteger(stated) ? Math.max(1, stated) : defaultVersions(log, Number(next["last-updated-ms"]));
  return { ...next, "metadata-log": log.slice(-kept) };
}

/** How many of `log` stay at `now_ms`. An entry's time is that of its file, which was replaced at the next entry's time. */
function defaultVersions(log: TableMetadata["metadata-log"], now_ms: number): number {
  const { least, most, at_least_ms } = DEFAULT_PREVIOUS_VERSIONS;
  const outdated = log.findLastIndex(
    (_, index) => now_ms - Number(log[index + 1]?.["timestamp-ms"] ?? now_ms) > at_least_ms,
  );
  return Math.min(most, Math.max(least, log.length - 1 - outdated));
}

/**
 * Files that `next` no longer lists. They go by default, unlike in the reference implementation: a commit every few seconds
 * would else leave ten thousand files a day. `write.metadata.delete-after-commit.enabled=false` keeps them.
 */
export function droppedVersions(next: TableMetadata, base: TableMetadata): string[] {
  if (next.properties["write.metadata.delete-after-commit.enabled"] === "false") return [];
  const kept = new Set(next["metadata-log"].map((entry) => entry["metadata-file"]));
  const folders = [base.location, next.location].map((location) => `${location}/metadata`);
  const dropped = base["metadata-log"].map((entry) => entry["metadata-file"]).filter((file) => !kept.has(file));
  // Another program may have written the log: what it names elsewhere is not the catalog's to delete.
  return dropped.filter((file) => folders.some((folder) => isBelow(file, folder)));
}
