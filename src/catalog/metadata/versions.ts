import type { TableMetadata } from "../model.ts";

/** The chain of metadata files of one table: names, the log of earlier ones, and which drop off its end. */

const DEFAULT_PREVIOUS_VERSIONS = 100;

/**
 * `…/metadata/00041-<uuid>.metadata.json`, or `.gz.metadata.json` (spec, "Naming for GZIP compressed Metadata JSON files").
 * The number is for people and tools that sort by name, the uuid makes it unique.
 */
export function metadataLocation(metadata: TableMetadata, version: number, uuid: string, is_compressed: boolean): string {
  const extension = is_compressed ? ".gz.metadata.json" : ".metadata.json";
  return `${metadata.location}/metadata/${String(version).padStart(5, "0")}-${uuid}${extension}`;
}

/** One more than the version in the name of `location` (`00041-…` or `v41.…`); 0 where it has none. */
export function nextVersion(location: string): number {
  const name = location.slice(location.lastIndexOf("/") + 1);
  const digits = /^(\d+)-/.exec(name)?.[1] ?? /^v(\d+)\./.exec(name)?.[1];
  return digits === undefined ? 0 : Number(digits) + 1;
}

/** `next` with the file it replaces in its log, which keeps `write.metadata.previous-versions-max` entries (default 100, at least 1). */
export function withPreviousVersion(next: TableMetadata, base: TableMetadata, base_location: string): TableMetadata {
  const stated = Number(next.properties["write.metadata.previous-versions-max"] ?? DEFAULT_PREVIOUS_VERSIONS);
  const kept = Number.isInteger(stated) ? Math.max(1, stated) : DEFAULT_PREVIOUS_VERSIONS;
  const entry = { "metadata-file": base_location, "timestamp-ms": base["last-updated-ms"] };
  return { ...next, "metadata-log": [...base["metadata-log"], entry].slice(-kept) };
}

/**
 * Files that `next` no longer lists. They go by default, unlike in the reference implementation: a commit every few seconds
 * would else leave ten thousand files a day. `write.metadata.delete-after-commit.enabled=false` keeps them.
 */
export function droppedVersions(next: TableMetadata, base: TableMetadata): string[] {
  if (next.properties["write.metadata.delete-after-commit.enabled"] === "false") return [];
  const kept = new Set(next["metadata-log"].map((entry) => entry["metadata-file"]));
  return base["metadata-log"].map((entry) => entry["metadata-file"]).filter((file) => !kept.has(file));
}
