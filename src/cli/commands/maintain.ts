import { Command, InvalidArgumentError } from "commander";
import { systemClock } from "../../clock.ts";
import type { SparkSession } from "../../engine/cluster/spark/session.ts";
import { OperatingError } from "../../errors.ts";
import { DEFAULT_DATA_FOLDER, findLake, type Lake } from "../../lake/lake.ts";
import { LAYERS } from "../../lake/layers.ts";
import { inspectBronze, type PartitionCopy } from "../../maintain/spark/bronze.ts";
import { compact } from "../../maintain/spark/compact.ts";
import { expire } from "../../maintain/spark/expire.ts";
import { removeOrphans } from "../../maintain/spark/orphans.ts";
import { tablesOf } from "../../maintain/spark/tables.ts";
import type { Column, Pipeline } from "../../pipeline/definition.ts";
import { environmentIn, pipelineOf, type CommonOptions } from "../context.ts";
import { formatTable } from "../format.ts";
import { openOutput, type Output } from "../output.ts";
import { INTERRUPTED, stopOnSignals } from "../stopping.ts";

type Decorate = (command: Command) => Command;

interface Context {
  session: SparkSession;
  lake: Lake;
  pipeline: Pipeline;
  output: Output;
}

interface TablesOptions extends CommonOptions {
  table?: string;
}

const DAY_US = 86_400_000_000;
/** How far back a lake of the cluster can be asked, unless it is said otherwise. */
const KEPT_DAYS = 7;
/** A commit takes minutes at most; Iceberg refuses to delete what is younger than a day. */
const ORPHAN_DAYS = 3;

export function maintainCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return new Command("maintain")
    .description("look after the tables of a lake in the cluster: check bronze, compact, expire snapshots, delete orphans")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- maintain compact")
    .addCommand(checkCommand(pipelines, withCommon))
    .addCommand(compactCommand(pipelines, withCommon))
    .addCommand(expireCommand(pipelines, withCommon))
    .addCommand(orphansCommand(pipelines, withCommon));
}

const COPY_COLUMNS: readonly Column[] = [
  { name: "topic", header: "topic", kind: "text" },
  { name: "partition", header: "partition", kind: "plain" },
  { name: "records", header: "records", kind: "count" },
  { name: "first_offset", header: "from offset", kind: "plain" },
  { name: "last_offset", header: "to offset", kind: "plain" },
  { name: "missing", header: "missing", kind: "count" },
  { name: "doubled", header: "doubled", kind: "count" },
  { name: "newest_ingested_at", header: "newest (UTC)", kind: "time" },
];

function checkCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withCommon(new Command("check"))
    .description("whether bronze is a copy of the log: every offset once")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- maintain check --json\n\nExits 1 when an offset is missing or there twice.")
    .action((options: CommonOptions) =>
      withSpark(options, pipelines, async ({ session, pipeline, output }) => {
        const copies = await inspectBronze(session, pipeline.bronze.table);
        tell(output, COPY_COLUMNS, copies);
        const broken = copies.filter(({ missing, doubled }) => missing > 0 || doubled > 0);
        if (broken.length > 0) throw brokenBronze(pipeline.bronze.table, broken);
      }),
    );
}

function brokenBronze(table: string, broken: readonly PartitionCopy[]): OperatingError {
  const words = broken.map(({ topic, partition, missing, doubled }) => `of ${topic}/${partition} ${missing} offsets are missing and ${doubled} rows doubled`);
  return new OperatingError("BRONZE_IS_NO_COPY", `${table} is no copy of the log: ${words.join("; ")}.`, {
    next_step: "Stop what writes it (`coinlake streams stop`), keep its snapshots, and report what `maintain check --json` prints.",
  });
}

const COMPACTION_COLUMNS: readonly Column[] = [
  { name: "table", header: "table", kind: "text" },
  { name: "strategy", header: "how", kind: "text" },
  { name: "files_before", header: "files before", kind: "count" },
  { name: "files_after", header: "after", kind: "count" },
  { name: "size_before", header: "bytes before", kind: "count" },
  { name: "size_after", header: "after", kind: "count" },
  { name: "rewritten_files", header: "rewritten", kind: "count" },
];

function compactCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withTable(withCommon(new Command("compact")))
    .description("put small files together; facts are sorted along several columns at once (Z-order)")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- maintain compact")
    .action((options: TablesOptions) =>
      withTables(options, pipelines, COMPACTION_COLUMNS, async ({ session, pipeline }, table) => {
        const done = await compact(session, table, pipeline.maintenance.z_order[table]);
        return { ...done, files_before: done.before.files, files_after: done.after.files, size_before: done.before.size_bytes, size_after: done.after.size_bytes };
      }),
    );
}

const EXPIRY_COLUMNS: readonly Column[] = [
  { name: "table", header: "table", kind: "text" },
  { name: "snapshots_before", header: "snapshots before", kind: "count" },
  { name: "snapshots_after", header: "after", kind: "count" },
  { name: "deleted_files", header: "files deleted", kind: "count" },
];

function expireCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withTable(withCommon(new Command("expire")))
    .description("forget old snapshots, and delete the files that only they have; the newest ten stay")
    .option("--older-than <days>", "the age from which a snapshot goes", parseDays, KEPT_DAYS)
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- maintain expire --older-than 30")
    .action((options: TablesOptions & { olderThan: number }) =>
      withTables(options, pipelines, EXPIRY_COLUMNS, async ({ session }, table) => {
        const done = await expire(session, table, systemClock.now_us() - options.olderThan * DAY_US);
        return { ...done, snapshots_before: done.before.snapshots, snapshots_after: done.after.snapshots };
      }),
    );
}

const ORPHAN_COLUMNS: readonly Column[] = [
  { name: "table", header: "table", kind: "text" },
  { name: "files", header: "files deleted", kind: "count" },
];

function orphansCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withTable(withCommon(new Command("orphans")))
    .description("delete files in the tables' folders that belong to no state of a table")
    .option("--older-than <days>", "the age from which a file goes; more than 1", parseDays, ORPHAN_DAYS)
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- maintain orphans")
    .action((options: TablesOptions & { olderThan: number }) =>
      withTables(options, pipelines, ORPHAN_COLUMNS, async ({ session }, table) => {
        const done = await removeOrphans(session, table, systemClock.now_us() - options.olderThan * DAY_US);
        return { ...done, files: done.removed.length };
      }),
    );
}

function withTable(command: Command): Command {
  return command.option("--table <layer.table>", "one table; all by default");
}

function parseDays(text: string): number {
  const days = Number(text);
  if (/^\d{1,5}(\.\d{1,3})?$/.test(text)) return days;
  throw new InvalidArgumentError("It must be a number of days, 0 or more.");
}

type Row = Readonly<Record<string, unknown>>;

/** Table by table: one that fails ends it, and those before it are done. */
async function withTables(options: TablesOptions, pipelines: readonly Pipeline[], columns: readonly Column[], work: (context: Context, table: string) => Promise<Row>): Promise<void> {
  await withSpark(options, pipelines, async (context) => {
    const tables = await tablesOf(context.session, LAYERS, context.lake.name);
    if (options.table !== undefined && !tables.includes(options.table)) throw noSuchTable(options.table, tables);
    const rows: Row[] = [];
    for (const table of options.table === undefined ? tables : [options.table]) rows.push(await work(context, table));
    tell(context.output, columns, rows);
  });
}

function noSuchTable(table: string, tables: readonly string[]): OperatingError {
  return new OperatingError("NO_SUCH_TABLE", `There is no table "${table}" in the cluster.`, {
    next_step: tables.length === 0 ? "Nothing was written to it yet." : `Name one of these: ${tables.join(", ")}.`,
  });
}

function tell(output: Output, columns: readonly Column[], rows: readonly object[]): void {
  if (output.is_json) return output.result(JSON.stringify(rows, null, 2));
  output.result(formatTable(columns, rows.map((row) => columns.map(({ name }) => String((row as Row)[name])))));
}

/** Finds Spark by the environment, else by what the cluster of the data folder wrote down. */
async function withSpark(options: CommonOptions, pipelines: readonly Pipeline[], work: (context: Context) => Promise<void>): Promise<void> {
  const data_folder = options.data ?? DEFAULT_DATA_FOLDER;
  const lake = findLake(data_folder, options.lake ?? null);
  const pipeline = pipelineOf(lake, pipelines);
  if (lake.profile !== "cluster") throw notInCluster(lake.name);
  const { SPARK_REMOTE: remote } = environmentIn(data_folder);
  if (!remote) {
    throw new OperatingError("CLUSTER_NOT_FOUND", `The tables of the lake "${lake.name}" are maintained by Spark, and nothing says where that is.`, {
      next_step: "Start it with `npm run -s coinlake -- cluster up --native`, or say in SPARK_REMOTE where it runs.",
    });
  }
  // Spark's protocol takes 60 MB, which no other command is to pay.
  const { SparkSession: Session } = await import("../../engine/cluster/spark/session.ts");
  const session: SparkSession = new Session({ remote });
  const output = openOutput(options.json ?? false);
  const stopping = stopOnSignals(output);
  // A server that is gone has no session any more; what went wrong before that is what is told.
  const release = (): Promise<void> => session.release().catch(() => session.disconnect());
  // With its session Spark's work ends, which would go on beside that of whoever tries again.
  stopping.signal.addEventListener("abort", () => void release(), { once: true });
  try {
    await work({ session, lake, pipeline, output });
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    output.say("Stopped: the tables before this one are done, and nothing of it is half done.");
    process.exitCode = INTERRUPTED;
  } finally {
    stopping.dispose();
    if (!stopping.signal.aborted) await release();
  }
}

function notInCluster(lake_name: string): OperatingError {
  return new OperatingError("MAINTENANCE_NEEDS_CLUSTER", `The lake "${lake_name}" is an embedded one, whose tables cannot be maintained yet: it merges manifests as it commits, and keeps its files and snapshots.`, {
    next_step: "Nothing has to be done for it to stay right. Lakes of a cluster are maintained by this command.",
  });
}
