import type { ActionReport } from "../maintain/parts.ts";
import type { MaintenanceRun } from "../maintain/store.ts";
import type { Column } from "../pipeline/definition.ts";
import { alignColumns, escapeControls } from "./format.ts";

/** Formats maintenance runs for 80 columns: the table's name, then one line per run. --json has all figures. */

const MB = 1_000_000;
const INDENT = "  ";
const HEADERS = ["action", "files", "deletes", "MB", "snapshots", "removed", "s"];
/** Headers of a dry run: files that compaction would rewrite, or that other actions would delete. */
const PLANNED_HEADERS = HEADERS.map((header) => (header === "removed" ? "to rewrite or remove" : header));
const KINDS: readonly Column["kind"][] = ["text", "plain", "plain", "plain", "plain", "plain", "plain"];

/** Formats runs by table. Pure. */
export function formatReports(reports: readonly ActionReport[]): string {
  const headers = reports.some(({ is_dry_run }) => is_dry_run) ? PLANNED_HEADERS : HEADERS;
  return byTable(reports, alignColumns([headers, ...reports.map(rowOf)], KINDS));
}

/** Adds the time of each run, without the year. Pure. */
export function formatHistory(runs: readonly MaintenanceRun[]): string {
  const rows = runs.map((run) => [run.started_at.slice(5, 16).replace("T", " "), ...rowOf(run)]);
  return byTable(runs, alignColumns([["UTC", ...HEADERS], ...rows], ["time", ...KINDS]));
}

/** The header, then the runs; the table's name precedes each group of consecutive runs of one table. */
function byTable(reports: readonly ActionReport[], [header = "", ...lines]: readonly string[]): string {
  const body = reports.flatMap(({ table }, index) => {
    const line = `${INDENT}${lines[index]}`;
    return reports[index - 1]?.table === table ? [line] : [escapeControls(table), line];
  });
  return [`${INDENT}${header}`, ...body].join("\n");
}

function rowOf({ action, before, after, deleted_files, rewritten_files, is_dry_run, seconds }: ActionReport): string[] {
  return [
    action,
    change(before.files, after.files),
    change(before.delete_files, after.delete_files),
    change(megabytes(before.size_bytes), megabytes(after.size_bytes)),
    change(before.snapshots, after.snapshots),
    String(action === "compact" && is_dry_run ? rewritten_files : deleted_files),
    seconds.toFixed(1),
  ];
}

function change(was: number | string, is: number | string): string {
  return was === is ? String(was) : `${was}→${is}`;
}

function megabytes(size_bytes: number): string {
  return (size_bytes / MB).toFixed(size_bytes < 10 * MB ? 2 : size_bytes < 100 * MB ? 1 : 0);
}
