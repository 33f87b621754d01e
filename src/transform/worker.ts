import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { readSetting } from "../base/settings.ts";
import { duckDBEndpoint, S3_RETRIES } from "../duckdb/s3.ts";
import { spillFolder } from "../duckdb/spill.ts";
import { VerifiedExtensions } from "../duckdb/verified-extensions.ts";
import { OperatingError } from "../base/errors.ts";
import { DEFAULT_WAREHOUSE } from "../catalog/rest/warehouses.ts";
import { projectFolder, pythonExecutable, toolsFolder } from "../lake/tools.ts";
import type { S3Settings } from "../storage/s3/settings.ts";
import type { DbtEngine } from "./engine.ts";
import { modelsVersion, SHARED_PROJECT } from "./models-version.ts";
import { endLeftStatements, remoteInSession } from "./spark-session.ts";
import { makeFolder } from "../base/folder.ts";

export interface NodeResult {
  name: string;
  /** model, test, seed, unit_test ... */
  kind: string;
  /** dbt's status: success, error, skipped, pass, fail, warn. */
  status: string;
  seconds: number;
  message: string | null;
  failures: number | null;
}

/** A source, seed or model of the project, from the last compilation. */
export interface CompiledRelation {
  name: string;
  /** The name in SQL: `"catalog"."schema"."table"`. */
  relation: string;
  kind: "source" | "seed" | "model" | "test" | "unit_test";
  materialized: string | null;
  unique_key: string[];
  /** SQL condition under which a new row s replaces a row t of the table. */
  replace_on: string | null;
  /** Columns of the SQL that the table does not store. */
  helper_columns: string[];
  columns: { name: string; type: string }[];
  /** Null for sources and seeds. */
  sql: string | null;
}

export interface CommandResult {
  is_success: boolean;
  seconds: number;
  /**
   * CPU time of the worker's process. It is less than `seconds` where the command waited for another engine or a busy
   * machine.
   */
  cpu_seconds: number;
  nodes: NodeResult[];
  /** Only for compilations. */
  relations?: CompiledRelation[];
  /** Only for `ls --output json`: the selected nodes. */
  listed?: ListedNode[];
}

export interface ListedNode {
  schema: string;
  alias: string;
}

export interface DbtOptions {
  /** Folder of the dbt project, from the repository's root. */
  project: string;
  engine: DbtEngine;
  /** The folder of dbt's artefacts and logs. */
  folder: string;
  /** Called with the name of each node as it finishes. */
  onNode?: (name: string) => void;
  /** When the process is replaced; `RENEWAL` unless given. */
  renewal?: Renewal;
}

/** A process above the memory limit is replaced between two commands. */
export interface Renewal {
  rss_bytes: number;
  /**
   * The minimum number of commands per process, so that commands above the limit do not replace it each time.
   */
  least_commands: number;
}

/** The budget of the process is 350 MB. */
export const RENEWAL: Renewal = { rss_bytes: 330e6, least_commands: 20 };

const LOG_FILE_MAX_BYTES = 2 * 1024 * 1024;

/** The Python whose dbt has the engine's adapter. */
export function dbtPython(engine: DbtEngine): string {
  return engine.kind === "spark" ? engine.python : pythonExecutable();
}

/** The environment of dbt's processes, which the profile reads. */
export function dbtEnvironment(options: Pick<DbtOptions, "engine" | "folder" | "project">): NodeJS.ProcessEnv {
  makeFolder(options.folder);
  return {
    ...process.env,
    ...engineEnvironment(options.engine),
    COINLAKE_MODELS_VERSION: modelsVersion(join(projectFolder(), options.project)),
    DBT_PROFILES_DIR: join(projectFolder(), SHARED_PROJECT),
    DBT_TARGET_PATH: join(options.folder, "target"),
    DBT_LOG_PATH: join(options.folder, "logs"),
    // dbt rotates its log at this size, and keeps five of them.
    DBT_LOG_FILE_MAX_BYTES: String(LOG_FILE_MAX_BYTES),
    DO_NOT_TRACK: "1",
    // glibc gives each thread a heap, whose fragments are never returned: dbt's and DuckDB's threads share two.
    MALLOC_ARENA_MAX: "2",
  };
}

