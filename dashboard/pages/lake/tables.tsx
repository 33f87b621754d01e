import { useSignal } from "@preact/signals";
import { hrefOf } from "../../base.ts";
import type { TableSummary } from "../../../src/serve/schemas/tables.ts";
import { formatBytes, formatCount } from "../../format/number.ts";
import { Missing } from "../../components/figures.tsx";
import { Age } from "../../components/time.tsx";
import { moveThroughRows } from "../../components/rows.ts";
import { setParameters } from "../../router.ts";

/** Average file size below which a table with many files needs compaction. */
const SMALL_FILE_BYTES = 1_000_000;
const MANY_FILES = 50;

const COLUMNS = [
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
] as const;

export function TableList({ tables, chosen }: { tables: readonly TableSummary[]; chosen: string | null }) {
  const marked = useSignal(
    Math.max(
      0,
      tables.findIndex(({ table }) => table === chosen),
    ),
  );
  const open = (index: number) => setParameters({ table: tables[index]?.table ?? null });
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Tables">
      <table class="grid-table tables" onKeyDown={(event) => moveThroughRows(event, tables.length, marked, open)}>
        <thead>
          <tr>
            <th scope="col">table</th>
            {COLUMNS.map((header) => (
              <th key={header} scope="col" class="right">
                {header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {tables.map((table, index) => (
            <TableRow
              key={table.table}
              table={table}
              index={index}
              is_marked={index === marked.value}
              is_chosen={table.table === chosen}
              open={() => open(index)}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface TableRowProps {
  table: TableSummary;
  index: number;
  is_marked: boolean;
  is_chosen: boolean;
  open: () => void;
}

function TableRow({ table, index, is_marked, is_chosen, open }: TableRowProps) {
  return (
    <tr data-row={index} tabIndex={is_marked ? 0 : -1} class={is_chosen ? "is-chosen" : ""} onClick={open}>
      <td>
        <a href={hrefOf(`/lake?table=${table.table}`)} tabIndex={-1} aria-current={is_chosen ? "true" : undefined}>
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
      <td class="right figure">{table.disk_files === null ? <NotMeasured /> : formatCount(table.disk_files)}</td>
      <td class="right figure">{table.disk_bytes === null ? <NotMeasured /> : formatBytes(table.disk_bytes)}</td>
      <td class="right figure" title="Bytes on disk per byte of live data; the rest is older snapshots and metadata">
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
  );
}

/** Totals over all tables; empty until every table is measured. */
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
    <span class={is_scattered ? "amber" : ""} title={is_scattered ? "Many small files slow queries down" : undefined}>
      {formatBytes(mean_bytes)}
    </span>
  );
}
