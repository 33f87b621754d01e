import { nameOfTable } from "../iceberg/errors.ts";
import { historyOf } from "../iceberg/metadata/history.ts";
import type { LoadedTable, Snapshot, TableCatalog, TableIdentifier } from "../iceberg/model.ts";
import { LAYERS } from "../lake/layers.ts";
import { currentSnapshot } from "../iceberg/stage.ts";
import { LiveFiles, type LiveFile, type SnapshotContent } from "../iceberg/live-files.ts";
import { CONTENT } from "../iceberg/manifest-model.ts";
import { nullIfMissing } from "../storage/missing.ts";
import type { Storage } from "../storage/storage.ts";

export interface TableFigures {
  table: string;
  layer: (typeof LAYERS)[number];
  rows: number;
  deleted_rows: number;
  size_bytes: number;
  files: number;
  delete_files: number;
  partitions: number;
  manifests: number;
  snapshots: number;
  /** The earliest time at which the table can be queried; null before its first commit. */
  oldest_snapshot_at: string | null;
  snapshot_id: string | null;
  committed_at: string | null;
  commits_last_minute: number;
}

export interface SnapshotFigures {
  snapshot_id: string;
  parent_id: string | null;
  sequence_number: string;
  committed_at: string;
  operation: string;
  committer: string;
  added_rows: number | null;
  deleted_rows: number | null;
  added_files: number | null;
  /** Rows visible in the snapshot. */
  total_rows: number | null;
  total_files: number | null;
  /** The size of its data and delete files. */
  total_size_bytes: number | null;
  summary: Record<string, string>;
  was_current: boolean;
}

type SnapshotTotals = Pick<SnapshotFigures, "total_rows" | "total_files" | "total_size_bytes">;

const CONTENT_NAMES = ["data", "position_deletes", "equality_deletes"] as const;

/** Statistics of a lake's tables, read from metadata and manifests without scanning data. */
export class TableReports {
  readonly #catalog: TableCatalog;
  readonly #files: LiveFiles;
  /** The content of each table's newest snapshot. */
  readonly #current = new Map<string, SnapshotContent & { snapshot_id: string }>();
  /** Cached by table and snapshot: snapshots are immutable. */
  readonly #totals = new Map<string, Map<string, SnapshotTotals>>();

  constructor({ catalog, storage }: { catalog: TableCatalog; storage: Storage }) {
    this.#catalog = catalog;
    this.#files = new LiveFiles(storage);
  }