/**
 * The file of the parsed project for an engine. All lakes share it if the project is in this checkout; otherwise only
 * this worker uses it. It contains the project's absolute path, so its name depends on the path: a moved checkout, or
 * one that shares its tools with another, uses another file.
 */
function parsedFile({ project, engine, folder }: DbtOptions): string {
  const path = createHash("sha256").update(join(projectFolder(), project)).digest("hex").slice(0, 12);
  return join(
    project.startsWith("..") ? folder : join(toolsFolder(), "dbt"),
    `${basename(project)}-${engine.kind}-${path}.msgpack`,
  );
}

function engineEnvironment(engine: DbtEngine): NodeJS.ProcessEnv {
  if (engine.kind === "spark") {
    // Spark's client returns times in the zone of its process.
    return { COINLAKE_DBT_TARGET: "cluster", SPARK_REMOTE: engine.remote, TZ: "UTC" };
  }
  return {
    COINLAKE_DBT_TARGET: "embedded",
    COINLAKE_CATALOG_URL: engine.catalog_url,
    COINLAKE_CATALOG_WAREHOUSE: engine.warehouse ?? DEFAULT_WAREHOUSE,
    // dbt keeps variables of this prefix out of its logs.
    DBT_ENV_SECRET_CATALOG_TOKEN: engine.catalog_token ?? NO_TOKEN,
    COINLAKE_DUCKDB_EXTENSIONS: join(toolsFolder(), "duckdb"),
    COINLAKE_DUCKDB_EXTENSIONS_VERIFIED: String(new VerifiedExtensions(join(toolsFolder(), "duckdb")).is_verified),
    COINLAKE_DBT_SPILL: spillFolder(),
    ...(engine.s3 === null ? {} : s3Environment(engine.s3)),
  };
}

function s3Environment(s3: S3Settings): NodeJS.ProcessEnv {
  const { endpoint, use_ssl } = duckDBEndpoint(s3);
  return {
    DBT_ENV_SECRET_S3_KEY_ID: s3.access_key_id,
    DBT_ENV_SECRET_S3_SECRET: s3.secret_access_key,
    DBT_ENV_SECRET_S3_SESSION_TOKEN: s3.session_token ?? "",
    COINLAKE_S3_REGION: s3.region,
    COINLAKE_S3_ENDPOINT_HOST: endpoint,
    COINLAKE_S3_USE_SSL: use_ssl,
    COINLAKE_S3_RETRIES: String(S3_RETRIES.http_retries),
    COINLAKE_S3_RETRY_WAIT_MS: String(S3_RETRIES.http_retry_wait_ms),
    COINLAKE_S3_RETRY_BACKOFF: String(S3_RETRIES.http_retry_backoff),
  };
}

/** A catalog without authentication ignores the token. */
const NO_TOKEN = "none";

type Message = {
  ready?: boolean;
  finished?: string;
  success?: boolean;
  seconds?: number;
  cpu_seconds?: number;
  error?: string | null;
  rss_bytes?: number | null;
  nodes?: NodeResult[];
  relations?: CompiledRelation[];
  listed?: ListedNode[];
};

interface Waiting {
  resolve(result: CommandResult): void;
  reject(error: Error): void;
}

/** A start takes seconds of CPU at low priority, which a busy machine may stretch to minutes. */
const START_TIMEOUT_MS = 300_000;
/**
 * A full refresh of months may take minutes. After this time dbt is killed, and the next command starts a new process.
 */
const COMMAND_TIMEOUT_MS = 30 * 60_000;
/** A worker that does not exit within this time is killed. */
const CLOSE_TIMEOUT_MS = 10_000;
const STDERR_KEPT_CHARACTERS = 4_000;

/**
 * A long-lived dbt process: it parses the project once, after which a command takes about a second. Commands queue. If
 * the process dies, the running command fails (each table's commit is atomic, so none is half done) and the next
 * command starts a new process.
 */
