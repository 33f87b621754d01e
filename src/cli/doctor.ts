import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { totalmem } from "node:os";
import { dirname, join, resolve } from "node:path";
import { openDuckDB } from "../duckdb/duckdb.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { findLake, listLakes } from "../lake/lake.ts";
import { pythonExecutable, toolsFolder } from "../lake/tools.ts";
import type { EnvironmentSetting } from "../pipeline/definition.ts";
import { describeSize, measureLake, overBudget } from "./lake-budget.ts";

export interface Finding {
  subject: string;
  /** `missing` prevents a start; `warning` may cause trouble; `optional` is a useful setting that is not set. */
  state: "ok" | "optional" | "warning" | "missing";
  detail: string;
  /** How to fix it; null if there is nothing to do. */
  remedy: string | null;
}

/** A port that the pipeline listens on unless the option names another. */
export interface ListeningPort {
  name: string;
  number: number;
  option: string;
  /** Path that a running Coinlake answers on this port. */
  path: string;
}

const NODE_WANTED = [24, 6] as const;
/** Several times the space that a day of live data takes in all layers. */
const FREE_DISK_WANTED_BYTES = 2 * 1024 ** 3;
const MEMORY_WANTED_BYTES = 4 * 1024 ** 3;
const PORT_TIMEOUT_MS = 2_000;

/** Checks this machine without changing it. */
export async function examine(
  data_folder: string,
  ports: readonly ListeningPort[],
  settings: readonly EnvironmentSetting[],
): Promise<Finding[]> {
  return [
    node(),
    memory(),
    disk(data_folder),
    writable(data_folder),
    python(),
    dbt(),
    await duckdb(),
    ...(await Promise.all(ports.map(port))),
    ...(await lakes(data_folder)),
    ...settings.map(setting),
  ];
}

function ok(subject: string, detail: string): Finding {
  return { subject, state: "ok", detail, remedy: null };
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const is_enough = major > NODE_WANTED[0] || (major === NODE_WANTED[0] && minor >= NODE_WANTED[1]);
  if (is_enough) return ok("Node", process.versions.node);
  return {
    subject: "Node",
    state: "missing",
    detail: process.versions.node,
    remedy: "Run commands with npm (`npm start`): it installs a newer Node in the project's folder.",
  };
}

function memory(): Finding {
  const detail = `${(totalmem() / 1024 ** 3).toFixed(1)} GB`;
  if (totalmem() >= MEMORY_WANTED_BYTES) return ok("memory", detail);
  return {
    subject: "memory",
    state: "warning",
    detail,
    remedy: "Coinlake takes up to 1 GB; close other programs if memory runs low.",
  };
}

function existingFolder(path: string): string {
  let folder = resolve(path);
  while (!existsSync(folder)) folder = dirname(folder);
  return folder;
}

function disk(data_folder: string): Finding {
  const { bavail, bsize } = statfsSync(existingFolder(data_folder));
  const free_bytes = bavail * bsize;
  const detail = `${(free_bytes / 1024 ** 3).toFixed(1)} GB free`;
  if (free_bytes >= FREE_DISK_WANTED_BYTES) return ok("disk", detail);
  return {
    subject: "disk",
    state: "warning",
    detail,
    remedy: "Free disk space, or choose a folder on another disk with --data.",
  };
}

function writable(data_folder: string): Finding {
  const folder = existingFolder(data_folder);
  try {
    accessSync(folder, constants.W_OK);
    return ok("data folder", resolve(data_folder));
  } catch {
    return {
      subject: "data folder",
      state: "missing",
      detail: `${folder} is not writable`,
      remedy: "Choose another folder with --data.",
    };
  }
}

function python(): Finding {
  const found = spawnSync(pythonExecutable(), ["--version"], { encoding: "utf8" });
  if (found.status === 0) return ok("Python environment", found.stdout.trim());
  return {
    subject: "Python environment",
    state: "missing",
    detail: "not installed yet, or its Python was removed",
    remedy:
      `Delete the folder ${join(toolsFolder(), "python")} and run \`npm start\`; ` +
      "this requires Python 3.10 or newer with venv (Debian: `apt install python3-venv`).",
  };
}

function dbt(): Finding {
  const program =
    "import importlib.metadata as m; print(m.version('dbt-core'), m.version('dbt-duckdb'), m.version('duckdb'))";
  const found = spawnSync(pythonExecutable(), ["-c", program], { encoding: "utf8" });
  const [core, adapter, engine] = (found.stdout ?? "").trim().split(" ");
  if (found.status === 0) return ok("dbt", `dbt-core ${core}, dbt-duckdb ${adapter}, duckdb ${engine}`);
  return {
    subject: "dbt",
    state: "missing",
    detail: "not installed in the Python environment",
    remedy: `Delete the folder ${join(toolsFolder(), "python")} and run \`npm start\`.`,
  };
}

async function duckdb(): Promise<Finding> {
  try {
    const instance = await openDuckDB();
    instance.closeSync();
    return ok("DuckDB with Iceberg", "loads");
  } catch (error) {
    const extensions = join(toolsFolder(), "duckdb");
    return {
      subject: "DuckDB with Iceberg",
      state: "missing",
      detail: messageOf(error),
      remedy: `Delete the folder ${extensions} and the file ${extensions}.stamp, then run \`npm start\`.`,
    };
  }
}

/** The size of every lake on this disk; lakes in a cluster are skipped. */
async function lakes(data_folder: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const name of listLakes(data_folder)) {
    const subject = `lake ${name}`;
    try {
      const lake = findLake(data_folder, name);
      if (lake.profile !== "embedded" || !lake.warehouse.startsWith("file:") || !existsSync(lake.catalog_file))
        continue;
      const size = await measureLake(lake, ({ message, next_step }) =>
        findings.push({ subject: "clock", state: "warning", detail: message, remedy: next_step }),
      );
      const reason = overBudget(size);
      const remedy = `Run \`npm run -s coinlake -- maintain --lake ${name}\` to merge and delete files.`;
      findings.push(
        reason === null
          ? ok(subject, describeSize(size))
          : { subject, state: "warning", detail: `exceeds its size limit: ${reason}`, remedy },
      );
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      findings.push({ subject, state: "warning", detail: error.message, remedy: error.next_step });
    }
  }
  return findings;
}

async function port({ name, number, option, path }: ListeningPort): Promise<Finding> {
  const subject = `port ${number} (${name})`;
  const is_free = await new Promise<boolean>((answer) => {
    const server = createServer();
    server.once("error", () => answer(false));
    server.listen(number, "127.0.0.1", () => server.close(() => answer(true)));
  });
  if (is_free) return ok(subject, "free");
  if (await answers(`http://127.0.0.1:${number}${path}`)) return ok(subject, "in use by a running Coinlake");
  return {
    subject,
    state: "warning",
    detail: "in use by another program",
    remedy: `Choose another with ${option}; 0 picks a free one.`,
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(PORT_TIMEOUT_MS) })).ok;
  } catch {
    // No HTTP answer in time: the port belongs to another program.
    return false;
  }
}

function setting({ subject, variables, when_missing, remedy }: EnvironmentSetting): Finding {
  if (variables.some((name) => process.env[name])) return ok(subject, "set");
  return { subject, state: "optional", detail: when_missing, remedy };
}
