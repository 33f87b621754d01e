// Sets up a fresh clone or an installed npm package, then runs COMMAND:
//   node bin/bootstrap.js [--quiet] [--with test] -- COMMAND [ARG ...]
// Plain JavaScript on purpose: it must run on the old Node that it replaces. A clone installs everything in its
// own folder; a package, whose folder may be shared or read-only, in the user's cache. Everything fetched is pinned by
// lock files with checksums, and a second run only compares stamps.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { asksForHelp, coinlakeArguments, storedHelp, swallowedOptions } from "./asked-help.js";

const NODE_WANTED = [24, 6];
const NODE_PACKAGE = "node@24.21.0";
const PYTHON_WANTED = [3, 10];
const DUCKDB_VERSION = "v1.5.5";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// npm has already installed the dependencies of a package, and a package has no lock file.
const is_package = !existsSync(join(root, "package-lock.json"));
const tools = is_package ? packageTools() : join(root, ".tools");
const is_windows = process.platform === "win32";
const started_at = Date.now();
let has_worked = false;
/** The signal that stopped the set-up; null while none has. */
let stopped_by = null;
/** The running step of the set-up. */
let step = null;

/** The tools of a package: a folder for each version, because each version pins others. */
function packageTools() {
  const { COINLAKE_CACHE, XDG_CACHE_HOME } = process.env;
  const cache = COINLAKE_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "coinlake");
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return resolve(cache, `package-${version}`);
}

class SetupError extends Error {
  constructor(message, next_step) {
    super(message);
    this.next_step = next_step;
  }
}

/** Files of another user can be neither run nor replaced. Null for a programming error. */
function explained(error) {
  if (error instanceof SetupError) return error;
  if (!["EACCES", "EPERM", "EROFS"].includes(error.code)) return null;
  return new SetupError(
    `${error.path ?? root} cannot be changed by this user (${error.code}).`,
    "Run it as the user who set it up, or in your own copy of this folder.",
  );
}

function say(text) {
  process.stderr.write(`coinlake setup: ${text}\n`);
}

function work(text) {
  if (stopped_by !== null) return;
  has_worked = true;
  say(text);
}

/** Ends the running step. The terminal sends Ctrl-C to the step too, but other senders do not. */
function stopSetup(signal) {
  stopped_by = signal;
  step?.kill(signal);
}