export class DbtWorker {
  readonly #options: DbtOptions;
  #child: ChildProcess | null = null;
  #ready: Promise<void> | null = null;
  #waiting: Waiting | null = null;
  /** The last queued command: dbt runs one at a time. */
  #queue: Promise<unknown> = Promise.resolve();
  #stderr = "";
  #is_closing = false;
  /** Resident memory after the last command; null where it is unknown. */
  #rss_bytes: number | null = null;
  /** Commands that the running process has answered. */
  #answered = 0;

  constructor(options: DbtOptions) {
    this.#options = options;
  }

  /** Starts the process, if it is not running, and resolves when the project is parsed. */
  start(): Promise<void> {
    this.#ready ??= this.#spawn();
    return this.#ready;
  }

  /**
   * Runs a dbt command, such as `["run"]`, after the commands queued before. Failing models and tests are results, not
   * errors. Throws DBT_WORKER_DIED or DBT_FAILED (dbt could not run the command at all), and DBT_WORKER_CLOSED after
   * `finish`.
   */
  run(args: readonly string[]): Promise<CommandResult> {
    const result = this.#queue.then(() => this.#runNow(args));
    this.#queue = result.catch(() => {}).then(() => this.#renewIfLarge());
    return result;
  }

  /** Runs work while no command runs, so that its commits cannot conflict with those of a command. */
  between<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  /**
   * Replaces a process above the memory limit while no command waits. The old process ends first, because two at once
   * would exceed the memory budget.
   */
  async #renewIfLarge(): Promise<void> {
    const { rss_bytes, least_commands } = this.#options.renewal ?? RENEWAL;
    if (
      this.#is_closing ||
      this.#ready === null ||
      this.#answered < least_commands ||
      (this.#rss_bytes ?? 0) <= rss_bytes
    )
      return;
    await this.#end(this.#child);
    // The next command tries again, and reports the error.
    await this.start().catch(() => {});
  }

  async #runNow(args: readonly string[]): Promise<CommandResult> {
    if (!this.#is_closing) await this.start();
    if (this.#is_closing) throw closed();
    const child = this.#child;
    const timer = setTimeout(() => child?.kill("SIGKILL"), COMMAND_TIMEOUT_MS);
    const result = new Promise<CommandResult>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      child?.stdin?.write(`${JSON.stringify({ args })}\n`);
    });
    return result.finally(() => clearTimeout(timer));
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Resident memory of the process after its last command; null before the first, and where the system does not report
   * it.
   */
  get rss_bytes(): number | null {
    return this.#rss_bytes;
  }

