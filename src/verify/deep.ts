import type { FileChecksum } from "../catalog/checksums.ts";
import type { LoadedTable } from "../catalog/model.ts";
import type { LakeToVerify } from "../engine/open-to-verify.ts";
import { OperatingError } from "../errors.ts";
import { canonicalLocation } from "../storage/location.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { compareWithLog } from "./against-log.ts";
import { checkChecksums } from "./checksums.ts";
import { compareTable, REBUILT } from "./compare.ts";
import { tableFinding, type Finding } from "./finding.ts";
import type { Moment } from "./moment.ts";
import { rebuild, type Rebuilt, type RebuildRequest } from "./rebuild.ts";
import { beginVerification, type OpenVerification, type Verification, type VerifyOptions } from "./verify.ts";

export type Phase = "checksums of files" | "bronze against the log" | "rebuilding silver and gold (records)" | "comparing tables";

export interface DeepOptions extends VerifyOptions {
  /** Builds silver and gold again; by dbt where it is left out. */
  rebuild?: (request: RebuildRequest) => Promise<Rebuilt>;
  progress?: (phase: Phase, done: number, total: number | null) => void;
}

export interface DeepVerification extends Verification {
  deep: {
    files_checked: number;
    /** Of files that had none: the caller stores them. */
    taken: FileChecksum[];
    /** Files whose checksum is kept although no snapshot needs them. */
    outdated: string[];
    /** Records of bronze that the log still has. */
    log_records_compared: number;
    tables_compared: number;
  };
}

/**
 * As `verify`, and beyond it: every file against the checksum of its commit, bronze against the log, and silver and gold against what
 * the models make of bronze, row by row. Reads only; safe beside a running pipeline. Throws what `verify` throws, MODEL_FAILED.
 */
export async function verifyDeep(open: LakeToVerify, pipeline: Pipeline, options: DeepOptions = {}): Promise<DeepVerification> {
  const progress = options.progress ?? (() => {});
  const begun = await beginVerification(open, pipeline, options);
  const { checks, figures, findings, notes, moment, session } = begun;
  const deep: DeepVerification["deep"] = { files_checked: 0, taken: [], outdated: [], log_records_compared: 0, tables_compared: 0 };
  try {
    if (moment === null || session === null) return { checks, figures, findings, notes, deep };
    const damaged = await checkAllFiles(open, moment, deep, findings, progress);
    const readable = new Set([...begun.readable].filter((table) => !damaged.has(table)));
    const is_log_whole = !findings.some(({ file }) => file === open.lake.log_file);
    if (open.log !== null && is_log_whole && readable.has(pipeline.bronze.table)) {
      const total = Object.values(moment.bronze).reduce((sum, next) => sum + next, 0);
      const sources = { log: open.log, session, pipeline, bronze: moment.bronze };
      const compared = await compareWithLog({ ...sources, progress: (done) => progress("bronze against the log", done, total) });
      findings.push(...compared.findings);
      deep.log_records_compared = compared.compared;
    }
    await compareTables(open, pipeline, { ...begun, readable, moment, session }, options, deep);
    return { checks, figures, findings: withoutRepeats(findings), notes, deep };
  } finally {
    begun.close();
  }
}

/** The tables whose data files must not be read. */
async function checkAllFiles(open: LakeToVerify, moment: Moment, deep: DeepVerification["deep"], findings: Finding[], progress: NonNullable<DeepOptions["progress"]>): Promise<Set<string>> {
  const tables = [...moment.tables.values()].map(({ loaded }) => loaded);
  const result = await checkChecksums(tables, {
    storage: open.storage,
    checksums: open.checksums,
    reload: (table) => reload(open, table),
    progress: (done, total) => progress("checksums of files", done, total),
  });
  findings.push(...result.findings);
  deep.files_checked = result.checked;
  deep.taken = result.taken;
  deep.outdated = await outdatedChecksums(open, tables, result.needed);
  return new Set(result.findings.flatMap(({ table }) => (table === null ? [] : [table])));
}

/** A file that a commit has brought meanwhile is not known here, and is there: it is none of them. */
async function outdatedChecksums({ checksums, storage }: LakeToVerify, tables: readonly LoadedTable[], needed: ReadonlySet<string>): Promise<string[]> {
  const candidates = new Set((checksums?.locations() ?? []).filter((location) => !needed.has(location)));
  if (candidates.size === 0) return [];
  for (const { metadata } of tables) {
    for await (const { location } of storage.list(metadata.location)) candidates.delete(canonicalLocation(location));
  }
  return [...candidates];
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

async function compareTables(open: LakeToVerify, pipeline: Pipeline, held: Held, options: DeepOptions, deep: DeepVerification["deep"]): Promise<void> {
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
    progress: (done) => progress("rebuilding silver and gold (records)", done, total),
  };
  const rebuilt = await (options.rebuild ?? rebuild)(request);
  try {
    await session.attach(rebuilt.server.url, REBUILT);
    const tables = Object.entries(pipeline.books.tables).filter(([table]) => moment.tables.has(table));
    for (const [index, [table, definition]] of tables.entries()) {
      progress("comparing tables", index, tables.length);
      const held_table = moment.tables.get(table);
      if (held_table === undefined || !readable.has(table)) notes.push(`${table} was not compared with bronze: it cannot be read`);
      else {
        const differences = await compared(() => compareTable(session, held_table, definition), table);
        if (moment.lost.size === 0) findings.push(...differences);
        // What was built of records that bronze has lost since cannot be built again.
        else notes.push(...differences.map(({ message }) => `${message}; bronze has lost records, as was acknowledged`));
        deep.tables_compared += 1;
      }
    }
  } finally {
    await rebuilt.close();
  }
}

async function compared(compare: () => Promise<Finding[]>, table: string): Promise<Finding[]> {
  try {
    return await compare();
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    return [tableFinding("TABLE_UNREADABLE", table, `${table} cannot be read, to compare it with bronze: ${error.message}`)];
  }
}

/** The quick look and the deep one may find the same file. */
function withoutRepeats(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ code, table, file, message }) => {
    const key = JSON.stringify(file === null ? [code, table, message] : [code.startsWith("FILE") || code === "METADATA_DAMAGED" ? "file" : code, file]);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
