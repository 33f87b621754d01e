import { tmpdir } from "node:os";
import type { Catalog } from "../catalog/catalog.ts";
import type { FileChecksum } from "../catalog/checksums.ts";
import type { LoadedTable, TableMetadata } from "../iceberg/model.ts";
import type { LakeToVerify } from "../lake/open-to-verify.ts";
import { isDiskFull } from "../base/disk-full.ts";
import { OperatingError } from "../base/errors.ts";
import { LAYERS } from "../lake/layers.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { MODELS_VERSION_PROPERTY } from "../transform/models-version.ts";
import { compareWithLog } from "./against-log.ts";
import { checkChecksums } from "./checksums.ts";
import { compareTable, REBUILT } from "./compare.ts";
import { checkMetadata } from "./files.ts";
import { tableFinding, type Finding } from "./finding.ts";
import type { Moment } from "../transform/moment.ts";
import { loadNamespaces, type LoadedLake } from "./moment.ts";
import { rebuild, type Rebuilt, type RebuildRequest } from "./rebuild.ts";
import { checkLogPages } from "./stores.ts";
import {
  beginVerification,
  throwIfOvertaken,
  type OpenVerification,
  type Verification,
  type VerifyOptions,
} from "./verify.ts";

export type Phase =
  | "checksums of files"
  | "bronze against the log"
  | "rebuilding silver and gold (records)"
  | "comparing tables";

/**
 * Properties with the version of the models and seeds that built a table's oldest rows, and with the checksum of the
 * file from which a seed was loaded.
 */
const VERSION_PROPERTIES = [MODELS_VERSION_PROPERTY, "coinlake.seed-sha256"] as const;

export interface DeepOptions extends VerifyOptions {
  /** Rebuilds silver and gold (default: with dbt). */
  rebuild?: (request: RebuildRequest) => Promise<Rebuilt>;
  /** Folder for the rebuilt tables (default: the system's temporary folder). */
  scratch_folder?: string;
  /** Called often; an exception ends the verification. */
  progress?: (phase: Phase, done: number, total: number | null) => void;
}

export interface DeepVerification extends Verification {
  deep: {
    files_checked: number;
    /** Checksums computed for files that had none; the caller stores them. */
    taken: FileChecksum[];
    /** Files with a checksum that no snapshot needs. */
    outdated: string[];
    /** Number of bronze records that are still in the log and were compared. */
    log_records_compared: number;
    tables_compared: number;
  };
}

/**
 * Runs `verify`, and compares every file with the checksum of its commit, bronze with the log, and every row of silver
 * and gold with a rebuild from bronze. Read-only; safe while the pipeline runs. Throws the errors of `verify`, and
 * REBUILD_FAILED.
 */
export async function verifyDeep(
  open: LakeToVerify,
  pipeline: Pipeline,
  options: DeepOptions = {},
): Promise<DeepVerification> {
  const progress = options.progress ?? (() => {});
  const begun = await beginVerification(open, pipeline, options);
  const { checks, figures, findings, notes, moment, session } = begun;
  const deep: DeepVerification["deep"] = {
    files_checked: 0,
    taken: [],
    outdated: [],
    log_records_compared: 0,
    tables_compared: 0,
  };
  try {
    findings.push(...checkLogPages(open.lake));
    if (moment === null || session === null) return { checks, figures, findings, notes, deep };
    const damaged = await checkAllFiles(open, moment, deep, findings, progress);
    const readable = new Set([...begun.readable].filter((table) => !damaged.has(table)));
    const is_log_whole = !findings.some(({ file }) => file === open.lake.log_file);
    if (open.log !== null && is_log_whole && readable.has(pipeline.bronze.table)) {
      const total = Object.values(moment.bronze).reduce((sum, next) => sum + next, 0);
      const sources = { log: open.log, session, pipeline, bronze: moment.bronze };
      const compared = await compareWithLog({
        ...sources,
        progress: (done) => progress("bronze against the log", done, total),
      });
      findings.push(...compared.findings);
      deep.log_records_compared = compared.compared;
    }
    await compareTables(open, pipeline, { ...begun, readable, moment, session }, options, deep);
    if (findings.length > 0) await throwIfOvertaken(open, moment);
    return { checks, figures, findings: withoutRepeats(findings), notes, deep };
  } finally {
    begun.close();
  }
}