  /** Rejects further commands, and stops a process that is starting or idle. A running command may finish. */
  finish(): void {
    this.#is_closing = true;
    if (!this.#waiting) this.#child?.stdin?.end();
  }

  /** Stops the process. A running command fails, and its statement in Spark is cancelled too. */
  async close(): Promise<void> {
    this.#is_closing = true;
    const { engine } = this.#options;
    const was_busy = this.#waiting !== null;
    await this.#end(this.#child);
    if (!was_busy || engine.kind !== "spark") return;
    try {
      await endLeftStatements(engine.remote);
    } catch (error) {
      // A Spark server that is gone has ended the statement. If it does not answer now, the next worker ends the
      // statement before it begins.
      if (!(error instanceof OperatingError)) throw error;
    }
  }

  async #end(child: ChildProcess | null): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => child.kill("SIGKILL"), CLOSE_TIMEOUT_MS);
      child.once("exit", () => {
        clearTimeout(timer);
        resolve();
      });
      child.stdin?.end();
    });
  }

  async #spawn(): Promise<void> {
    const { engine } = this.#options;
    try {
      if (engine.kind === "spark") await endLeftStatements(engine.remote);
      if (this.#is_closing) throw closed();
    } catch (error) {
      // The next command tries again.
      this.#ready = null;
      throw error;
    }
    await this.#launch(engine);
  }

  #launch(engine: DbtEngine): Promise<void> {
    const script = fileURLToPath(new URL("worker.py", import.meta.url));
    const environment = dbtEnvironment(this.#options);
    const child = spawn(
      dbtPython(engine),
      [script, join(projectFolder(), this.#options.project), parsedFile(this.#options)],
      {
        env: { ...environment, ...(engine.kind === "spark" && { SPARK_REMOTE: remoteInSession(engine.remote) }) },
        stdio: ["pipe", "pipe", "pipe"],
      },
    );
    this.#child = child;
    this.#stderr = "";
    this.#answered = 0;
    this.#rss_bytes = null;
    // Increments may take a little longer, but new records must be visible at once. The "exit" event reports a process
    // that is already gone.
    if (child.pid !== undefined) lowerPriority(child.pid);
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT_CHARACTERS);
    });
    // The "exit" event reports a worker that died; writing to it must not end this process.
    child.stdin.on("error", () => {});
    return new Promise((resolve, reject) => {
      let is_late = false;
      const timer = setTimeout(() => {
        is_late = true;
        child.kill("SIGKILL");
      }, START_TIMEOUT_MS);
      const died = (error: Error | null, code: number | null, signal: string | null) => {
        clearTimeout(timer);
        const failure = is_late ? notReady() : this.#death(error, code, signal);
        this.#ready = null;
        this.#waiting?.reject(failure);
        this.#waiting = null;
        reject(failure);
      };
      child.once("error", (error) => died(error, null, null));
      child.once("exit", (code, signal) => {
        // DuckDB removes the folder itself, unless it was killed.
        const spill = readSetting("COINLAKE_DBT_SPILL", environment);
        if (spill !== null) rmSync(spill, { recursive: true, force: true });
        died(null, code, signal);
      });
      createInterface({ input: child.stdout }).on("line", (line) => {
        const message = parseMessage(line);
        if (message.ready === true) {
          clearTimeout(timer);
          resolve();
        } else if (message.ready === false) this.#stderr = message.error ?? "";
        else if (message.finished !== undefined) this.#options.onNode?.(message.finished);
        else if (message.success !== undefined) this.#answer(message);
      });
    });
  }

  #answer({ success, seconds, cpu_seconds, error, rss_bytes, nodes, relations, listed }: Message): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#answered += 1;
    this.#rss_bytes = rss_bytes ?? null;
    if (error) {
      waiting?.reject(
        new OperatingError("DBT_FAILED", `dbt could not run: ${error}`, {
          next_step: `Run \`npm run -s coinlake -- dbt debug\`; the log is in ${join(this.#options.folder, "logs")}.`,
        }),
      );
    } else {
      const effort = {
        is_success: success === true,
        seconds: seconds ?? 0,
        cpu_seconds: cpu_seconds ?? 0,
        nodes: nodes ?? [],
      };
      waiting?.resolve({ ...effort, ...(relations && { relations }), ...(listed && { listed }) });
    }
  }

  #death(error: Error | null, code: number | null, signal: string | null): OperatingError {
    const how = error?.message ?? (signal ? `signal ${signal}` : `exit code ${code}`);
    // After a kill, Python also warns about its own semaphores.
    const lines = this.#stderr.trim().split("\n");
    const said = lines
      .filter((line) => !line.includes("resource_tracker"))
      .slice(-8)
      .join("\n");
    return new OperatingError("DBT_WORKER_DIED", `The dbt worker ended (${how}).${said ? ` It said:\n${said}` : ""}`, {
      next_step: this.#is_closing
        ? "Nothing to do: it was asked to."
        : "The next increment starts it again; each table keeps its last commit. " +
          "If it keeps ending, run `npm run -s coinlake -- doctor`.",
    });
  }
}

function notReady(): OperatingError {
  const minutes = START_TIMEOUT_MS / 60_000;
  const message = `dbt was not ready after ${minutes} minutes and was stopped: the machine is too busy`;
  return new OperatingError("DBT_WORKER_DIED", message, {
    next_step: "It is started again; prices stay in the log meanwhile. Stop other work on this machine if it repeats.",
  });
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SYSTEM_ERROR") throw error;
  }
}

/** A killed worker may leave an incomplete line, which is ignored; the "exit" event reports its death. */
function parseMessage(line: string): Message {
  try {
    return JSON.parse(line) as Message;
  } catch {
    return {};
  }
}

function closed(): OperatingError {
  return new OperatingError("DBT_WORKER_CLOSED", "The dbt worker takes no further command: the pipeline is stopping", {
    next_step: "The next start continues from the last commit.",
  });
}
