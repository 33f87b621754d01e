import { canonicalLong } from "../iceberg/long.ts";
import type { Long, TableMetadata, Update } from "../iceberg/model.ts";
import type { JsonObject } from "../iceberg/shape.ts";

/** The files of one table that a commit is about to publish. */
export interface CommittedFiles {
  /** Null for a table that is new to the catalog: then every file that `next` refers to is new. */
  base: TableMetadata | null;
  next: TableMetadata;
  /** Snapshots that the commit adds, including those that it does not keep (see metadata/join.ts). */
  added_ids: ReadonlySet<Long>;
  /** Other files that the commit refers to, such as statistics. */
  other_files: readonly string[];
}

/**
 * Resolves once every file of the new snapshots is durable, with its folder entries. A missing file is no error: the
 * catalog does not validate the commits of engines. Rejects if the disk fails; then nothing is published.
 */
export type MakeDurable = (files: CommittedFiles) => Promise<void>;

const STATISTICS = ["statistics", "partition-statistics"] as const;

/** The files of a commit, from the updates between `base` and `next`. Pure. */
export function filesOfCommit(
  base: TableMetadata | null,
  next: TableMetadata,
  updates: readonly Update[],
): CommittedFiles {
  const added_ids = new Set<Long>();
  for (const update of updates) {
    if (update.action !== "add-snapshot") continue;
    const { "snapshot-id": id } = update["snapshot"] as { "snapshot-id": Long };
    added_ids.add(canonicalLong(id));
  }
  const statistics = updates.flatMap((update) =>
    STATISTICS.map((key) => (update.action === `set-${key}` ? update[key] : undefined)),
  );
  return { base, next, added_ids, other_files: statistics.flatMap(statisticsPath) };
}

/** All files that a table refers to, when it is registered by its metadata file. Pure. */
export function filesOfTable(metadata: TableMetadata, metadata_location: string): CommittedFiles {
  const statistics = STATISTICS.flatMap((key) => (metadata[key] ?? []) as JsonObject[]);
  return {
    base: null,
    next: metadata,
    added_ids: new Set(),
    other_files: [metadata_location, ...statistics.flatMap(statisticsPath)],
  };
}

function statisticsPath(statistics: unknown): string[] {
  const path = (statistics as JsonObject | undefined)?.["statistics-path"];
  return typeof path === "string" ? [path] : [];
}
