import { Command } from "commander";
import { accessSync, constants } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, resolve } from "node:path";
import { notWritable } from "../../backup/placing.ts";
import { SqliteChecksums } from "../../catalog/sqlite/checksums.ts";
import { sweepSpill } from "../../duckdb/spill.ts";
import { openToVerify, type LakeToVerify } from "../../lake/open-to-verify.ts";
import { OperatingError } from "../../base/errors.ts";
import { DEFAULT_DATA_FOLDER, findLake, type Lake } from "../../lake/lake.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { verifyDeep, type DeepVerification, type Phase } from "../../verify/deep.ts";
import type { Finding } from "../../verify/finding.ts";
import { verify, type Verification } from "../../verify/verify.ts";
import { environmentIn, pipelineOf, type CommonOptions } from "../context.ts";
import { TRY_AGAIN, withExitCode } from "../exit-code.ts";
import { openOutput, progressBar, styleResult, withLakeOptions, type Output } from "../output.ts";
import { stopOnSignals } from "../stopping.ts";
import { makeFolder } from "../../base/folder.ts";

const HELP = `
Example:
  npm run -s coinlake -- verify --json
  npm run -s coinlake -- verify --deep

verify         takes seconds: compares stores, file sizes, metadata, row counts and keys across the layers
verify --deep  takes minutes: also checks file checksums, compares bronze with the log, and rebuilds silver and
               gold from bronze in the scratch folder, which needs as much space as they take

Exit codes: 0 no damage; 1 damage (LAKE_DAMAGED; each finding names the command that repairs it) or a failure;
75 not checked, try again later: an increment is in progress, snapshots have expired, or a file is locked.`;

export function verifyCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("verify"))
    .description("check a lake for damage: stores, files, tables, values")
    .option("--deep", "read every file and compare every row with a rebuild")
    .option("--scratch <dir>", "folder for the tables that --deep rebuilds", tmpdir())
    .addHelpText("after", HELP)
    .action(async (options: VerifyCommandOptions) => {
      const lake = findLake(options.data ?? DEFAULT_DATA_FOLDER, options.lake ?? null);
      const pipeline = pipelineOf(lake, pipelines);
      const output = openOutput(options.json ?? false);
      const found = await verified(options, lake, pipeline, output);
      output.result(
        output.is_json ? JSON.stringify({ lake: lake.name, ...found }, null, 2) : formatVerification(found),
      );
      if (found.findings.length > 0) throw damaged(lake.name, found.findings);
    });
}

interface VerifyCommandOptions extends CommonOptions {
  deep?: boolean;
  scratch: string;
}

async function verified(
  options: VerifyCommandOptions,
  lake: Lake,
  pipeline: Pipeline,
  output: Output,
): Promise<Verification> {
  let open: LakeToVerify | null = null;
  try {
    open = await openToVerify(lake, { env: environmentIn(dirname(lake.folder)), warn: output.warn });
    return options.deep === true ? await deeply(open, pipeline, options.scratch, output) : await verify(open, pipeline);
  } catch (error) {
    if (error instanceof OperatingError && error.is_retryable) throw withExitCode(error, TRY_AGAIN);
    throw error;
  } finally {
    await open?.close();
  }
}

/**
 * A deep verification also records missing checksums and drops those of deleted files. Throws VERIFY_STOPPED,
 * FOLDER_NOT_WRITABLE.
 */
