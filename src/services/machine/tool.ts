import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { setPriority } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { OperatingError } from "../../base/errors.ts";

const LAST_LINES_KEPT = 20;
const LOWEST_PRIORITY = 19;

/** A program that must be installed on the machine. */
export interface Tool {
  program: string;
  /** The purpose, in words that follow "which": `fetches Kafka`. */
  purpose: string;
  /** How to install it. */
  remedy: string;
  /** Folders to search after PATH. */
  folders?: readonly string[];
}

export function hasTool(program: string): boolean {
  return pathOf(program, []) !== undefined;
}

function pathOf(program: string, folders: readonly string[]): string | undefined {
  const places = [...(process.env.PATH ?? "").split(delimiter), ...folders]
    .filter(Boolean)
    .map((folder) => join(folder, program));
  return places.find(isExecutable);
}

/** Path of the program. Throws TOOL_NOT_FOUND. */
export function findTool({ program, purpose, remedy, folders = [] }: Tool): string {
  const found = pathOf(program, folders);
  if (found !== undefined) return found;
  throw new OperatingError(
    "TOOL_NOT_FOUND",
    `The program "${program}", which ${purpose}, was not found on this machine`,
    {
      next_step: remedy,
    },
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface ToolRun {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  input?: string;
  user?: { uid: number; gid: number };
  /** Runs the program at the lowest CPU priority. */
  is_background?: boolean;
  onLine?(line: string): void;
  failed(last_lines: string): OperatingError;
}

/** Runs a program to its end. Resolves to its standard output; rejects with `failed(last lines of its output)`. */
export async function runTool(program: string, args: readonly string[], run: ToolRun): Promise<string> {
  const child = spawn(program, args, {
    cwd: run.cwd,
    env: { ...process.env, ...run.env },
    stdio: ["pipe", "pipe", "pipe"],
    ...run.user,
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (run.is_background && child.pid !== undefined) setPriority(child.pid, LOWEST_PRIORITY);
  let stdout = "";
  const last: string[] = [];
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      last.push(line);
      if (last.length > LAST_LINES_KEPT) last.shift();
      run.onLine?.(line);
    });
  }
  // A program that closes its input early reports the reason by its exit code.
  child.stdin.on("error", () => {});
  child.stdin.end(run.input ?? "");
  if ((await ended) !== 0) throw run.failed(last.join("\n"));
  return stdout;
}
