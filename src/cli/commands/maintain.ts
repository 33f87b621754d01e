import { Command, InvalidArgumentError, Option } from "commander";
import { explain } from "../../base/explain.ts";
import { OperatingError, messageOf } from "../../base/errors.ts";
import { DEFAULT_DATA_FOLDER, findLake } from "../../lake/lake.ts";
import { CLUSTER_RETENTION, DEFAULT_RETENTION, describeRetention, keepWithin } from "../../maintain/retention.ts";
import { ACTIONS, type MaintenanceOptions } from "../../maintain/run.ts";
import { MIN_ORPHAN_AGE_MS } from "../../maintain/orphans.ts";
import type { ActionName, ActionReport } from "../../maintain/parts.ts";
import { MaintenanceStore } from "../../maintain/store.ts";
import { inspectBronze, type PartitionCopy } from "../../maintain/spark/bronze.ts";
import { ORPHAN_AGE_MS } from "../../maintain/spark/maintainer.ts";
import type { Column, Pipeline } from "../../pipeline/definition.ts";
import { pipelineOf, type CommonOptions } from "../context.ts";
import { formatTable } from "../table.ts";
import { formatHistory, formatReports } from "../maintenance-report.ts";
import { withMaintainer, withSpark, type MaintenanceRequest } from "../maintainer.ts";
import { openOutput, progressBar, type Output } from "../output.ts";

type Decorate = (command: Command) => Command;

interface TablesOptions extends CommonOptions {
  table?: string;
  dryRun?: boolean;
}

const DAY_MS = 86_400_000;
const MB = 1_000_000;

export function maintainCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withTable(withCommon(new Command("maintain")))
    .description("compact tables, expire old snapshots and delete orphan files")
    .enablePositionalOptions()
    .option("--history", "list earlier runs, newest first")
    .addHelpText(
      "after",
      `
Examples:
  npm run -s coinlake -- maintain --dry-run
  npm run -s coinlake -- maintain
  npm run -s coinlake -- maintain --history

A running pipeline maintains its tables automatically.`,
    )
    .action((options: TablesOptions & { history?: boolean }) => {
      if (options.history === true) return showHistory(options);
      return maintain(ACTIONS, options, pipelines);
    })
    .addCommand(checkCommand(pipelines, withCommon))
    .addCommand(compactCommand(pipelines, withCommon))
    .addCommand(expireCommand(pipelines, withCommon))
    .addCommand(orphansCommand(pipelines, withCommon));
}

function compactCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withTable(withCommon(new Command("compact")))
    .description("merge small files and apply delete files")
    .option("--target-size-mb <mb>", "target file size in MB (default: the table's property, else 134)", parseSize)
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- maintain compact --table gold.fact_crypto_ticks")
    .action((options: TablesOptions & { targetSizeMb?: number }) => {
      const target = options.targetSizeMb === undefined ? {} : { target_size_bytes: options.targetSizeMb * MB };
      return maintain(["compact"], options, pipelines, { compact: target });
    });
}

function expireCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withTable(withCommon(new Command("expire")))
    .description("delete old snapshots and the files that only they use")
    .option("--older-than <days>", "delete all of this age in days or older (default: see below)", parseDays)
    .addOption(
      new Option("--snapshot <id>", "delete this one snapshot; requires --table")
        .argParser(parseSnapshot)
        .conflicts("olderThan"),
    )
    .addHelpText(
      "after",
      `
Retention by default:
  ${describeRetention(DEFAULT_RETENTION).replaceAll(", ", ",\n  ")}
Retention in the cluster profile:
  ${describeRetention(CLUSTER_RETENTION)}
Snapshots that a branch or tag refers to are always retained.

Example:
  npm run -s coinlake -- maintain expire --older-than 30`,
    )
    .action((options: TablesOptions & { olderThan?: number; snapshot?: bigint }, command: Command) => {
      if (options.snapshot !== undefined && options.table === undefined)
        command.error("error: --snapshot requires --table");
      const policy = options.olderThan === undefined ? {} : { policy: keepWithin(options.olderThan * DAY_MS) };
      const snapshots = options.snapshot === undefined ? {} : { snapshot_ids: [options.snapshot] };
      return maintain(["expire"], options, pipelines, { expire: { ...policy, ...snapshots } });
    });
}

function orphansCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withTable(withCommon(new Command("orphans")))
    .description("delete orphan files")
    .option("--older-than <days>", "minimum age in days (default: 1; in a cluster 3)", parseDays)
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- maintain orphans --dry-run")
    .action((options: TablesOptions & { olderThan?: number }, command: Command) => {
      const age = options.olderThan === undefined ? {} : { older_than_ms: options.olderThan * DAY_MS };
      if ((age.older_than_ms ?? Infinity) < MIN_ORPHAN_AGE_MS)
        command.error(
          "error: --older-than must be at least 0.042 days (one hour): younger files may belong to a commit in " +
            "progress",
        );
      return maintain(["orphans"], options, pipelines, { orphans: age });
    });
}

function withTable(command: Command): Command {
  return command
    .option("--table <layer.table>", "maintain one table (default: all)")
    .option("--dry-run", "print what would be done, without changing anything");
}

function parseDays(text: string): number {
  const days = Number(text);
  if (/^\d{1,5}(\.\d{1,3})?$/.test(text)) return days;
  throw new InvalidArgumentError("Use a number of days, 0 or more.");
}

function parseSize(text: string): number {
  const size_mb = Number(text);
  if (/^\d{1,6}(\.\d{1,3})?$/.test(text) && size_mb > 0) return size_mb;
  throw new InvalidArgumentError("Use a number of megabytes above 0.");
}

function parseSnapshot(text: string): bigint {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new InvalidArgumentError("Use the number of a snapshot.");
}

/** Spark's retention: this process plans the dry run, because Spark's procedures have none. */
const SPARK_POLICIES: MaintenanceOptions = {
  expire: { policy: CLUSTER_RETENTION },
  orphans: { older_than_ms: ORPHAN_AGE_MS },
};

interface Failure {
  table: string;
  error: OperatingError;
}

/** Maintains the tables one after the other; a failure of one does not stop the others. */
async function maintain(
  actions: readonly ActionName[],
  options: TablesOptions,
  pipelines: readonly Pipeline[],
  given: MaintenanceOptions = {},
): Promise<void> {
  const output = openOutput(options.json ?? false);
  const request: MaintenanceRequest = { ...requestOf(options, pipelines, output), is_dry_run: options.dryRun ?? false };
  const reports: ActionReport[] = [];
  const failures: Failure[] = [];
  const policies = request.is_dry_run && request.lake.profile === "cluster" ? SPARK_POLICIES : {};
  await withMaintainer(request, async (maintainer, signal) => {
    const known = await maintainer.tables();
    if (options.table !== undefined && !known.includes(options.table)) throw noSuchTable(options.table, known);
    const tables = options.table === undefined ? known : [options.table];
    for (const [index, table] of tables.entries()) {
      if (signal.aborted) break;
      const bar = progressBar(`${index + 1}/${tables.length} ${table}`);
      const progress = { progress: (done: number, total: number) => bar.update(done, total) };
      const dry = options.dryRun === true ? { is_dry_run: true } : {};
      try {
        const done = await maintainer.maintain(table, actions, {
          compact: { ...given.compact, ...dry, ...progress },
          expire: { ...policies.expire, ...given.expire, ...dry, ...progress },
          orphans: { ...policies.orphans, ...given.orphans, ...dry, ...progress },
        });
        reports.push(...done);
      } catch (error) {
        // Ctrl-C aborts the current table's work; completed commits remain.
        if (signal.aborted) break;
        if (!(error instanceof OperatingError)) throw error;
        failures.push({ table, error });
      } finally {
        bar.end();
      }
    }
  });
  if (output.is_json) output.result(JSON.stringify(reports, null, 2));
  else show(output, reports, failures.length > 0);
  conclude(output, failures);
}

function requestOf(options: CommonOptions, pipelines: readonly Pipeline[], output: Output) {
  const data_folder = options.data ?? DEFAULT_DATA_FOLDER;
  const lake = findLake(data_folder, options.lake ?? null);
  return { lake, pipeline: pipelineOf(lake, pipelines), data_folder, output };
}