async function deeply(
  open: LakeToVerify,
  pipeline: Pipeline,
  typed_folder: string,
  output: Output,
): Promise<Verification & { deep: object }> {
  const stopping = stopOnSignals(output);
  const scratch_folder = resolve(typed_folder);
  const bars = new Map<Phase, ReturnType<typeof progressBar>>();
  const progress = (phase: Phase, done: number, total: number | null) => {
    stopping.signal.throwIfAborted();
    if (!bars.has(phase)) for (const bar of bars.values()) bar.end();
    const bar = bars.get(phase) ?? progressBar(phase);
    bars.set(phase, bar);
    bar.update(done, total);
  };
  try {
    prepareScratch(scratch_folder);
    const { deep, ...found } = await verifyDeep(open, pipeline, { progress, scratch_folder });
    const { taken, outdated: _outdated, ...figures } = deep;
    const is_kept = found.findings.length === 0 && open.checksums !== null;
    // A damaged file must not become the reference for later checks.
    if (is_kept) keepChecksums(open, deep);
    if (taken.length > 0 && is_kept) {
      found.notes.push(
        `recorded checksums of ${taken.length} files that had none: later runs detect changes made from now on`,
      );
    }
    if (open.checksums === null)
      found.notes.push("checksums were not compared: the catalog of this lake does not store any");
    return { ...found, deep: { ...figures, checksums_taken: is_kept ? taken.length : 0 } };
  } catch (error) {
    throw stopping.signal.aborted ? stopped() : error;
  } finally {
    stopping.dispose();
    for (const bar of bars.values()) bar.end();
  }
}

/** Creates the folder, and empties it of what killed runs left. Throws FOLDER_NOT_WRITABLE. */
function prepareScratch(folder: string): void {
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK);
    sweepSpill(folder);
  } catch (error) {
    throw notWritable(folder, error);
  }
}

function stopped(): OperatingError {
  return new OperatingError(
    "VERIFY_STOPPED",
    "Verification interrupted, so there is no result; the lake is unchanged, and the temporary tables are deleted",
    {
      next_step:
        "Run the same command again: it checks everything from the start. `verify` without --deep takes seconds.",
    },
  );
}

function keepChecksums({ lake, checksums }: LakeToVerify, { taken, outdated }: DeepVerification["deep"]): void {
  if (checksums === null || taken.length + outdated.length === 0) return;
  const store = new SqliteChecksums(lake.catalog_file);
  try {
    // Checksums of concurrent commits stay: this run does not know their files.
    store.change({
      added: taken,
      removed: outdated.filter((location) => !taken.some((checksum) => checksum.location === location)),
    });
  } finally {
    store.close();
  }
}

function damaged(lake: string, findings: readonly Finding[]): OperatingError {
  const steps = [...new Set(findings.map(({ next_step }) => next_step))];
  return new OperatingError(
    "LAKE_DAMAGED",
    `The lake "${lake}" is damaged: ${findings.map(({ message }) => message).join("; ")}`,
    {
      next_step: steps.join("\n        "),
    },
  );
}

export function formatVerification({ checks, figures, findings, notes }: Verification): string {
  const count = (value: number) => value.toLocaleString("en").padStart(14);
  const lines = [
    `records waiting in the log        ${count(figures.log_waiting)}`,
    `records in bronze                 ${count(figures.bronze_records)}`,
    `  not yet in silver               ${count(figures.silver_waiting)}`,
    `elements processed by silver      ${count(figures.elements)}`,
    `  accepted                        ${count(figures.accepted)}`,
    `  duplicates                      ${count(figures.duplicates)}`,
    `    conflicting                   ${count(figures.conflicting)}`,
    `  rejected                        ${count(figures.rejected)}`,
    ...Object.entries(figures.rejected_by_reason).map(([reason, value]) => `    ${reason.padEnd(30)}${count(value)}`),
    "",
    ...checks.map(
      ({ claim, is_true, evidence }) =>
        `${is_true ? styleResult("green", "✓") : styleResult("red", "✗")} ${claim} ` +
        `${styleResult("dim", `(${evidence})`)}`,
    ),
    ...notes.map((note) => `${styleResult("yellow", "·")} ${note}`),
    ...findings.flatMap((finding) => ["", ...formatFinding(finding)]),
  ];
  return lines.join("\n");
}

function formatFinding({ code, message, file, rows, next_step }: Finding): string[] {
  return [
    `${styleResult("red", "✗")} ${message} ${styleResult("dim", `[${code}]`)}`,
    ...(file === null || message.includes(file) ? [] : [`    file: ${file}`]),
    ...rows.map((row) => `    ${row}`),
    `    ${styleResult("bold", "next:")} ${withLakeOptions(next_step)}`,
  ];
}
