import { join } from "node:path";
import type { LogOffsets } from "../log/offsets.ts";
import type { LoadedTable } from "../iceberg/model.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import type { LakeToVerify } from "../lake/open-to-verify.ts";
import { PinnedTables } from "../duckdb/pinned.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { LAYERS } from "../lake/layers.ts";
import { projectFolder } from "../lake/tools.ts";
import { isOwned } from "../lake/ownership.ts";
import { missingRecordsInFile } from "../log/sqlite/bounds.ts";
import type { PartitionBounds } from "../log/log.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { isStoreDamage } from "../base/sqlite.ts";
import { checkColumns } from "./columns.ts";
import { checkFiles, checkMetadata, checkPointer } from "./files.ts";
import { lakeFinding, tableFinding, type Finding } from "./finding.ts";
import type { HeldTable, Moment } from "../transform/moment.ts";
import { beyondBronze, holdMoment, isKept, offsetsAhead } from "./moment.ts";
import { noFigures, reconcile, type ReconciledFigures, type Reconciliation } from "./reconcile.ts";
import { modelsVersion } from "../transform/models-version.ts";
import { logOffsets } from "../transform/offsets.ts";
import { checkStores } from "./stores.ts";

export interface VerifyOptions {
  clock?: Clock;
  /** Maximum wait for an increment in progress. */
  timeout_ms?: number;
}

/** Result of `verify`. */
export interface Verification extends ReconciledFigures {
  findings: Finding[];
  /** Notes that are not damage. */
  notes: string[];
}

/** The result with an open session, for the deep verification. */
export interface OpenVerification extends Verification {
  /** Null if the tables cannot be read. */
  moment: Moment | null;
  /** The moment's tables without a finding about their files, readable through `session`. */
  readable: ReadonlySet<string>;
  session: PinnedTables | null;
  close(): void;
}

const INCREMENT_TIMEOUT_MS = 30_000;
/** Maximum attempts if snapshots expire while they are read. */
const MAX_ATTEMPTS = 3;
/** Maximum time from the first files of a lake's first table to its entry in the catalog. */
const FIRST_TABLE_MS = 1_000;

/**
 * Verifies stores, files and counts of a lake at the end of one increment. Read-only; safe while the pipeline runs.
 * Throws MOMENT_NOT_HELD and VERIFY_OVERTAKEN, both retryable: the verification then has no result.
 */
export async function verify(
  open: LakeToVerify,
  pipeline: Pipeline,
  options: VerifyOptions = {},
): Promise<Verification> {
  const { close, checks, figures, findings, notes } = await beginVerification(open, pipeline, options);
  close();
  return { checks, figures, findings, notes };
}

/** Like `verify`; the caller closes the result. */
export async function beginVerification(
  open: LakeToVerify,
  pipeline: Pipeline,
  options: VerifyOptions = {},
): Promise<OpenVerification> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await verifyOnce(open, pipeline, options);
    } catch (error) {
      if (!(error instanceof OperatingError) || error.code !== "VERIFY_OVERTAKEN" || attempt === MAX_ATTEMPTS)
        throw error;
    }
  }
}

async function verifyOnce(open: LakeToVerify, pipeline: Pipeline, options: VerifyOptions): Promise<OpenVerification> {
  const { catalog, server, log, lake } = open;
  const findings = checkStores(lake);
  const notes: string[] = [];
  const is_catalog_damaged = findings.some(({ file }) => file === lake.catalog_file);
  if (catalog === null || server === null || is_catalog_damaged) {
    notes.push("tables were not checked: the catalog cannot be read");
    return {
      findings,
      notes,
      checks: [],
      figures: noFigures(),
      moment: null,
      readable: new Set(),
      session: null,
      close() {},
    };
  }
  const before = log === null ? null : await logBounds(open, pipeline, findings);
  const { moment, damage } = await holdMoment(catalog, pipeline, momentOptions(open, pipeline, options));
  findings.push(...damage);
  if (await hasLostTables(open, moment, options)) {
    findings.push(lakeFinding("CATALOG_OUTDATED", "catalog.db has no tables", { file: lake.catalog_file }));
  } else {
    for (const table of moment.missing)
      findings.push(tableFinding("TABLE_MISSING", table, `${table} is missing in the catalog`));
  }
  if (moment.unmade.length > 0)
    notes.push(`not created yet, or purged; the next increment builds them from bronze: ${moment.unmade.join(", ")}`);
  const damaged = await checkTables(open, moment, findings);
  const readable = new Set([...moment.tables.keys()].filter((table) => !damaged.has(table)));
  if (moment.moving.length > 0) notes.push(movingNote(moment));
  const session = await PinnedTables.open({ catalog_url: server.url, token: server.token, s3: open.s3 });
  try {
    await pinTables(session, moment, readable, findings);
    const after = before === null ? null : await logBounds(open, pipeline, findings);
    const bounds = before === null || after === null ? null : { before, after };
    if (after !== null) findLogGaps(open, pipeline, moment, { findings, notes });
    const reconciliation = await reconcile(moment, session, pipeline, { log: bounds, readable });
    findings.push(
      ...offsetFindings(moment, pipeline, await bronzeOffsetsNow(open, moment, pipeline)),
      ...checkFindings(reconciliation),
    );
    if (findings.some(({ table }) => table !== null)) await throwIfOvertaken(open, moment);
    for (const { claim, reason, is_left_out } of reconciliation.failures)
      if (is_left_out) notes.push(`not checked: ${claim} (${reason})`);
    const { checks, figures } = reconciliation;
    return { findings, notes, checks, figures, moment, readable, session, close: () => session.close() };
  } catch (error) {
    session.close();
    throw error;
  }
}

