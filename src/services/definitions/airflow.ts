import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { OperatingError } from "../../base/errors.ts";
import { projectFolder } from "../../lake/tools.ts";
import { installWithUv } from "../fetch/python.ts";
import { runTool } from "../machine/tool.ts";
import { readSetting } from "../../base/settings.ts";
import { servicePort, type Service, type ServiceContext } from "../service.ts";
import { writeWhole } from "../state.ts";
import { makeFolder } from "../../base/folder.ts";

const VERSION = "3.3.2";
const SERVERS = fileURLToPath(new URL("airflow_servers.py", import.meta.url));
const ANSWER_TIMEOUT_MS = 5_000;
const USER = "admin";
/** Airflow's metadata database; `airflow_servers.py`, which creates it, names it too. */
const DATABASE = "airflow";

/** Airflow, which schedules the pipelines' DAGs; their tasks call this command line. */
export const airflow: Service = {
  name: "airflow",
  title: "Airflow",
  version: VERSION,
  needs: ["postgres"],
  ports: [servicePort("airflow", "COINLAKE_AIRFLOW_PORT")],
  stop_signal: "SIGTERM",

  async fetch(cache) {
    return { folder: await installWithUv(cache, "airflow", VERSION), version: VERSION };
  },

  async configure(context) {
    makeFolder(join(context.folder, "logs"));
    writeWhole(passwordsFile(context.folder), `${JSON.stringify({ [USER]: context.secrets.airflow_password })}\n`);
    await runTool(python(context), [SERVERS, "prepare"], {
      cwd: context.folder,
      env: environment(context),
      failed: (last_lines) =>
        new OperatingError(
          "SERVICE_NOT_CONFIGURED",
          `Airflow's database could not be made in PostgreSQL:\n${last_lines}`,
          {
            next_step: "Run this again: it goes on where it stopped.",
            is_retryable: true,
          },
        ),
    });
  },

  command: (context) => ({ program: python(context), args: [SERVERS, "run"], env: environment(context) }),

  /** All four servers must be healthy: each reports its heartbeat to the database. */
  async isHealthy({ ports }) {
    const response = await fetch(`${url(ports)}/api/v2/monitor/health`, {
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    const servers = (await response.json()) as Record<string, { status: string | null }>;
    return ["metadatabase", "scheduler", "triggerer", "dag_processor"].every(
      (name) => servers[name]?.status === "healthy",
    );
  },

  provides: ({ ports, secrets }) => ({
    COINLAKE_AIRFLOW_URL: url(ports),
    COINLAKE_AIRFLOW_USER: USER,
    COINLAKE_AIRFLOW_PASSWORD: secrets.airflow_password,
  }),
};

function url(ports: Readonly<Record<string, number>>): string {
  return `http://127.0.0.1:${ports.airflow}`;
}

function python(context: ServiceContext): string {
  return join(context.files, "bin", "python");
}

function passwordsFile(folder: string): string {
  return join(folder, "passwords.json");
}

/** Settings that do not depend on folders. The Docker profile uses the same ones. */
export const AIRFLOW_SETTINGS: Readonly<Record<string, string>> = {
  AIRFLOW__CORE__EXECUTOR: "LocalExecutor",
  // The tasks of a DAG run one after the other.
  AIRFLOW__CORE__PARALLELISM: "2",
  AIRFLOW__CORE__LOAD_EXAMPLES: "false",
  AIRFLOW__CORE__AUTH_MANAGER: "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
  AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS: `${USER}:admin`,
  AIRFLOW__API__WORKERS: "1",
  // All servers together must stay well below PostgreSQL's connection limit.
  AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE: "3",
  AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW: "5",
  AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES: "1",
  AIRFLOW__DAG_PROCESSOR__PRINT_STATS_INTERVAL: "0",
  // A task whose process was killed is retried after this many seconds.
  AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT: "60",
  AIRFLOW__USAGE_DATA_COLLECTION__ENABLED: "false",
};

function environment({ folder, ports, secrets, environment: found }: ServiceContext): Record<string, string> {
  const { PGUSER: user, PGPASSWORD: password, PGHOST: host, PGPORT: port } = found;
  const definitions = join(projectFolder(), "airflow");
  return {
    ...AIRFLOW_SETTINGS,
    ...found,
    AIRFLOW_HOME: folder,
    AIRFLOW__CORE__DAGS_FOLDER: join(definitions, "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER: join(definitions, "plugins"),
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE: passwordsFile(folder),
    AIRFLOW__API__HOST: "127.0.0.1",
    AIRFLOW__API__PORT: String(ports.airflow),
    AIRFLOW__API__BASE_URL: url(ports),
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL: `${url(ports)}/execution/`,
    AIRFLOW__API_AUTH__JWT_SECRET: secrets.airflow_secret,
    AIRFLOW__API__SECRET_KEY: secrets.airflow_secret,
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: `postgresql+psycopg2://${user}:${password}@${host}:${port}/${DATABASE}`,
    // Airflow's own bytecode was compiled at installation, beside its sources. Nothing may be written beside the
    // project's sources.
    PYTHONPYCACHEPREFIX: "",
    PYTHONDONTWRITEBYTECODE: "1",
    ...commandLine(folder),
  };
}

/**
 * The command line that tasks run, and their data folder: those of the environment, else this checkout and the data
 * folder of this cluster.
 */
function commandLine(folder: string): Record<string, string> {
  const COINLAKE_CLI = readSetting("COINLAKE_CLI") ?? join(projectFolder(), "bin", "coinlake.js");
  const COINLAKE_DATA = readSetting("COINLAKE_DATA") ?? dirname(dirname(folder));
  // Tasks run under the Node of this process.
  return { COINLAKE_CLI, COINLAKE_DATA, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
}
