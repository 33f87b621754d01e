/**
 * Runs the linters in parallel, prints their findings and the time that each takes, and exits with 1 if there are
 * findings:
 *   node bin/lint.ts [--format]
 * With `--format` it runs the formatters instead, which rewrite files.
 */
import { spawn } from "node:child_process";
import { globSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { projectFolder, pythonExecutable } from "../src/lake/tools.ts";

/** A command of node_modules or of the Python environment; its name is its first word. */
type Command = readonly [name: string, ...args: string[]];

const SOURCES = "**/*.{ts,tsx,js,css}";
const FORMATTERS: readonly Command[] = [
  ["oxfmt", SOURCES],
  ["ruff", "format"],
];

function linters(): readonly Command[] {
  return [
    // One process: each further process would load the macros again, and the other linters use the other cores.
    ["sqlfluff", "lint", "--nocolor", ...globSync("dbt_*/{models,tests}", { cwd: projectFolder() })],
    ["oxlint", "--deny-warnings"],
    ["oxfmt", "--check", SOURCES],
    ["ruff", "check", "--output-format", "concise"],
    ["ruff", "format", "--check"],
    ["shellcheck", ...shellScripts()],
    ["python", join("bin", "powershell_syntax.py"), ...globSync("*.ps1", { cwd: projectFolder() })],
  ];
}

/** Files that begin with the `#!` line of a shell. */
function shellScripts(): string[] {
  const files = globSync("{*.sh,{.ci,airflow,bench,bin,docker,docs,examples,streaming,test}/**/*}", {
    cwd: projectFolder(),
  });
  return files.filter((file) => {
    const path = join(projectFolder(), file);
    return statSync(path).isFile() && /^#!.*\b(?:ba|da)?sh\b/.test(readFileSync(path, "latin1").slice(0, 100));
  });
}

function programOf(name: string): string {
  const is_windows = process.platform === "win32";
  if (name.startsWith("ox")) return join(projectFolder(), "node_modules", ".bin", is_windows ? `${name}.cmd` : name);
  return join(dirname(pythonExecutable()), is_windows ? `${name}.exe` : name);
}

async function run([name, ...args]: Command): Promise<boolean> {
  const started_ms = performance.now();
  const child = spawn(programOf(name), args, { cwd: projectFolder(), shell: process.platform === "win32" });
  const output: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  const code = await new Promise((resolve, reject) => child.once("close", resolve).once("error", reject));
  const seconds = ((performance.now() - started_ms) / 1000).toFixed(1);
  const action = ["check", "format", "lint"].includes(args[0] ?? "") || name === "python" ? ` ${args[0]}` : "";
  if (code !== 0) process.stdout.write(Buffer.concat(output));
  process.stderr.write(`${code === 0 ? "✔" : "✖"} ${name}${action} (${seconds} s)\n`);
  return code === 0;
}

const passed = await Promise.all((process.argv.includes("--format") ? FORMATTERS : linters()).map(run));
if (passed.includes(false)) process.exitCode = 1;
