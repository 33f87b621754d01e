import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { nameOfTable } from "../iceberg/errors.ts";
import type { LoadedTable, TableCatalog } from "../iceberg/model.ts";
import type { Clock } from "../base/clock.ts";
import type { OpenLake } from "../lake/open.ts";
import { OperatingError } from "../base/errors.ts";
import { canonicalOffsets } from "../log/offsets.ts";
import { consumedOffsets, type OffsetFields } from "../iceberg/metadata/log-offsets.ts";
import type { LiveFile } from "../iceberg/live-files.ts";
import { BUILT_LAYERS, type BuiltLayer } from "../lake/layers.ts";
import { projectFolder } from "../lake/tools.ts";
import { TableReports } from "../query/tables.ts";
import type { QualityResult } from "./result.ts";

/** The batches of one run of Great Expectations. */
export interface Batch {
  table: string;
  /** A UTC date, `undated` for the rows that have none, or `whole` for a table that is not partitioned by a date. */
  part: string;
  /** SQL condition that selects the batch's rows. */
  condition: string;
  digest: string;
}

export interface HeldTable {
  name: string;
  /** Snapshot id as text, because a double cannot represent it; null for a table without a snapshot. */
  snapshot_id: string | null;
}

export interface Plan {
  /** All tables that suites may query, pinned to one state of the lake. */
  tables: HeldTable[];
  batches: Batch[];
  /** Batches that need no check: unchanged since their last successful one. */
  unchanged: Batch[];
}

export interface PlanOptions {
  open: Pick<OpenLake, "catalog" | "storage">;
  pipeline: string;
  /** Null for both. Suites of silver query only silver, so that silver can be validated before gold is built. */
  layer: BuiltLayer | null;
  /** A UTC date; null for every day that changed since its last successful check. */
  day: string | null;
  /** Every batch, changed or not. */
  is_all: boolean;
  last: QualityResult | null;
  clock: Clock;
}

const STILL_RETRY_MS = 500;
const STILL_TIMEOUT_MS = 60_000;
const DATED_PARTITION = /^(\w+)=(\d{4}-\d{2}-\d{2}|null)$/;
const WHOLE = "whole";
const UNDATED = "undated";

interface Suite {
  table: string;
  text: string;
}

export function suitesFolder(pipeline: string): string {
  return join(projectFolder(), "quality", pipeline);
}

/** Throws SUITES_NOT_FOUND, TABLE_MISSING, LAYERS_APART. */
export async function planChecks(options: PlanOptions): Promise<Plan> {
  const layers = options.layer === "silver" ? (["silver"] as const) : BUILT_LAYERS;
  const suites = suitesOf(options.pipeline).filter(
    ({ table }) => options.layer === null || table.startsWith(`${options.layer}.`),
  );
  if (suites.length === 0) throw noSuites(options.pipeline);
  const tables = await standingStill(options, layers);
  const found: Batch[] = [];
  for (const suite of suites) {
    const table = tables.find(({ identifier }) => nameOfTable(identifier) === suite.table);
    if (table === undefined) throw tableMissing(suite.table);
    found.push(...(await batchesOf(table, suite, options)));
  }
  const isKnownGood = (batch: Batch) => {
    const last = options.last?.tables
      .find(({ table }) => table === batch.table)
      ?.batches.find(({ part }) => part === batch.part);
    return last?.digest === batch.digest && last.failed.length === 0;
  };
  const is_asked_for = options.is_all || options.day !== null;
  return {
    tables: tables.map(({ identifier, metadata }) => ({
      name: nameOfTable(identifier),
      snapshot_id: snapshotOf(metadata),
    })),
    batches: found.filter((batch) => is_asked_for || !isKnownGood(batch)),
    unchanged: found.filter((batch) => !is_asked_for && isKnownGood(batch)),
  };
}

/** Tables that have a suite, with the suite's text and that of the modules that suites share. */
function suitesOf(pipeline: string): Suite[] {
  const folder = suitesFolder(pipeline);
  const textOf = (file: string): string => readFileSync(join(folder, file), "utf8");
  const shared = globSync(["*.py", "../*.py"], { cwd: folder }).sort().map(textOf).join("");
  return BUILT_LAYERS.flatMap((layer) =>
    globSync(`${layer}/*.py`, { cwd: folder })
      .sort()
      .map((file) => ({
        table: file.replace(/\.py$/, "").replace(/[\\/]/, "."),
        text: shared + textOf(file),
      })),
  );
}

