import { isBelow } from "./confinement.ts";
import type { TableMetadata } from "../iceberg/model.ts";

/**
 * The chain of metadata files of one table: their names, the log of earlier files, and the files that leave the log.
 */

/**
 * The number of earlier files that are kept by default. It is small, because every table has them. But DuckDB finds the
 * version that was current when its transaction began in the metadata log, and fails if the log has no entry that old.
 * So a file is also kept for some minutes after its replacement, up to a maximum if commits are that frequent.
 */
const DEFAULT_PREVIOUS_VERSIONS = { least: 20, most: 100, at_least_ms: 5 * 60_000 };

/**
 * `…/metadata/00041-<uuid>.metadata.json`, or `.gz.metadata.json` (spec, "Naming for GZIP compressed Metadata JSON
 * files"). The number is for people and tools that sort by name; the UUID makes the name unique.
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

/** One more than the version in the name of `location` (`00041-…` or `v41.…`); 0 if it has none. */
export function nextVersion(location: string): number {
  const name = location.slice(location.lastIndexOf("/") + 1);
  const digits = /^(\d+)-/.exec(name)?.[1] ?? /^v(\d+)\./.exec(name)?.[1];
  return digits === undefined ? 0 : Number(digits) + 1;
}

/**
 * `next` with the replaced file in its log, limited to `write.metadata.previous-versions-max` entries (at least 1), or
 * to the default.
 */
export function withPreviousVersion(next: TableMetadata, base: TableMetadata, base_location: string): TableMetadata {
  const log = [...base["metadata-log"], { "metadata-file": base_location, "timestamp-ms": base["last-updated-ms"] }];
  const stated = Number(next.properties["write.metadata.previous-versions-max"] ?? Number.NaN);
  const kept = Number.isInteger(stated) ? Math.max(1, stated) : defaultVersions(log, Number(next["last-updated-ms"]));
  return { ...next, "metadata-log": log.slice(-kept) };
}

/**
 * The number of entries of `log` that stay at `now_ms`. An entry's time is the commit time of its file, which was
 * replaced at the time of the next entry.
 */
function defaultVersions(log: TableMetadata["metadata-log"], now_ms: number): number {
  const { least, most, at_least_ms } = DEFAULT_PREVIOUS_VERSIONS;
  const outdated = log.findLastIndex(
    (_, index) => now_ms - Number(log[index + 1]?.["timestamp-ms"] ?? now_ms) > at_least_ms,
  );
  return Math.min(most, Math.max(least, log.length - 1 - outdated));
}

/**
 * Files that `next` no longer lists. Deleted by default, unlike in the reference implementation, because a commit every
 * few seconds would leave ten thousand files a day. `write.metadata.delete-after-commit.enabled=false` keeps them.
 */
export function droppedVersions(next: TableMetadata, base: TableMetadata): string[] {
  if (next.properties["write.metadata.delete-after-commit.enabled"] === "false") return [];
  const kept = new Set(next["metadata-log"].map((entry) => entry["metadata-file"]));
  const folders = [base.location, next.location].map((location) => `${location}/metadata`);
  const dropped = base["metadata-log"].map((entry) => entry["metadata-file"]).filter((file) => !kept.has(file));
  // Another program may have written the log: the catalog does not delete files outside the table's folders.
  return dropped.filter((file) => folders.some((folder) => isBelow(file, folder)));
}
