import { useSignal } from "@preact/signals";
import type { SnapshotDetail } from "../../../src/serve/schemas/tables.ts";
import { formatBytes, formatCount } from "../../format/number.ts";
import { isCompaction } from "../../format/snapshot.ts";
import { Badge } from "../../parts/badge.tsx";
import { Missing } from "../../parts/figures.tsx";
import { moveThroughRows } from "../../parts/rows.ts";
import { Moment } from "../../parts/time.tsx";
import { go } from "../../router.ts";

const SHOWN = 120;
const [WIDTH, HEIGHT] = [1200, 96];

/** Where a query finds the table as it stood right after this commit. */
export function queryAt(table: string, snapshot: SnapshotDetail): string {
  const sql = `select *\nfrom ${table}\nlimit 100`;
  // A commit's time has milliseconds and the next may follow in the same one: the snapshot in force is the last up to then.
  return `/sql?${new URLSearchParams({ at: snapshot.committed_at, sql }).toString()}`;
}

function addedBy(snapshot: SnapshotDetail): number {
  return isCompaction(snapshot) ? 0 : (snapshot.added_rows ?? 0);
}

/**
 * Commits as bars in their order, as high as the rows they brought; those that rewrote rather than added stand out. Pressing
 * one is a shortcut of the mouse: the table of snapshots below has the same links for every hand.
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
        aria-label={`The last ${shown.length} commits to ${table}, most rows in one: ${formatCount(greatest)}`}
      >
        {shown.map((snapshot, index) => {
          const share = isCompaction(snapshot) ? 1 : addedBy(snapshot) / greatest;
          const height = Math.max(2, share * (HEIGHT - 4));
          return (
            <g key={snapshot.snapshot_id} class="commit-group" onClick={() => go(queryAt(table, snapshot))}>
              <rect class="hit" x={index * step} y="0" width={step} height={HEIGHT}>
                <title>{`${snapshot.operation} by ${snapshot.committer}, ${snapshot.committed_at}: ${isCompaction(snapshot) ? "the same rows in fewer files" : `+${formatCount(addedBy(snapshot))} rows`}. Click to query this snapshot.`}</title>
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
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Every snapshot">
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
              <tr key={snapshot.snapshot_id} data-row={index} tabIndex={index === marked.value ? 0 : -1}>
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
                <td class="right figure">
                  {snapshot.total_rows === null ? (
                    <Missing why="the snapshot has expired" />
                  ) : (
                    formatCount(snapshot.total_rows)
                  )}
                </td>
                <td class="right figure">
                  {snapshot.total_files === null ? (
                    <Missing why="the snapshot has expired" />
                  ) : (
                    formatCount(snapshot.total_files)
                  )}
                </td>
                <td class="right figure">
                  {snapshot.total_size_bytes === null ? (
                    <Missing why="the snapshot has expired" />
                  ) : (
                    formatBytes(snapshot.total_size_bytes)
                  )}
                </td>
                <td>
                  <code class="muted">{snapshot.snapshot_id}</code>
                </td>
                <td class="right">
                  <a href={queryAt(table, snapshot)} tabIndex={-1}>
                    query this snapshot
                  </a>
                </td>
              </tr>
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

function RowsChanged({ snapshot }: { snapshot: SnapshotDetail }) {
  const { added_rows, deleted_rows } = snapshot;
  if (added_rows === null && deleted_rows === null) return <Missing why="the summary does not say" />;
  if (isCompaction(snapshot)) return <span class="muted">{formatCount(added_rows ?? 0)} rewritten</span>;
  return (
    <>
      +{formatCount(added_rows ?? 0)}
      {deleted_rows ? <span class="muted"> −{formatCount(deleted_rows)}</span> : null}
    </>
  );
}
