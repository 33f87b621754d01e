import { useSignal } from "@preact/signals";
import type { TableSummary } from "../../../src/serve/schemas/tables.ts";
import { formatBytes, formatCount } from "../../format/number.ts";
import { Missing } from "../../components/figures.tsx";
import { Age } from "../../components/time.tsx";
import { moveThroughRows } from "../../components/rows.ts";
import { setParameters } from "../../router.ts";

/** A table whose files are this small on average is waiting to be compacted. */
const SMALL_FILE_BYTES = 1_000_000;
const MANY_FILES = 50;

export function TableList({ tables, chosen }: { tables: readonly TableSummary[]; chosen: string | null }) {
  const marked = useSignal(
    Math.max(
      0,
      tables.findIndex(({ table }) => table === chosen),
    ),
  );
  const open = (index: number) => setParameters({ table: tables[index]?.table ?? null });
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Every table">
      <table class="grid-table tables" onKeyDown={(event) => moveThroughRows(event, tables.length, marked, open)}>
        <thead>
          <tr>
            <th scope="col">table</th>
            {[
              "rows",
              "live data",
              "data files",
              "average file size",
              "partitions",
              "snapshots",
              "files on disk",
              "size on disk",
              "amplification",
              "last commit",
            ].map((header) => (
              <th key={header} scope="col" class="right">
                {header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {tables.map((table, index) => (
            <tr
              key={table.table}
              data-row={index}
              tabIndex={index === marked.value ? 0 : -1}
              class={table.table === chosen ? "is-chosen" : ""}
              onClick={() => open(index)}
            >
              <td>
                <a
                  href={`/lake?table=${table.table}`}
                  tabIndex={-1}
                  aria-current={table.table === chosen ? "true" : undefined}
                >
                  <span class="muted">{table.layer}.</span>
                  {table.table.slice(table.layer.length + 1)}
                </a>
              </td>
              <td class="right figure">{formatCount(table.rows)}</td>
              <td class="right figure">{formatBytes(table.size_bytes)}</td>
              <td class="right figure nowrap">
                {formatCount(table.files)}
                {table.delete_files > 0 ? <span class="muted"> + {formatCount(table.delete_files)} delete</span> : null}
              </td>
              <td class="right figure">
                <FileSize table={table} />
              </td>
              <td class="right figure">{formatCount(table.partitions)}</td>
              <td class="right figure">{formatCount(table.snapshots)}</td>
              <td class="right figure">
                {table.disk_files === null ? <NotMeasured /> : formatCount(table.disk_files)}
              </td>
              <td class="right figure">
                {table.disk_bytes === null ? <NotMeasured /> : formatBytes(table.disk_bytes)}
              </td>
              <td
                class="right figure"
                title="Bytes on disk for each byte of live data; older snapshots and metadata are the rest"
              >
                {table.amplification === null ? (
                  <Missing why={table.disk_bytes === null ? "not measured yet" : "no live data"} />
                ) : (
                  `×\u00a0${table.amplification.toFixed(1)}`
                )}
              </td>
              <td class="right">
                <Age at={table.committed_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The lake's tables together; nothing while a table is not measured yet. */
export function OnDisk({ tables }: { tables: readonly TableSummary[] }) {
  let [disk_files, disk_bytes, live_bytes] = [0, 0, 0];
  for (const table of tables) {
    if (table.disk_files === null || table.disk_bytes === null) return null;
    disk_files += table.disk_files;
    disk_bytes += table.disk_bytes;
    live_bytes += table.size_bytes;
  }
  if (live_bytes === 0) return null;
  return (
    <>
      {formatCount(disk_files)} files and {formatBytes(disk_bytes)} on disk for {formatBytes(live_bytes)} of live data
      (×&nbsp;{(disk_bytes / live_bytes).toFixed(1)})
    </>
  );
}

function NotMeasured() {
  return <Missing why="not measured yet" />;
}

function FileSize({ table }: { table: TableSummary }) {
  if (table.files === 0) return <span class="muted">–</span>;
  const mean_bytes = table.size_bytes / table.files;
  const is_scattered = mean_bytes < SMALL_FILE_BYTES && table.files > MANY_FILES;
  return (
    <span
      class={is_scattered ? "amber" : ""}
      title={is_scattered ? "Many small files: a query opens each of them" : undefined}
    >
      {formatBytes(mean_bytes)}
    </span>
  );
}