function momentOptions(
  open: LakeToVerify,
  { transform }: Pipeline,
  { clock = systemClock, timeout_ms = INCREMENT_TIMEOUT_MS }: VerifyOptions,
) {
  const { storage, lake } = open;
  return {
    inspect: (loaded: LoadedTable, table: string) => checkMetadata(loaded, table, open),
    now_ms: () => clock.now_us() / 1000,
    wait: (ms: number) => clock.wait(ms),
    timeout_ms,
    models_version: modelsVersion(join(projectFolder(), transform.project)),
    is_running: () => lake.profile === "cluster" || isOwned(lake),
    async wasMade(table: string) {
      const [layer = "", name = ""] = table.split(".");
      const is_own = (location: string) =>
        location.includes(`/${layer}/${name}-`) && location.endsWith(".metadata.json");
      for await (const { location } of storage.list(`${lake.warehouse}/${layer}`)) if (is_own(location)) return true;
      return false;
    },
  };
}

/** A lake that never ran has no topic yet. */
async function logBounds(
  { log, lake }: LakeToVerify,
  { topic }: Pipeline,
  findings: Finding[],
): Promise<readonly PartitionBounds[] | null> {
  try {
    return (await log?.bounds(topic.name)) ?? null;
  } catch (error) {
    if (error instanceof OperatingError && error.code === "TOPIC_NOT_FOUND") return [];
    if (!isStoreDamage(error) || log === null) throw error;
    findings.push(lakeFinding("STORE_DAMAGED", `log.db is damaged: ${messageOf(error)}`, { file: lake.log_file }));
    return null;
  }
}

/** Records that bronze lacks too are lost; others are a note, because no table needs them. */
function findLogGaps(
  { lake }: LakeToVerify,
  { topic }: Pipeline,
  { bronze }: Moment,
  { findings, notes }: Pick<Verification, "findings" | "notes">,
): void {
  if (lake.profile !== "embedded") return;
  for (const { partition, begin, end } of missingRecordsInFile(lake.log_file, topic.name)) {
    const name = `${topic.name}/${partition}`;
    const lacks = `log.db lacks the records ${begin} to ${end - 1} of ${name}`;
    if (end <= (bronze[name] ?? 0)) notes.push(`${lacks}; bronze has them, so no table needs them`);
    else findings.push(lakeFinding("STORE_DAMAGED", `${lacks}: another program deleted them`, { file: lake.log_file }));
  }
}

/** Returns the tables that must not be read. */
async function checkTables(open: LakeToVerify, moment: Moment, findings: Finding[]): Promise<Set<string>> {
  const damaged = new Set<string>();
  for (const held of moment.tables.values()) {
    const found = [...checkColumns(held), ...(await checkFiles(held, open))];
    if (found.length > 0) damaged.add(held.table);
    findings.push(...found, ...(await outdatedPointer(open, held)));
  }
  return damaged;
}

/** Checks again if a table was committed while its folder was listed. */
async function outdatedPointer(open: LakeToVerify, { loaded, table }: HeldTable): Promise<Finding[]> {
  for (let current = loaded; ;) {
    const found = await checkPointer(current, table, open);
    if (found.length === 0) return [];
    const next = await open.catalog?.loadTable(loaded.identifier);
    if (next === undefined || next.metadata_location === current.metadata_location) return found;
    current = next;
  }
}

/**
 * Whether the catalog's file was replaced by an empty one: it has no table, although table files exist. For a table in
 * creation, the catalog entry follows its files a moment later.
 */
