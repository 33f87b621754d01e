import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { claimFolder, ownerOf } from "./ownership.ts";
import { projectFolder, pythonExecutable, toolsFolder } from "./tools.ts";
import { makeFolder } from "../base/folder.ts";

export interface PythonPackages {
  /** Name of the file in requirements/ and of the environment's folder. */
  name: string;
  /** Display name, such as "Great Expectations". */
  title: string;
  /** Approximate size on disk. */
  size_mb: number;
}

export interface InstallOptions {
  clock: Clock;
  /** Reports the start and end of an installation. */
  say(text: string): void;
}

const CLAIM_RETRY_MS = 250;
const DIGEST_LENGTH = 12;
const STDERR_KEPT_CHARACTERS = 4_000;

/**
 * A Python with these packages, in a separate environment: installed only when needed, and independent of dbt's
 * versions. The first caller installs it atomically; others wait. Throws PYTHON_INSTALL_FAILED.
 */
export async function pythonWith(
  { name, title, size_mb }: PythonPackages,
  { clock, say }: InstallOptions,
): Promise<string> {
  const requirements = join(projectFolder(), "requirements", `${name}.txt`);
  const digest = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, DIGEST_LENGTH);
  const tools = join(toolsFolder(), name);
  const environment = join(tools, digest);
  if (existsSync(environment)) return pythonIn(environment);
  makeFolder(tools);
  const claim = await waitForClaim(tools, title, { clock, say });
  try {
    if (existsSync(environment)) return pythonIn(environment);
    say(`installing ${title} (${size_mb} MB, first use only) ...`);
    const started_at_ms = performance.now();
    for (const entry of readdirSync(tools, { withFileTypes: true }))
      if (entry.isDirectory()) rmSync(join(tools, entry.name), { recursive: true, force: true });
    const unfinished = `${environment}.unfinished`;
    await uv(["venv", "--quiet", "--relocatable", "--python", pythonExecutable(), unfinished], title);
    await uv(
      [
        "pip",
        "install",
        "--quiet",
        "--python",
        pythonIn(unfinished),
        "--require-hashes",
        "--only-binary",
        "dbt-core-experimental-parser",
        "-r",
        requirements,
      ],
      title,
    );
    renameSync(unfinished, environment);
    say(`installed in ${((performance.now() - started_at_ms) / 1000).toFixed(0)} s`);
    return pythonIn(environment);
  } finally {
    claim.release();
  }
}

function pythonIn(environment: string): string {
  return process.platform === "win32" ? join(environment, "Scripts", "python.exe") : join(environment, "bin", "python");
}

async function waitForClaim(
  folder: string,
  title: string,
  { clock, say }: InstallOptions,
): Promise<{ release(): void }> {
  for (let is_told = false; ; is_told = true) {
    const claim = claimFolder(folder, `installing ${title}`);
    if (claim !== null) return claim;
    if (!is_told) say(`waiting for ${ownerOf(folder)} ...`);
    await clock.wait(CLAIM_RETRY_MS);
  }
}

/** The installer that bin/bootstrap.js installed. */
function uv(args: readonly string[], title: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(pythonExecutable(), ["-m", "uv", ...args], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-STDERR_KEPT_CHARACTERS);
    });
    child.once("error", (error) => reject(failed(title, messageOf(error))));
    child.once("close", (code) => (code === 0 ? resolve() : reject(failed(title, said.trim()))));
  });
}

function failed(title: string, words: string): OperatingError {
  return new OperatingError("PYTHON_INSTALL_FAILED", `Cannot install ${title}:\n${words}`, {
    next_step:
      "Check the network and your package index setting (behind a proxy with a private certificate, set " +
      "UV_SYSTEM_CERTS=1), then run the command again.",
  });
}