  async all(): Promise<LoadedTable[]> {
    const found: LoadedTable[] = [];
    for (const layer of LAYERS) {
      if (!(await this.#catalog.hasNamespace([layer]))) continue;
      for (const identifier of await this.#catalog.listTables([layer]))
        found.push(await this.#catalog.loadTable(identifier));
    }
    return found;
  }

  /** Throws TABLE_NOT_FOUND. */
  load(name: string): Promise<LoadedTable> {
    return this.#catalog.loadTable(identifierOf(name));
  }

  async figures(table: LoadedTable, now_ms: number): Promise<TableFigures> {
    const { metadata, identifier } = table;
    const { files, manifests } = await this.#contentOf(table);
    const data = files.filter(({ content }) => content === CONTENT.data);
    const deleted_rows = rowsOf(files, CONTENT.position_deletes);
    const current = currentSnapshot(metadata);
    return {
      table: nameOfTable(identifier),
      layer: identifier.namespace[0] as TableFigures["layer"],
      rows: rowsLeft(files),
      deleted_rows,
      size_bytes: sum(files.map(({ size_bytes }) => size_bytes)),
      files: data.length,
      delete_files: files.length - data.length,
      partitions: new Set(data.map(({ partition }) => partition)).size,
      manifests,
      snapshots: metadata.snapshots.length,
      oldest_snapshot_at: oldestOf(metadata),
      snapshot_id: current === null ? null : String(current["snapshot-id"]),
      committed_at: current === null ? null : isoOf(current["timestamp-ms"]),
      commits_last_minute: commitsSince(table, now_ms - 60_000),
    };
  }

  /** The files of the newest snapshot; none before the first. */
  async files(table: LoadedTable): Promise<LiveFile[]> {
    return (await this.#contentOf(table)).files;
  }

  async #contentOf(table: LoadedTable): Promise<SnapshotContent> {
    const current = currentSnapshot(table.metadata);
    if (current === null) return { files: [], manifests: 0 };
    const name = table.metadata["table-uuid"];
    const snapshot_id = String(current["snapshot-id"]);
    const known = this.#current.get(name);
    if (known?.snapshot_id === snapshot_id) return known;
    const content = await this.#files.contentOf(table.metadata, current);
    this.#current.set(name, { snapshot_id, ...content });
    return content;
  }

  /** Snapshots with totals counted from manifests: summaries are incomplete and include deleted rows. */
  async withTotals({ metadata }: LoadedTable, snapshots: readonly SnapshotFigures[]): Promise<SnapshotFigures[]> {
    const by_id = new Map(metadata.snapshots.map((snapshot) => [String(snapshot["snapshot-id"]), snapshot]));
    const known = this.#totals.get(metadata["table-uuid"]) ?? new Map<string, SnapshotTotals>();
    this.#totals.set(metadata["table-uuid"], known);
    for (const id of known.keys()) if (!by_id.has(id)) known.delete(id);
    const counted: SnapshotFigures[] = [];
    // One after the other, so that the first read of a table does not block the event loop.
    for (const figures of snapshots) {
      const snapshot = by_id.get(figures.snapshot_id);
      const totals =
        known.get(figures.snapshot_id) ?? (snapshot === undefined ? null : await this.#totalsOf(metadata, snapshot));
      if (totals !== null) known.set(figures.snapshot_id, totals);
      counted.push({ ...figures, ...totals });
    }
    return counted;
  }

  /** Null if the snapshot expired meanwhile. */
  async #totalsOf(metadata: LoadedTable["metadata"], snapshot: Snapshot): Promise<SnapshotTotals | null> {
    const files = await nullIfMissing(() => this.#files.of(metadata, snapshot));
    if (files === null) return null;
    const total_files = files.filter(({ content }) => content === CONTENT.data).length;
    return {
      total_rows: rowsLeft(files),
      total_files,
      total_size_bytes: sum(files.map(({ size_bytes }) => size_bytes)),
    };
  }

  /** Rows of the newest snapshot in one partition (`name=value`), deleted ones subtracted. */
  async rowsIn(table: LoadedTable, partition: string): Promise<number> {
    return rowsLeft((await this.files(table)).filter((file) => file.partition === partition));
  }

  /** Data files and rows of one snapshot; null where it has expired. */
  async extent({ metadata }: LoadedTable, snapshot_id: string): Promise<{ files: number; rows: number } | null> {
    const snapshot = metadata.snapshots.find((candidate) => String(candidate["snapshot-id"]) === snapshot_id);
    if (snapshot === undefined) return null;
    const files = await this.#files.of(metadata, snapshot);
    return { files: files.filter(({ content }) => content === CONTENT.data).length, rows: rowsLeft(files) };
  }
}

export function contentName(file: LiveFile): (typeof CONTENT_NAMES)[number] {
  return CONTENT_NAMES[file.content] ?? "data";
}

export function identifierOf(name: string): TableIdentifier {
  const [layer = "", ...rest] = name.split(".");
  return { namespace: [layer], name: rest.join(".") };
}

/**
 * The number of commits that became current after `since_ms`, by the table's history, which omits a commit's
 * intermediate snapshots.
 */
export function commitsSince({ metadata }: LoadedTable, since_ms: number): number {
  const history = historyOf(metadata);
  return history.length - 1 - history.findLastIndex(({ at_ms }) => at_ms <= since_ms);
}

function oldestOf(metadata: LoadedTable["metadata"]): string | null {
  const [oldest] = historyOf(metadata);
  return oldest === undefined ? null : isoOf(oldest.at_ms);
}

/** Snapshots, newest first, read from summaries. */
export function snapshotsOf({ metadata }: LoadedTable): SnapshotFigures[] {
  const current = new Set(historyOf(metadata).map(({ snapshot_id }) => String(snapshot_id)));
  return metadata.snapshots.map((snapshot) => figuresOf(snapshot, current)).toReversed();
}

function figuresOf(snapshot: Snapshot, current: ReadonlySet<string>): SnapshotFigures {
  const { summary } = snapshot;
  const figure = (name: string) => (/^\d+$/.test(summary[name] ?? "") ? Number(summary[name]) : null);
  const id = String(snapshot["snapshot-id"]);
  return {
    snapshot_id: id,
    parent_id: snapshot["parent-snapshot-id"] === undefined ? null : String(snapshot["parent-snapshot-id"]),
    sequence_number: String(snapshot["sequence-number"]),
    committed_at: isoOf(snapshot["timestamp-ms"]),
    operation: summary["operation"] ?? "unknown",
    committer: committerOf(summary),
    added_rows: figure("added-records"),
    deleted_rows: deletedRows(figure),
    added_files: figure("added-data-files"),
    total_rows: totalRows(figure),
    total_files: figure("total-data-files"),
    total_size_bytes: figure("total-files-size"),
    summary,
    was_current: current.has(id),
  };
}

/**
 * Rows of removed files and rows marked by position deletes. Engines write either value, and DuckDB writes 0 for the
 * other.
 */
function deletedRows(figure: (name: string) => number | null): number | null {
  const of_files = figure("deleted-records") ?? figure("removed-records");
  const marked = figure("added-position-deletes");
  return of_files === null ? marked : of_files + (marked ?? 0);
}

/** The summary's total includes rows that position deletes mark, so these are subtracted. */
function totalRows(figure: (name: string) => number | null): number | null {
  const records = figure("total-records");
  const deletes = figure("total-position-deletes") ?? (figure("total-delete-files") === 0 ? 0 : null);
  return records === null || deletes === null ? null : records - deletes;
}

/**
 * The engine that committed the snapshot, by the spec's "Optional Snapshot Summary Fields". DuckDB does not name
 * itself; it is recognised because only DuckDB counts files without their sizes.
 */
function committerOf(summary: Readonly<Record<string, string>>): string {
  const named = summary["engine-name"] ?? (summary["spark.app.id"] === undefined ? undefined : "spark");
  if (named !== undefined) return [named, summary["engine-version"]].filter(Boolean).join(" ");
  const is_duckdb =
    summary["total-data-files"] !== undefined && !Object.keys(summary).some((name) => name.endsWith("-files-size"));
  return is_duckdb ? "duckdb" : "not named";
}

/** A position delete removes one row; the rows of an equality delete are known only after a scan. */
export function rowsLeft(files: readonly Pick<LiveFile, "content" | "rows">[]): number {
  return rowsOf(files, CONTENT.data) - rowsOf(files, CONTENT.position_deletes);
}

function rowsOf(files: readonly Pick<LiveFile, "content" | "rows">[], content: number): number {
  return sum(files.filter((file) => file.content === content).map(({ rows }) => rows));
}

function isoOf(timestamp_ms: number | bigint): string {
  return new Date(Number(timestamp_ms)).toISOString();
}

function sum(figures: readonly number[]): number {
  return figures.reduce((total, figure) => total + figure, 0);
}
