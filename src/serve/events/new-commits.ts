import { nameOfTable } from "../../iceberg/errors.ts";
import { isSameLong } from "../../iceberg/long.ts";
import { historyOf, historySince, type HistoryEntry } from "../../iceberg/metadata/history.ts";
import type { LoadedTable } from "../../iceberg/model.ts";

export interface CommitEvent {
  table: string;
  snapshot_id: string;
  /** Rows that the commit added; null where its summary does not say so. */
  rows: number | null;
  committed_at: string;
}

/** Finds the commits of tables since the call before. The first call finds none, because those are not new. */
export class NewCommits {
  /** Each table's newest snapshot; null before its first. */
  readonly #newest = new Map<string, HistoryEntry | null>();
  #has_begun = false;

  next(tables: readonly Pick<LoadedTable, "identifier" | "metadata">[]): CommitEvent[] {
    const commits = tables.flatMap(({ identifier, metadata }) => {
      const table = nameOfTable(identifier);
      const known = this.#newest.get(table) ?? null;
      const history = historyOf(metadata);
      this.#newest.set(table, history.at(-1) ?? null);
      // Every commit of a table that was created meanwhile is new.
      const added = known === null ? history : historySince(metadata, known);
      return added.map(({ snapshot_id, at_ms }): CommitEvent => {
        const snapshot = metadata.snapshots.findLast((one) => isSameLong(one["snapshot-id"], snapshot_id));
        const rows = snapshot?.summary["added-records"];
        return {
          table,
          snapshot_id: String(snapshot_id),
          rows: rows === undefined ? null : Number(rows),
          committed_at: new Date(at_ms).toISOString(),
        };
      });
    });
    const is_first = !this.#has_begun;
    this.#has_begun = true;
    return is_first ? [] : commits;
  }
}
