import { Command, InvalidArgumentError } from "commander";
import { readSetting } from "../../base/settings.ts";
import { desiredStreams, setDesiredStreams } from "../../services/desired.ts";
import { clusterFolder, readEnvironment } from "../../services/state.ts";
import type { StreamJob } from "../../spark/job.ts";
import { lagOf, type StreamProgress } from "../../spark/progress.ts";
import type { SparkStreams, StreamEvent } from "../../spark/streams.ts";
import { OperatingError } from "../../base/errors.ts";
import { DEFAULT_DATA_FOLDER } from "../../lake/lake.ts";
import type { Column } from "../../pipeline/definition.ts";
import { environmentIn, type CommonOptions } from "../context.ts";
import { pipelinesInUse } from "../pipelines-in-use.ts";
import { formatTable } from "../table.ts";
import { openOutput, type Output } from "../output.ts";

type Decorate = (command: Command) => Command;

interface Context {
  streams: SparkStreams;
  kafka_brokers: string;
  output: Output;
}

export function streamsCommand(jobs: readonly StreamJob[], withCommon: Decorate): Command {
  return new Command("streams")
    .description("manage the cluster's streaming queries")
    .addHelpText(
      "after",
      `
Streams:
${jobs.map(({ name, description }) => `  ${name}  ${description}`).join("\n")}

Example:
  npm run -s coinlake -- streams list`,
    )
    .addCommand(listCommand(jobs, withCommon))
    .addCommand(checkCommand(jobs, withCommon))
    .addCommand(startCommand(jobs, withCommon))
    .addCommand(watchCommand(withCommon))
    .addCommand(stopCommand(jobs, withCommon));
}

function listCommand(jobs: readonly StreamJob[], withCommon: Decorate): Command {
  return withCommon(new Command("list"))
    .description("list streams with their state, last batch and lag")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- streams list --json")
    .action(async (options: CommonOptions) => {
      await withStreams(options, async ({ streams, output }) => {
        const running = await streams.list();
        const rows = await Promise.all(
          named(jobs, [], options).map(async ({ name, description }) => {
            const query = running.find((candidate) => candidate.name === name);
            if (query === undefined)
              return { stream: name, description, state: "stopped", message: null, query_id: null, progress: null };
            const [status, progress] = await Promise.all([query.status(), query.lastProgress()]);
            return {
              stream: name,
              description,
              state: "running",
              message: status.message,
              query_id: query.id,
              progress,
            };
          }),
        );
        if (output.is_json) return output.result(JSON.stringify(rows, null, 2));
        output.result(
          formatTable(
            LIST_COLUMNS,
            rows.map(({ stream, description, state, message, progress }) => [
              stream,
              description,
              state,
              message,
              ...progressCells(progress),
            ]),
          ),
        );
      });
    });
}

/** An idle stream reports progress every ten seconds, a busy one after each batch, with the batch's start time. */
const SILENCE_MS = 5 * 60_000;

type CheckOptions = CommonOptions & { maxLag: number };

function checkCommand(jobs: readonly StreamJob[], withCommon: Decorate): Command {
  return withCommon(new Command("check"))
    .description("check that streams run and lag at most --max-lag records")
    .argument("[names...]", "names of streams (default: those of the pipelines with a lake)")
    .option("--max-lag <records>", "maximum lag in records", parseCount, 0)
    .addHelpText(
      "after",
      `
Example:
  npm run -s coinlake -- streams check --max-lag 10000

Exits 1 when a stream is stopped or its lag exceeds the limit.`,
    )
    .action(async (names: string[], options: CheckOptions) => {
      const chosen = named(jobs, names, options);
      await withStreams(options, async ({ streams, output }) => {
        const running = await streams.list();
        const rows = await Promise.all(
          chosen.map(async ({ name }) => {
            const query = running.find((candidate) => candidate.name === name);
            const progress = query === undefined ? null : await query.lastProgress();
            return {
              stream: name,
              state: query === undefined ? "stopped" : "running",
              lag: progress === null ? null : lagOf(progress),
              at: progress?.at ?? null,
            };
          }),
        );
        if (output.is_json) output.result(JSON.stringify(rows, null, 2));
        const reasons = rows.flatMap(({ stream, state, lag, at }) => {
          if (state === "stopped") return [`${stream} is stopped`];
          if (lag === null || at === null) return [`${stream} has not committed a batch yet, so its lag is unknown`];
          if (Date.now() - Date.parse(at) > SILENCE_MS)
            return [`${stream} has reported no progress since its batch of ${at}`];
          return lag > options.maxLag ? [`${stream} lags ${lag.toLocaleString("en")} records`] : [];
        });
        if (reasons.length > 0) throw behind(reasons);
        output.say(
          rows.map(({ stream, lag }) => `${stream} runs, lag ${(lag ?? 0).toLocaleString("en")} records`).join("; "),
        );
      });
    });
}

