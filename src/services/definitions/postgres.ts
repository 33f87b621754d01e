import { execFileSync } from "node:child_process";
import { chownSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { OperatingError } from "../../base/errors.ts";
import { accountNamed, isRoot, checkMayEnter, type Account } from "../machine/account.ts";
import { findTool, runTool } from "../machine/tool.ts";
import { servicePort, type Service, type ServiceContext } from "../service.ts";

const VERSION_WANTED = 15;
const USER = "coinlake";
/** The account of PostgreSQL's packages: PostgreSQL does not run as root. */
const ACCOUNT = "postgres";
const REMEDY =
  "Install PostgreSQL 15 or newer (Debian and Ubuntu: `apt install postgresql`); its own service need not run.";

/** Database of the metastore; `metastore-site.xml` names it too. */
const METASTORE_DATABASE = "metastore";

/** PostgreSQL, the one service installed on the machine: no package registry has it for every platform. */
export const postgres: Service = {
  name: "postgres",
  title: "PostgreSQL",
  version: String(VERSION_WANTED),
  needs: [],
  ports: [servicePort("postgres", "COINLAKE_POSTGRES_PORT")],
  // PostgreSQL's fast shutdown: it disconnects clients and keeps all committed data.
  stop_signal: "SIGINT",

  async fetch() {
    // Debian installs the programs outside PATH, in one folder for each version; the newest comes first.
    const folders = globSync("/usr/lib/postgresql/*/bin").sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
    const program = findTool({
      program: "postgres",
      purpose: "keeps what the metastore knows",
      remedy: REMEDY,
      folders,
    });
    findTool({
      program: "initdb",
      purpose: "makes a PostgreSQL database",
      remedy: REMEDY,
      folders: [dirname(program), ...folders],
    });
    const version = /\d+(\.\d+)*/.exec(execFileSync(program, ["--version"], { encoding: "utf8" }))?.[0] ?? "";
    if (Number.parseInt(version, 10) >= VERSION_WANTED) return { folder: dirname(program), version };
    throw new OperatingError(
      "TOOL_TOO_OLD",
      `${program} is PostgreSQL ${version || "of an unknown version"}; ${VERSION_WANTED} or newer is needed`,
      { next_step: REMEDY },
    );
  },

  async configure(context) {
    const account = accountToRunAs();
    if (account) checkMayEnter(ACCOUNT, account, context.folder);
    if (existsSync(dataFolder(context))) return;
    const unfinished = `${dataFolder(context)}.unfinished`;
    const password_file = join(context.folder, "password");
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { mode: 0o700 });
    writeFileSync(password_file, context.secrets.postgres_password, { mode: 0o600 });
    if (account) for (const path of [unfinished, password_file]) chownSync(path, account.uid, account.gid);
    const run = {
      cwd: context.folder,
      ...(account && { user: account }),
      failed: (last_lines: string) =>
        new OperatingError(
          "SERVICE_NOT_CONFIGURED",
          `PostgreSQL's new folder ${unfinished} could not be filled:\n${last_lines}`,
          {
            next_step: "Check that the disk has free space and the folder may be written, then run this again.",
          },
        ),
    };
    const options = [
      "--username",
      USER,
      "--auth",
      "scram-sha-256",
      "--pwfile",
      password_file,
      "--encoding",
      "UTF8",
      "--locale",
      "C",
    ];
    await runTool(join(context.files, "initdb"), ["--pgdata", unfinished, ...options], run);
    rmSync(password_file);
    await runTool(join(context.files, "postgres"), ["--single", "-D", unfinished, "postgres"], {
      ...run,
      input: `create database ${METASTORE_DATABASE}\n`,
    });
    renameSync(unfinished, dataFolder(context));
  },

  command(context) {
    const account = accountToRunAs();
    const settings = {
      listen_addresses: "127.0.0.1",
      port: String(context.ports.postgres),
      unix_socket_directories: "",
      shared_buffers: "64MB",
      max_connections: "50",
      logging_collector: "off",
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    return {
      program: join(context.files, "postgres"),
      args: ["-D", dataFolder(context), ...args],
      ...(account && { user: account }),
    };
  },

  /** The eighth line of PostgreSQL's process file states its readiness, as `pg_ctl --wait` reads it. */
  async isHealthy(context) {
    return (
      readFileSync(join(dataFolder(context), "postmaster.pid"), "utf8")
        .split("\n")[7]
        ?.trim() === "ready"
    );
  },

  /** The variables that PostgreSQL's own clients read. */
  provides: ({ ports, secrets }) => ({
    PGHOST: "127.0.0.1",
    PGPORT: String(ports.postgres),
    PGUSER: USER,
    PGPASSWORD: secrets.postgres_password,
  }),
};

function dataFolder(context: ServiceContext): string {
  return join(context.folder, "data");
}

/** Null for the user that runs this process. */
function accountToRunAs(): Account | null {
  if (!isRoot()) return null;
  const account = accountNamed(ACCOUNT);
  if (account) return account;
  throw new OperatingError(
    "ACCOUNT_NOT_FOUND",
    `PostgreSQL does not run as root, and there is no user "${ACCOUNT}" on this machine to run it as`,
    {
      next_step: `Run this as another user than root, or make that one: \`useradd --system ${ACCOUNT}\`.`,
    },
  );
}