/** Runs a set-up step; prints its output only if it fails. */
async function run(command, args, { next_step, env = {} }) {
  if (stopped_by !== null) return;
  step = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    shell: is_windows && command.endsWith(".cmd"),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [step.stdout, step.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const failure = await new Promise((done) => {
    step.on("error", (error) => done(error.message));
    step.on("close", (code) => done(code === 0 ? null : output.trim().split("\n").slice(-25).join("\n")));
  });
  step = null;
  if (stopped_by !== null || failure === null) return;
  throw new SetupError(`\`${[command, ...args].join(" ")}\` failed.\n${failure}`, next_step);
}

function isAtLeast(version, wanted) {
  return version[0] > wanted[0] || (version[0] === wanted[0] && version[1] >= wanted[1]);
}

function digestOf(...files) {
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function readStamp(name) {
  const file = join(tools, `${name}.stamp`);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** A step that replaces what it installed starts without its stamp: if it is stopped, it runs again. */
function removeStamp(name) {
  rmSync(join(tools, `${name}.stamp`), { force: true });
}

function writeStamp(name, text) {
  if (stopped_by !== null) return;
  writeFileSync(join(tools, `${name}.stamp`), text);
}

async function npm(args, next_step) {
  // If npx started this process, the variable names npx's script, which is in the folder of npm's.
  const script = process.env.npm_execpath?.replace(/npx-cli\.js$/, "npm-cli.js");
  if (script && /\.[cm]?js$/.test(script)) return run(process.execPath, [script, ...args], { next_step });
  return run(is_windows ? "npm.cmd" : "npm", args, { next_step });
}

function makeToolsFolder() {
  try {
    mkdirSync(tools, { recursive: true });
  } catch (error) {
    const next_step = is_package
      ? "Name a folder that you may write to in COINLAKE_CACHE, then run the command again."
      : "Make the folder of the checkout writable, then run the command again.";
    throw new SetupError(`Cannot create the folder ${tools}: ${error.message}.`, next_step);
  }
}

/** The path of this Node if it is new enough, else of the installed one; null where it is not installed yet. */
function readyNode() {
  const version = process.versions.node.split(".").map(Number);
  if (isAtLeast(version, NODE_WANTED)) return process.execPath;
  return readStamp("node") === NODE_PACKAGE && existsSync(fetchedNode()) ? fetchedNode() : null;
}

function fetchedNode() {
  return join(tools, "node", "node_modules", "node", "bin", is_windows ? "node.exe" : "node");
}

/** The path of a Node that can run the project: the present one, or one installed in .tools. */
async function ensureNode() {
  const ready = readyNode();
  if (ready !== null) return ready;
  const folder = join(tools, "node");
  work(
    `Node ${process.versions.node} is older than ${NODE_WANTED.join(".")}: installing ${NODE_PACKAGE} in ${tools} ...`,
  );
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{"private":true}');
  await npm(
    ["install", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel=error", NODE_PACKAGE],
    `Install Node ${NODE_WANTED.join(".")} or newer (nodejs.org), then run the command again.`,
  );
  writeStamp("node", NODE_PACKAGE);
  return fetchedNode();
}

function hasNodePackages() {
  if (is_package) return true;
  return readStamp("packages") === digestOf("package-lock.json") && existsSync(join(root, "node_modules"));
}

async function ensureNodePackages() {
  if (hasNodePackages()) return;
  work("installing Node packages ...");
  removeStamp("packages");
  await npm(
    // Under NODE_ENV=production npm would omit the packages that bundle the dashboard.
    ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"],
    "Check the network and your npm registry setting, then run the command again.",
  );
  writeStamp("packages", digestOf("package-lock.json"));
}

function findPython() {
  const candidates = [
    process.env.COINLAKE_PYTHON,
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python",
  ];
  for (const candidate of candidates.filter(Boolean)) {
    const probe = spawnSync(candidate, ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"], {
      encoding: "utf8",
    });
    if (probe.status === 0 && isAtLeast(probe.stdout.trim().split(".").map(Number), PYTHON_WANTED)) return candidate;
  }
  throw new SetupError(
    `Python ${PYTHON_WANTED.join(".")} or newer was not found; dbt requires it.`,
    "Install it (Debian and Ubuntu: `apt install python3 python3-venv`; macOS: `brew install python`; " +
      "Windows: `winget install Python.Python.3.12`), or set COINLAKE_PYTHON to its path.",
  );
}

/** The virtual environment with everything in requirements/NAME.txt for each name. */
async function ensurePython(names) {
  const files = ["installer", ...names].map((name) => `requirements/${name}.txt`);
  const wanted = names.map((name) => `${name}:${digestOf("requirements/installer.txt", `requirements/${name}.txt`)}`);
  let present = readStamp("python").split("\n");
  const folder = join(tools, "python");
  const python = is_windows ? join(folder, "Scripts", "python.exe") : join(folder, "bin", "python");
  if (existsSync(python) && wanted.every((line) => present.includes(line))) return;
  if (!existsSync(python) || !present.some((line) => line.startsWith("embedded:"))) {
    if (stopped_by !== null) return;
    const base = findPython();
    work(`creating a Python environment with ${base} ...`);
    removeStamp("python");
    present = [];
    rmSync(folder, { recursive: true, force: true });
    await run(base, ["-m", "venv", folder], {
      next_step:
        "Install Python's venv module (Debian and Ubuntu: `apt install python3-venv`), then run the command again.",
    });
  }
  work(`installing Python packages (${names.join(", ")}): dbt, DuckDB and its Iceberg extension ...`);
  const next_step =
    "Check the network and your package index setting (behind a proxy with a private certificate, set " +
    "UV_SYSTEM_CERTS=1), then run the command again.";
  const env = { PIP_DISABLE_PIP_VERSION_CHECK: "1" };
  await run(python, ["-m", "pip", "install", "--quiet", "--require-hashes", "-r", files[0]], { next_step, env });
  const requirements = files.slice(1).flatMap((file) => ["-r", file]);
  await run(
    python,
    [
      "-m",
      "uv",
      "pip",
      "install",
      "--quiet",
      "--python",
      python,
      "--require-hashes",
      "--only-binary",
      "dbt-core-experimental-parser",
      ...requirements,
    ],
    { next_step, env },
  );
  const kept = present.filter((line) => line && !wanted.some((other) => other.split(":")[0] === line.split(":")[0]));
  writeStamp("python", [...kept, ...wanted].join("\n"));
}

/** Copies DuckDB's extensions to the folder in which DuckDB for Node and DuckDB for Python search. */
function ensureDuckDBExtensions() {
  const digest = `${DUCKDB_VERSION}:${digestOf("requirements/embedded.txt")}`;
  if (readStamp("duckdb") === digest) return;
  const libraries = is_windows ? join(tools, "python", "Lib") : join(tools, "python", "lib");
  const site = is_windows
    ? join(libraries, "site-packages")
    : join(libraries, readdirSync(libraries).find((name) => name.startsWith("python3")) ?? "", "site-packages");
  const packages = readdirSync(site).filter((name) => /^duckdb_extension_[a-z]+$/.test(name));
  if (packages.length > 0) {
    const folder = join(tools, "duckdb", DUCKDB_VERSION, "linux_amd64");
    mkdirSync(folder, { recursive: true });
    for (const name of packages) {
      const file = `${name.replace("duckdb_extension_", "")}.duckdb_extension`;
      copyFileSync(join(site, name, "extensions", DUCKDB_VERSION, file), join(folder, file));
    }
  }
  writeStamp("duckdb", digest);
}

/**
 * Each DuckDB query holds a thread of Node's pool, also while it waits for the catalog of this process, which needs
 * pool threads for its file access. With Node's default of four threads, four concurrent queries deadlock. The size
 * exceeds the queries that run at once, of which each pipeline has a dozen.
 */
const POOL_THREADS = 64;

const JEMALLOC =
  "tcache_nslots_small_max:20,tcache_nslots_large:2,background_thread:true,dirty_decay_ms:100,muzzy_decay_ms:0";

/**
 * Environment that names the tools, and limits memory and start-up time. V8's young generation stays below 100 MB
 * and glibc keeps no heap per thread, which saves 150 of a busy lake's 600 MB. glibc maps large buffers separately,
 * so that each returns to the system when it is freed: by default it learns from the first freed buffer to put them
 * in its heap, where a small block behind one keeps its pages. jemalloc, which DuckDB contains, keeps freed blocks
 * for each thread, by default 20 of each size up to 32 KiB, which hold vectors of rows: up to 3 MB for each of 64
 * threads. A background thread returns free pages after 100 ms; without one they stay until a thread of the same arena
 * allocates again, and returning them at once costs 10 % of a lake's CPU time. Node's compile cache saves each process
 * half a second and 25 MB of type stripping; Python's bytecode cache saves two seconds of dbt's start. Variables that
 * the user has set take precedence, except for the tools.
 */
function lean(env) {
  return {
    ...env,
    NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE ?? join(tools, "compile-cache"),
    NODE_OPTIONS: env.NODE_OPTIONS?.includes("semi-space")
      ? env.NODE_OPTIONS
      : `${env.NODE_OPTIONS ?? ""} --max-semi-space-size=4`.trim(),
    MALLOC_ARENA_MAX: env.MALLOC_ARENA_MAX ?? "2",
    MALLOC_MMAP_THRESHOLD_: env.MALLOC_MMAP_THRESHOLD_ ?? String(256 * 1024),
    DUCKDB_JE_MALLOC_CONF: env.DUCKDB_JE_MALLOC_CONF ?? JEMALLOC,
    UV_THREADPOOL_SIZE: String(Math.max(Number(env.UV_THREADPOOL_SIZE) || 0, POOL_THREADS)),
    // Empty, so that bytecode is written; PYTHONPYCACHEPREFIX keeps it out of the source folders.
    PYTHONDONTWRITEBYTECODE: "",
    PYTHONPYCACHEPREFIX: env.PYTHONPYCACHEPREFIX ?? join(tools, "bytecode"),
    COINLAKE_TOOLS: tools,
  };
}

function handOver(node, command) {
  const [program, ...args] = command;
  const binaries = join(root, "node_modules", ".bin");
  const env = { ...lean(process.env), PATH: [dirname(node), binaries, process.env.PATH].join(delimiter) };
  const local = join(binaries, program);
  const child =
    program === "node"
      ? spawn(node, ["--disable-warning=ExperimentalWarning", ...args], { stdio: "inherit", env })
      : spawn(is_windows ? `${local}.cmd` : local, args, { stdio: "inherit", env, shell: is_windows });
  // The terminal sends Ctrl-C to the child too; the child decides when to stop, and this process exits with its code.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  process.on("SIGHUP", () => child.kill("SIGHUP"));
  child.on("error", (error) => {
    say(`cannot start ${program}: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? endedBy(signal)));
}

/** What the program could not explain itself; Ctrl-C ends one without a handler, which reads only or has not begun. */
const ENDED = {
  SIGINT: "The command was interrupted before it was complete; stored data are unaffected [INTERRUPTED]",
  SIGABRT: "The process was ended by an error in native code, such as DuckDB's (SIGABRT)",
  SIGSEGV: "The process was ended by an error in native code, such as DuckDB's (SIGSEGV)",
  SIGBUS: "The process was ended by an error in native code, or by a disk that failed (SIGBUS)",
  SIGILL: "The process was ended by native code that this processor cannot run (SIGILL)",
  SIGKILL: "The process was ended from outside: by another program, or by the system for lack of memory (SIGKILL)",
};

/** Explains the end by a signal; returns the exit code that shells give to it. */
function endedBy(signal) {
  const reason = ENDED[signal];
  if (reason !== undefined) {
    const kept = signal === "SIGINT" ? "" : "; what was acknowledged before is kept";
    process.stderr.write(`error ${reason}\n  next: Run the same command again${kept}.\n`);
  }
  return 128 + constants.signals[signal];
}

/** Answers requests that need no set-up: stored help and the hint about options that npm consumed. */
function answered(args) {
  const meant = swallowedOptions(process.env, args);
  if (meant !== null) {
    process.stderr.write(
      `error npm consumed these options, so Coinlake did not receive them [USAGE]\n  next: put -- before them: ` +
        `${meant}\n`,
    );
    process.exitCode = 2;
    return true;
  }
  if (!asksForHelp(args) || isSetUp()) return false;
  process.stdout.write(storedHelp(args));
  return true;
}

/** Whether the command line can run; --help needs Node and its packages, not Python. */
function isSetUp() {
  return readyNode() !== null && hasNodePackages();
}

/** Installs what is missing; resolves to the path of Node. After a signal, the remaining steps do nothing. */
async function setUp({ needs_python, extra }) {
  makeToolsFolder();
  const node = await ensureNode();
  await ensureNodePackages();
  if (!needs_python || stopped_by !== null) return node;
  await ensurePython(["embedded", ...extra]);
  if (stopped_by !== null) return node;
  ensureDuckDBExtensions();
  if (has_worked) say(`ready in ${((Date.now() - started_at) / 1000).toFixed(0)} s; later starts skip this step`);
  return node;
}

function sayStopped() {
  process.stderr.write(
    "error The set-up was stopped before it was complete; finished steps are kept [SETUP_STOPPED]\n" +
      "  next: Run the same command again: it continues with the step that was stopped.\n",
  );
  process.exitCode = 128 + constants.signals[stopped_by];
}

async function main(argv) {
  const split = argv.indexOf("--");
  const options = argv.slice(0, split);
  const extra = options.flatMap((option, index) => (options[index - 1] === "--with" ? [option] : []));
  const args = coinlakeArguments(argv.slice(split + 1));
  if (args !== null && answered(args)) return;
  const signals = ["SIGINT", "SIGTERM"];
  for (const signal of signals) process.on(signal, stopSetup);
  try {
    const node = await setUp({ needs_python: args === null || !asksForHelp(args), extra });
    if (stopped_by !== null) return sayStopped();
    for (const signal of signals) process.off(signal, stopSetup);
    handOver(node, argv.slice(split + 1));
  } catch (error) {
    const known = explained(error);
    if (known === null) throw error;
    process.stderr.write(`error ${known.message} [SETUP_FAILED]\n  next: ${known.next_step}\n`);
    process.exitCode = 1;
  }
}

await main(process.argv.slice(2));