/**
 * Pins the layers' tables between two increments, when all tables that follow the log have the same consumed offsets,
 * as for dbt's tests. During an increment some tables are ahead of others, and rows would seem to be missing.
 */
async function standingStill({ open, clock }: PlanOptions, layers: readonly string[]): Promise<LoadedTable[]> {
  const give_up_at_us = clock.now_us() + STILL_TIMEOUT_MS * 1000;
  for (;;) {
    const tables = await tablesIn(open.catalog, layers);
    const offsets = new Set(tables.map(({ metadata }) => offsetsKey(metadata)).filter((key) => key !== ""));
    if (offsets.size <= 1) return tables;
    if (clock.now_us() > give_up_at_us) throw layersApart(tables);
    await clock.wait(STILL_RETRY_MS);
  }
}

async function tablesIn(catalog: TableCatalog, layers: readonly string[]): Promise<LoadedTable[]> {
  const found: LoadedTable[] = [];
  for (const layer of layers) {
    if (!(await catalog.hasNamespace([layer]))) continue;
    for (const identifier of await catalog.listTables([layer])) found.push(await catalog.loadTable(identifier));
  }
  return found;
}

/** The consumed offsets as a canonical text; empty for a table that does not follow the log. */
function offsetsKey(table: OffsetFields): string {
  return canonicalOffsets(consumedOffsets(table));
}

/** Statistics by partition, read from the manifests. */
async function batchesOf(loaded: LoadedTable, { table, text }: Suite, { open, day }: PlanOptions): Promise<Batch[]> {
  const files = await new TableReports(open).files(loaded);
  const partitions = Map.groupBy(files, ({ partition }) => partition);
  const parts = [...partitions].map(([partition, of_partition]) => ({
    ...datedPart(partition),
    table,
    digest: digestOf(text, of_partition),
  }));
  const column = parts[0]?.column ?? null;
  if (column === null || parts.some((other) => other.column !== column))
    return [{ table, part: WHOLE, condition: "true", digest: digestOf(text, files) }];
  if (day === null) return parts.sort((a, b) => a.part.localeCompare(b.part));
  // Days without rows are checked too: the suite decides whether they are valid.
  const of_day = partitions.get(`${column}=${day}`) ?? [];
  return [{ table, ...datedPart(`${column}=${day}`), digest: digestOf(text, of_day) }];
}

/** The date column of a table partitioned by one date; null for other tables. */
function datedPart(partition: string): { column: string | null; part: string; condition: string } {
  const [, column, date] = DATED_PARTITION.exec(partition) ?? [];
  if (column === undefined || date === undefined) return { column: null, part: WHOLE, condition: "true" };
  if (date === "null") return { column, part: UNDATED, condition: `${column} is null` };
  return { column, part: date, condition: `${column} = date '${date}'` };
}

function digestOf(suite: string, files: readonly LiveFile[]): string {
  const hash = createHash("sha256").update(suite).update("\0");
  for (const path of files.map((file) => file.path).sort()) hash.update(path).update("\0");
  return hash.digest("hex");
}

function snapshotOf(metadata: LoadedTable["metadata"]): string | null {
  const id = metadata["current-snapshot-id"];
  return id === null || id === undefined || String(id) === "-1" ? null : String(id);
}

function noSuites(pipeline: string): OperatingError {
  return new OperatingError(
    "SUITES_NOT_FOUND",
    `No expectation suites for the pipeline "${pipeline}" in ${suitesFolder(pipeline)}`,
    {
      next_step: "Write one as described in quality/README.md.",
    },
  );
}

function tableMissing(table: string): OperatingError {
  return new OperatingError("TABLE_MISSING", `${table} has an expectation suite but is not in the lake`, {
    next_step: "Run the pipeline (`npm start`) until it has built the table, then try again; or delete the suite.",
  });
}

function layersApart(tables: readonly LoadedTable[]): OperatingError {
  const words = tables.map(
    ({ identifier, metadata }) => `${nameOfTable(identifier)}: ${offsetsKey(metadata) || "does not follow the log"}`,
  );
  return new OperatingError(
    "LAYERS_APART",
    `The tables have had different consumed offsets for ${STILL_TIMEOUT_MS / 1000} s:\n${words.join("\n")}`,
    {
      next_step:
        "Start the pipeline or run `npm run -s coinlake -- dbt run` to complete an interrupted increment; or " +
        "use --layer silver.",
    },
  );
}