/** Tables whose data files must not be read. */
async function checkAllFiles(
  open: LakeToVerify,
  moment: Moment,
  deep: DeepVerification["deep"],
  findings: Finding[],
  progress: NonNullable<DeepOptions["progress"]>,
): Promise<Set<string>> {
  const others = await tablesOutsideLayers(open);
  findings.push(...others.damaged.flatMap((damaged) => damaged.findings));
  const tables = [...[...moment.tables.values()].map(({ loaded }) => loaded), ...others.tables];
  const result = await checkChecksums(tables, {
    storage: open.storage,
    checksums: open.checksums,
    reload: (table) => reload(open, table),
    progress: (done, total) => progress("checksums of files", done, total),
  });
  findings.push(...result.findings);
  deep.files_checked = result.checked;
  deep.taken = result.taken;
  deep.outdated = await outdatedChecksums(open, result.needed);
  return new Set(result.findings.flatMap(({ table }) => (table === null ? [] : [table])));
}

/** Tables in other namespaces, which another client of the catalog created. */
async function tablesOutsideLayers(open: LakeToVerify): Promise<LoadedLake> {
  const { catalog } = open;
  if (catalog === null) return { tables: [], damaged: [] };
  const others = (await namespacesBelow(catalog, [])).filter(
    ([name, ...rest]) => rest.length > 0 || !LAYERS.some((layer) => layer === name),
  );
  return loadNamespaces(catalog, others, (loaded, table) => checkMetadata(loaded, table, open));
}

async function namespacesBelow(catalog: Catalog, parent: readonly string[]): Promise<string[][]> {
  const { items } = await catalog.listNamespaces(parent);
  const below = [];
  for (const namespace of items) below.push(namespace, ...(await namespacesBelow(catalog, namespace)));
  return below;
}

/**
 * Checksums of files that no longer exist. An existing file that no snapshot needs may belong to a commit in progress
 * or to a dropped table.
 */
async function outdatedChecksums({ checksums, storage }: LakeToVerify, needed: ReadonlySet<string>): Promise<string[]> {
  const outdated = [];
  for (const location of checksums?.locations() ?? []) {
    if (!needed.has(location) && (await storage.statOf(location)) === null) outdated.push(location);
  }
  return outdated;
}

async function reload({ catalog }: LakeToVerify, { identifier }: LoadedTable): Promise<LoadedTable | null> {
  try {
    return (await catalog?.loadTable(identifier)) ?? null;
  } catch (error) {
    if (error instanceof OperatingError) return null;
    throw error;
  }
}

type Held = OpenVerification & { moment: Moment; session: NonNullable<OpenVerification["session"]> };