async function hasLostTables(
  { lake, catalog }: LakeToVerify,
  moment: Moment,
  { clock = systemClock }: VerifyOptions,
): Promise<boolean> {
  if (lake.profile === "cluster" || moment.tables.size > 0 || moment.damaged.length > 0 || moment.missing.length === 0)
    return false;
  if (!isOwned(lake)) return true;
  await clock.wait(FIRST_TABLE_MS);
  for (const layer of LAYERS)
    if ((await catalog?.hasNamespace([layer])) && (await catalog?.listTables([layer]))?.length !== 0) throw changed();
  return true;
}

function changed(): OperatingError {
  return new OperatingError("VERIFY_OVERTAKEN", "Nothing was verified: the first tables were created meanwhile", {
    next_step: "Run `verify` again.",
  });
}

/**
 * Bronze's offsets, read after the other tables, which may have consumed records that bronze gained meanwhile. Null
 * where bronze is damaged or has become unreadable.
 */
async function bronzeOffsetsNow(
  { catalog }: LakeToVerify,
  { tables }: Moment,
  { bronze }: Pipeline,
): Promise<LogOffsets | null> {
  if (catalog === null || !tables.has(bronze.table)) return null;
  try {
    return await logOffsets(catalog, bronze.table);
  } catch (error) {
    if (error instanceof OperatingError) return null;
    throw error;
  }
}

function movingNote({ moving, built }: Moment): string {
  return (
    `verified at the newest common offsets of all tables, ${JSON.stringify(built)}; an increment is ` +
    `writing ${moving.join(", ")}`
  );
}

async function pinTables(
  session: PinnedTables,
  moment: Moment,
  readable: Set<string>,
  findings: Finding[],
): Promise<void> {
  for (const { table, snapshot } of moment.tables.values()) {
    if (!readable.has(table)) continue;
    try {
      if (snapshot === null) await session.pinEmpty(table);
      else await session.pin(table, snapshot["snapshot-id"]);
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      readable.delete(table);
      findings.push(tableFinding("TABLE_UNREADABLE", table, `${table} cannot be read: ${error.message}`));
    }
  }
}

/** The table property and the newest snapshot must state the same offsets. */
function offsetFindings(moment: Moment, pipeline: Pipeline, bronze: LogOffsets | null): Finding[] {
  return [...moment.tables.values()].flatMap(({ table, loaded }) => {
    if (table !== pipeline.bronze.table && pipeline.reconciliation.tables[table] === undefined) return [];
    const beyond = bronze === null ? null : beyondBronze(loaded, bronze);
    if (beyond !== null)
      return [tableFinding("OFFSETS_DIFFER", table, `${table} states offsets that bronze does not have: ${beyond}`)];
    const ahead = offsetsAhead(loaded.metadata);
    if (ahead === null) return [];
    const message =
      `${table}: a snapshot states offsets up to ${ahead.snapshot}, but the table property ` +
      `states ${ahead.property}`;
    return [tableFinding("OFFSETS_DIFFER", table, message)];
  });
}

function checkFindings({ checks, failures }: Reconciliation): Finding[] {
  const failed = checks
    .filter(({ is_true }) => !is_true)
    .map(({ claim, evidence, tables }) => ({ claim, evidence, tables }));
  const unanswered = failures.filter(({ is_left_out }) => !is_left_out);
  return [
    ...failed.map(({ claim, evidence, tables }) =>
      tableFinding("CHECK_FAILED", tables[0] ?? "", `check failed: ${claim} (${evidence})`),
    ),
    ...unanswered.map(({ claim, reason, tables }) =>
      tableFinding(
        "TABLE_UNREADABLE",
        tables[0] ?? "",
        `${tables.join(", ")} cannot be read to check that ${claim}: ${reason}`,
      ),
    ),
  ];
}

/** Expired snapshots have lost their files, so the verification has no result. */
export async function throwIfOvertaken({ catalog }: LakeToVerify, { tables }: Moment): Promise<void> {
  for (const { loaded, snapshot, table } of tables.values()) {
    if (snapshot === null) continue;
    let metadata;
    try {
      metadata = (await catalog?.loadTable(loaded.identifier))?.metadata;
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
    }
    if (metadata === undefined || isKept(metadata, snapshot)) continue;
    throw new OperatingError(
      "VERIFY_OVERTAKEN",
      `Nothing was verified: snapshot ${snapshot["snapshot-id"]} of ${table} expired meanwhile`,
      {
        next_step: "Run `verify` again; if this repeats, stop the pipeline during `verify --deep`.",
      },
    );
  }
}