function behind(reasons: readonly string[]): OperatingError {
  return new OperatingError("STREAM_BEHIND", reasons.join("; "), {
    next_step: "Check again later; start a stopped stream with `coinlake streams start`.",
  });
}

function parseCount(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Use a whole number, 0 or more.");
}

function startCommand(jobs: readonly StreamJob[], withCommon: Decorate): Command {
  return withCommon(new Command("start"))
    .description("start stopped streams; they resume from their checkpoints")
    .argument("[names...]", "names of streams (default: those of the pipelines with a lake)")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- streams start")
    .action(async (names: string[], options: CommonOptions) => {
      const chosen = named(jobs, names, options);
      await withStreams(options, async ({ streams, kafka_brokers, output }) => {
        const started = [];
        for (const job of chosen) {
          const query = await job.start(streams, { kafka_brokers });
          output.say(`${job.name} runs: ${job.description}`);
          started.push({ stream: job.name, query_id: query.id, run_id: query.run_id });
        }
        setDesiredStreams(
          clusterFolder(options.data ?? DEFAULT_DATA_FOLDER),
          started.map(({ stream }) => stream),
          true,
        );
        if (output.is_json) output.result(JSON.stringify(started, null, 2));
      });
    });
}

function stopCommand(jobs: readonly StreamJob[], withCommon: Decorate): Command {
  return withCommon(new Command("stop"))
    .description("stop streams; `streams start` resumes them")
    .argument("[names...]", "names of streams (default: those of the pipelines with a lake)")
    .addHelpText(
      "after",
      `
Example:
  npm run -s coinlake -- streams stop

Stop a running \`start --profile cluster\` first: it restarts its stream.`,
    )
    .action(async (names: string[], options: CommonOptions) => {
      const chosen = named(jobs, names, options);
      await withStreams(options, async ({ streams, output }) => {
        const stopped = [];
        // Updated before stopping: otherwise the supervisor would restart the streams.
        setDesiredStreams(
          clusterFolder(options.data ?? DEFAULT_DATA_FOLDER),
          chosen.map(({ name }) => name),
          false,
        );
        for (const { name } of chosen) {
          const query = await streams.find(name);
          if (query === null) continue;
          await query.stop();
          output.say(`${name} stopped`);
          stopped.push(name);
        }
        if (output.is_json) output.result(JSON.stringify(stopped, null, 2));
        else if (stopped.length === 0) output.say("No stream is running");
      });
    });
}

function watchCommand(withCommon: Decorate): Command {
  return withCommon(new Command("watch"))
    .description("print each committed batch until Ctrl-C")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- streams watch")
    .action(async (options: CommonOptions) => {
      await withStreams(options, async ({ streams, output }) => {
        const ending = new AbortController();
        const end = () => ending.abort();
        process.once("SIGINT", end).once("SIGTERM", end);
        try {
          for await (const event of await streams.watch(ending.signal)) {
            if (output.is_json)
              output.result(JSON.stringify({ ...event, query: { id: event.query.id, name: event.query.name } }));
            else printEvent(event, output);
          }
        } catch (error) {
          if (!ending.signal.aborted) throw error;
        }
      });
    });
}

function printEvent(event: StreamEvent, output: Output): void {
  if (event.kind === "ended") {
    if (event.failure === null) output.say(`${event.query.name} stopped`);
    else output.warn(`${event.query.name} failed: ${event.failure.split("\n")[0]}`);
    return;
  }
  const { name, at, batch_id, input_rows, duration_ms } = event.progress;
  const lag = lagOf(event.progress) ?? "unknown";
  const size = `${input_rows.toLocaleString("en")} records in ${(duration_ms / 1000).toFixed(1)} s`;
  output.result(`${at}  ${name}  batch ${batch_id}: ${size}, lag ${lag}`);
}