async function compareTables(
  open: LakeToVerify,
  pipeline: Pipeline,
  held: Held,
  options: DeepOptions,
  deep: DeepVerification["deep"],
): Promise<void> {
  const { moment, session, readable, findings, notes } = held;
  const bronze = moment.tables.get(pipeline.bronze.table);
  if (Object.keys(moment.built).length === 0) return;
  if (bronze === undefined || !readable.has(bronze.table)) {
    notes.push(`silver and gold were not compared with bronze: ${pipeline.bronze.table} cannot be read`);
    return;
  }
  const progress = options.progress ?? (() => {});
  const total = Object.values(moment.built).reduce((sum, next) => sum + next, 0);
  const request: RebuildRequest = {
    pipeline,
    bronze: bronze.loaded,
    offsets: moment.built,
    s3: open.s3,
    scratch_folder: options.scratch_folder ?? tmpdir(),
    progress: (done) => progress("rebuilding silver and gold (records)", done, total),
  };
  const rebuilt = await rebuildUnlessOvertaken(open, held, request, options);
  if (rebuilt === null) return;
  try {
    await session.attach(rebuilt.server.url, REBUILT);
    const tables = Object.entries(pipeline.reconciliation.tables).filter(([table]) => moment.tables.has(table));
    for (const [index, [table, definition]] of tables.entries()) {
      progress("comparing tables", index, tables.length);
      const held_table = moment.tables.get(table);
      if (held_table === undefined || !readable.has(table))
        notes.push(`${table} was not compared with bronze: it cannot be read`);
      else {
        const { metadata } = await rebuilt.catalog.loadTable(held_table.loaded.identifier);
        const differences = await compared(() => compareTable(session, held_table, definition), table);
        // Rows built from records that bronze has lost cannot be rebuilt.
        if (moment.lost.size > 0)
          notes.push(...differences.map(({ message }) => `${message}; bronze has acknowledged losses`));
        else if (isSameVersion(held_table.loaded.metadata, metadata)) findings.push(...differences);
        else notes.push(...versionNotes(table, differences));
        deep.tables_compared += 1;
      }
    }
  } finally {
    await rebuilt.close();
  }
}

function scratchFull(scratch_folder: string, cause: OperatingError): OperatingError {
  const message = `The disk of the scratch folder ${scratch_folder} is full, so silver and gold were not compared`;
  return new OperatingError("STORAGE_FULL", message, {
    next_step: "Name a folder on a larger disk with --scratch; the other checks found no damage.",
    cause,
  });
}

/** Null if earlier findings explain why the rebuild fails. Throws REBUILD_FAILED, STORAGE_FULL, VERIFY_OVERTAKEN. */
async function rebuildUnlessOvertaken(
  open: LakeToVerify,
  held: Held,
  request: RebuildRequest,
  options: DeepOptions,
): Promise<Rebuilt | null> {
  try {
    return await (options.rebuild ?? rebuild)(request);
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    await throwIfOvertaken(open, held.moment);
    if (held.findings.length > 0) {
      held.notes.push(`silver and gold were not compared with bronze, because the rebuild failed: ${error.message}`);
      return null;
    }
    if (isDiskFull(error)) throw scratchFull(request.scratch_folder, error);
    throw new OperatingError(
      "REBUILD_FAILED",
      `The rebuild of silver and gold from bronze failed, so they were not compared: ${error.message}`,
      {
        next_step: "Check the free space of the `--scratch` folder; the other checks found no damage.",
        cause: error,
      },
    );
  }
}

/**
 * Rows of an earlier version of the models may differ from those that this version builds from bronze, without damage.
 * A table without a version was created before versions were recorded.
 */
function isSameVersion(lake: TableMetadata, rebuilt: TableMetadata): boolean {
  return VERSION_PROPERTIES.every((name) => lake.properties[name] === rebuilt.properties[name]);
}

function versionNotes(table: string, differences: readonly Finding[]): string[] {
  if (differences.length === 0) return [];
  const what = differences.map(({ message, rows }) => [message, ...rows].join("; ")).join("; ");
  return [
    `${table} was built by an earlier version of the models, and differs from what this version builds (${what}): ` +
      "rebuild it with `npm run -s coinlake -- dbt run --full-refresh`",
  ];
}

async function compared(compare: () => Promise<Finding[]>, table: string): Promise<Finding[]> {
  try {
    return await compare();
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    return [
      tableFinding(
        "TABLE_UNREADABLE",
        table,
        `${table} was not compared with bronze, because it cannot be read: ${error.message}`,
      ),
    ];
  }
}

/** The quick and the deep verification may report the same file. */
function withoutRepeats(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ code, table, file, message }) => {
    const key = JSON.stringify(
      file === null
        ? [code, table, message]
        : [code.startsWith("FILE") || code === "METADATA_DAMAGED" ? "file" : code, file],
    );
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