/** Reports failures. A table that maintenance does not support is a warning, not a failure. */
function conclude(output: Output, failures: readonly Failure[]): void {
  const isUnsupported = ({ error }: Failure): boolean => error.code.startsWith("UNSUPPORTED_");
  for (const { error } of failures.filter(isUnsupported)) output.warn(explain(error));
  const failed = failures.filter((failure) => !isUnsupported(failure));
  const [first] = failed;
  if (first === undefined) return;
  if (failed.length === 1) throw inTable(first);
  throw new OperatingError(
    "MAINTENANCE_INCOMPLETE",
    failed.map(({ table, error }) => `${table}: ${messageOf(error)} [${error.code}]`).join("\n"),
    {
      next_step: `${first.error.next_step} The other tables were maintained.`,
      cause: first.error,
    },
  );
}

function inTable({ table, error }: Failure): OperatingError {
  const message = error.message.includes(table) ? error.message : `${table}: ${error.message}`;
  return new OperatingError(error.code, message, {
    next_step: error.next_step,
    is_retryable: error.is_retryable,
    cause: error,
  });
}

function show(output: Output, reports: readonly ActionReport[], has_failed: boolean): void {
  if (reports.length === 0 && !has_failed) output.result("Nothing to do: no table needs maintenance");
  if (reports.length > 0) output.result(formatReports(reports));
  if (reports.some(({ is_dry_run }) => is_dry_run)) output.say("Dry run: nothing was changed");
}

async function showHistory(options: TablesOptions): Promise<void> {
  const output = openOutput(options.json ?? false);
  const lake = findLake(options.data ?? DEFAULT_DATA_FOLDER, options.lake ?? null);
  const store = new MaintenanceStore(lake.folder);
  try {
    const runs = store.runs(options.table === undefined ? {} : { table: options.table });
    if (output.is_json) output.result(JSON.stringify(runs, null, 2));
    else if (runs.length === 0)
      output.result(
        options.table === undefined ? "No maintenance recorded yet" : `No maintenance of ${options.table} recorded`,
      );
    else output.result(formatHistory(runs));
  } finally {
    store.close();
  }
}

function noSuchTable(table: string, tables: readonly string[]): OperatingError {
  return new OperatingError("TABLE_NOT_FOUND", `Unknown table "${table}" in this lake`, {
    next_step:
      tables.length === 0
        ? "The lake has no tables yet: run `npm start` first."
        : `Choose one of these tables: ${tables.join(", ")}.`,
  });
}

const COPY_COLUMNS: readonly Column[] = [
  { name: "topic", header: "topic", kind: "text" },
  { name: "partition", header: "partition", kind: "plain" },
  { name: "records", header: "records", kind: "count" },
  { name: "first_offset", header: "from offset", kind: "plain" },
  { name: "last_offset", header: "to offset", kind: "plain" },
  { name: "missing", header: "missing", kind: "count" },
  { name: "doubled", header: "duplicated", kind: "count" },
  { name: "newest_ingested_at", header: "newest (UTC)", kind: "time" },
];

function checkCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withCommon(new Command("check"))
    .description("check that the cluster's bronze has each log offset once")
    .addHelpText(
      "after",
      `
Example:
  npm run -s coinlake -- maintain check --json

Exits 1 when an offset is missing or duplicated. For an embedded lake, \`verify\` checks this.`,
    )
    .action((options: CommonOptions) => {
      const output = openOutput(options.json ?? false);
      return withSpark(requestOf(options, pipelines, output), async (session, { pipeline }) => {
        const copies = await inspectBronze(session, pipeline.bronze.table);
        if (output.is_json) output.result(JSON.stringify(copies, null, 2));
        else
          output.result(
            formatTable(
              COPY_COLUMNS,
              copies.map((copy) => COPY_COLUMNS.map(({ name }) => String(copy[name as keyof PartitionCopy]))),
            ),
          );
        const broken = copies.filter(({ missing, doubled }) => missing > 0 || doubled > 0);
        if (broken.length > 0) throw brokenBronze(pipeline.bronze.table, broken);
      });
    });
}

function brokenBronze(table: string, broken: readonly PartitionCopy[]): OperatingError {
  const words = broken.map(
    ({ topic, partition, missing, doubled }) =>
      `${topic}/${partition}: ${missing} offsets missing, ${doubled} rows duplicated`,
  );
  return new OperatingError("BRONZE_DIFFERS_FROM_LOG", `${table} differs from the log: ${words.join("; ")}`, {
    next_step:
      "Stop its writer (`coinlake streams stop`), keep its snapshots, and report the output of `maintain check " +
      "--json`.",
  });
}