const LIST_COLUMNS: readonly Column[] = [
  { name: "stream", header: "stream", kind: "text" },
  { name: "description", header: "from, to", kind: "text" },
  { name: "state", header: "state", kind: "text" },
  { name: "message", header: "status", kind: "text" },
  { name: "batch", header: "batch", kind: "count" },
  { name: "at", header: "last batch at", kind: "time" },
  { name: "records", header: "batch records", kind: "count" },
  { name: "lag", header: "lag (records)", kind: "count" },
];

function progressCells(progress: StreamProgress | null): (string | null)[] {
  if (progress === null) return [null, null, null, null];
  const lag = lagOf(progress);
  return [String(progress.batch_id), progress.at, String(progress.input_rows), lag === null ? null : String(lag)];
}

/** The named streams; without names, those of the pipelines that the cluster runs. */
function named(
  jobs: readonly StreamJob[],
  names: readonly string[],
  { data = DEFAULT_DATA_FOLDER }: CommonOptions,
): readonly StreamJob[] {
  if (names.length === 0) {
    const used = pipelinesInUse(
      data,
      jobs.map(({ pipeline }) => pipeline),
    );
    return jobs.filter(({ pipeline }) => used.includes(pipeline));
  }
  const unknown = names.find((name) => !jobs.some((job) => job.name === name));
  if (unknown === undefined) return jobs.filter(({ name }) => names.includes(name));
  throw new OperatingError("STREAM_NOT_FOUND", `Unknown stream "${unknown}"`, {
    next_step: `Choose from these, or omit names: ${jobs.map(({ name }) => name).join(", ")}.`,
  });
}

/** Starts desired streams that do not run, for example after a restart of Spark. Does nothing while Spark is down. */
export async function ensureStreams(
  jobs: readonly StreamJob[],
  data_folder: string,
  say: (text: string) => void,
): Promise<void> {
  const folder = clusterFolder(data_folder);
  const desired = desiredStreams(folder);
  const env = readEnvironment(folder);
  const [remote, kafka_brokers] = [env["SPARK_REMOTE"], readSetting("COINLAKE_KAFKA_BROKERS", env)];
  if (desired.length === 0 || !remote || !kafka_brokers) return;
  const { SparkStreams: Streams } = await import("../../spark/streams.ts");
  const streams = new Streams(remote);
  try {
    const running = new Set((await streams.list()).map(({ name }) => name));
    for (const job of jobs) {
      if (!desired.includes(job.name) || running.has(job.name)) continue;
      await job.start(streams, { kafka_brokers });
      say(`restarted the stream ${job.name}`);
    }
  } finally {
    streams.disconnect();
  }
}

/** Connects to Spark and Kafka named by the environment, else by the environment file of the data folder's cluster. */
async function withStreams(options: CommonOptions, work: (context: Context) => Promise<void>): Promise<void> {
  const data_folder = options.data ?? DEFAULT_DATA_FOLDER;
  const env = environmentIn(data_folder);
  const [remote, kafka_brokers] = [env["SPARK_REMOTE"], readSetting("COINLAKE_KAFKA_BROKERS", env)];
  if (!remote || !kafka_brokers) {
    throw new OperatingError(
      "CLUSTER_NOT_FOUND",
      "No Spark and Kafka found: SPARK_REMOTE or COINLAKE_KAFKA_BROKERS is not set, and no cluster runs in " +
        `${clusterFolder(data_folder)}`,
      {
        next_step:
          "Start a cluster with `coinlake cluster up --native`, or give the data folder of a running one with --data.",
      },
    );
  }
  // Loaded only here: Spark's protocol takes 60 MB of memory.
  const { SparkStreams: Streams } = await import("../../spark/streams.ts");
  const streams = new Streams(remote);
  try {
    await work({ streams, kafka_brokers, output: openOutput(options.json ?? false) });
  } finally {
    streams.disconnect();
  }
}
