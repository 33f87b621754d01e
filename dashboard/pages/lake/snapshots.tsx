import { useSignal } from "@preact/signals";
import { hrefOf } from "../../base.ts";
import type { SnapshotDetail } from "../../../src/serve/schemas/tables.ts";
import { formatBytes, formatCount } from "../../format/number.ts";
import { isCompaction } from "../../format/snapshot.ts";
import { Badge } from "../../components/badge.tsx";
import { Missing } from "../../components/figures.tsx";
import { moveThroughRows } from "../../components/rows.ts";
import { Moment } from "../../components/time.tsx";
import { go } from "../../router.ts";

const SHOWN = 120;
const [WIDTH, HEIGHT] = [1200, 96];

/** URL of a query over the table as of this commit. */
export function queryAt(table: string, snapshot: SnapshotDetail): string {
  const sql = `select *\nfrom ${table}\nlimit 100`;
  // Two commits may share a millisecond; the query then reads the later one.
  return `/sql?${new URLSearchParams({ at: snapshot.committed_at, sql }).toString()}`;
}

function describeCommit(snapshot: SnapshotDetail): string {
  const { operation, committer, committed_at } = snapshot;
  const change = isCompaction(snapshot) ? "the same rows in fewer files" : `+${formatCount(addedBy(snapshot))} rows`;
  return `${operation} by ${committer}, ${committed_at}: ${change}. Click to query this snapshot.`;
}

function addedBy(snapshot: SnapshotDetail): number {
  return isCompaction(snapshot) ? 0 : (snapshot.added_rows ?? 0);
}

/**
 * Commits as bars in order, as high as the rows they added; compactions are highlighted. The bars are a shortcut for
 * the mouse; the table of snapshots below has the same links for the keyboard.
 */
export function Timeline({ table, snapshots }: { table: string; snapshots: readonly SnapshotDetail[] }) {
  const shown = snapshots.slice(0, SHOWN).toReversed();
  const greatest = Math.max(1, ...shown.map(addedBy));
  const step = WIDTH / Math.max(shown.length, 24);
  const [first, last] = [shown[0], shown.at(-1)];
  if (first === undefined || last === undefined) return null;
  return (
    <figure class="timeline">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`The last ${shown.length} commits to ${table}, each adding up to ${formatCount(greatest)} rows`}
      >
        {shown.map((snapshot, index) => {
          const share = isCompaction(snapshot) ? 1 : addedBy(snapshot) / greatest;
          const height = Math.max(2, share * (HEIGHT - 4));
          return (
            <g key={snapshot.snapshot_id} class="commit-group" onClick={() => go(queryAt(table, snapshot))}>
              <rect class="hit" x={index * step} y="0" width={step} height={HEIGHT}>
                <title>{describeCommit(snapshot)}</title>
              </rect>
              <rect
                class={`commit ${snapshot.operation}`}
                x={index * step + step * 0.12}
                y={HEIGHT - height}
                width={step * 0.76}
                height={height}
              />
            </g>
          );
        })}
      </svg>
      <figcaption>
        <Moment at={first.committed_at} />
        <span>
          <span class="key append" /> append <span class="key overwrite" /> overwrite, delete{" "}
          <span class="key replace" /> compaction (same rows) · height: rows added, up to {formatCount(greatest)}
        </span>
        <Moment at={last.committed_at} with_zone />
      </figcaption>
    </figure>
  );
}

const TONES: Record<string, "plain" | "accent" | "warn"> = { append: "plain", replace: "accent" };

export function SnapshotTable({ table, snapshots }: { table: string; snapshots: readonly SnapshotDetail[] }) {
  const marked = useSignal(0);
  const count = useSignal(12);
  const shown = snapshots.slice(0, count.value);
  const open = (index: number) => {
    const snapshot = shown[index];
    if (snapshot) go(queryAt(table, snapshot));
  };
  return (
    <>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Snapshots">
        <table class="grid-table" onKeyDown={(event) => moveThroughRows(event, shown.length, marked, open)}>
          <thead>
            <tr>
              <th scope="col">committed</th>
              <th scope="col">operation</th>
              <th scope="col">by</th>
              {["rows changed", "rows", "data files", "size"].map((header) => (
                <th key={header} scope="col" class="right">
                  {header}
                </th>
              ))}
              <th scope="col">snapshot</th>
              <th scope="col">
                <span class="unseen">query</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((snapshot, index) => (
              <SnapshotRow
                key={snapshot.snapshot_id}
                table={table}
                snapshot={snapshot}
                index={index}
                is_marked={index === marked.value}
              />
            ))}
          </tbody>
        </table>
      </div>
      {snapshots.length > count.value ? (
        <p class="more">
          <button type="button" class="button small" onClick={() => (count.value += 50)}>
            Show more of {formatCount(snapshots.length)}
          </button>
        </p>
      ) : null}
    </>
  );
}

interface SnapshotRowProps {
  table: string;
  snapshot: SnapshotDetail;
  index: number;
  is_marked: boolean;
}

function SnapshotRow({ table, snapshot, index, is_marked }: SnapshotRowProps) {
  return (
    <tr data-row={index} tabIndex={is_marked ? 0 : -1}>
      <td>
        <Moment at={snapshot.committed_at} is_full />
      </td>
      <td>
        <Badge tone={TONES[snapshot.operation] ?? "warn"}>{snapshot.operation}</Badge>
      </td>
      <td>{snapshot.committer}</td>
      <td class="right figure">
        <RowsChanged snapshot={snapshot} />
      </td>
      <Total value={snapshot.total_rows} format={formatCount} />
      <Total value={snapshot.total_files} format={formatCount} />
      <Total value={snapshot.total_size_bytes} format={formatBytes} />
      <td>
        <code class="muted">{snapshot.snapshot_id}</code>
      </td>
      <td class="right">
        <a href={hrefOf(queryAt(table, snapshot))} tabIndex={-1}>
          query this snapshot
        </a>
      </td>
    </tr>
  );
}

function Total({ value, format }: { value: number | null; format: (value: number) => string }) {
  return <td class="right figure">{value === null ? <Missing why="the snapshot has expired" /> : format(value)}</td>;
}

function RowsChanged({ snapshot }: { snapshot: SnapshotDetail }) {
  const { added_rows, deleted_rows } = snapshot;
  if (added_rows === null && deleted_rows === null) return <Missing why="not in the snapshot's summary" />;
  if (isCompaction(snapshot)) return <span class="muted">{formatCount(added_rows ?? 0)} rewritten</span>;
  return (
    <>
      +{formatCount(added_rows ?? 0)}
      {deleted_rows ? <span class="muted"> −{formatCount(deleted_rows)}</span> : null}
    </>
  );
}
