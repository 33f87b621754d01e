import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../clock.ts";
import { OperatingError, messageOf } from "../errors.ts";
import { claimFolder, ownerOf } from "../lake/ownership.ts";
import { projectFolder, pythonExecutable, toolsFolder } from "../lake/tools.ts";

export interface InstallOptions {
  clock: Clock;
  /** Told that there is something to install, and when it is there. */
  say(text: string): void;
}

const CLAIM_RETRY_MS = 250;
const DIGEST_LENGTH = 12;
const STDERR_KEPT_CHARACTERS = 4_000;

/**
 * A Python that has Great Expectations, in an environment beside dbt's: 350 MB that only those pay who ask for it, and whose
 * versions dbt need not agree with. Installed by the first who asks, whole or not at all; others wait. Throws QUALITY_INSTALL_FAILED.
 */
export async function qualityPython({ clock, say }: InstallOptions): Promise<string> {
  const requirements = join(projectFolder(), "requirements", "quality.txt");
  const digest = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, DIGEST_LENGTH);
  const tools = join(toolsFolder(), "quality");
  const environment = join(tools, digest);
  if (existsSync(environment)) return pythonIn(environment);
  mkdirSync(tools, { recursive: true });
  const claim = await waitForClaim(tools, { clock, say });
  try {
    if (existsSync(environment)) return pythonIn(environment);
    say("installing Great Expectations: 350 MB, this once ...");
    const started_at_ms = performance.now();
    for (const name of readdirSync(tools, { withFileTypes: true })) if (name.isDirectory()) rmSync(join(tools, name.name), { recursive: true, force: true });
    const unfinished = `${environment}.unfinished`;
    await uv(["venv", "--quiet", "--relocatable", "--python", pythonExecutable(), unfinished]);
    await uv(["pip", "install", "--quiet", "--python", pythonIn(unfinished), "--require-hashes", "-r", requirements]);
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

async function waitForClaim(folder: string, { clock, say }: InstallOptions): Promise<{ release(): void }> {
  for (let is_told = false; ; is_told = true) {
    const claim = claimFolder(folder, "installing Great Expectations");
    if (claim !== null) return claim;
    if (!is_told) say(`waiting for ${ownerOf(folder)} ...`);
    await clock.wait(CLAIM_RETRY_MS);
  }
}

/** The installer that the bootstrap brought. */
function uv(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(pythonExecutable(), ["-m", "uv", ...args], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-STDERR_KEPT_CHARACTERS);
    });
    child.once("error", (error) => reject(failed(messageOf(error))));
    child.once("close", (code) => (code === 0 ? resolve() : reject(failed(said.trim()))));
  });
}

function failed(words: string): OperatingError {
  return new OperatingError("QUALITY_INSTALL_FAILED", `Great Expectations could not be installed:\n${words}`, {
    next_step:
      "Check the network or your package index setting (a proxy with a certificate of its own: set UV_SYSTEM_CERTS=1), then run this again.",
    is_retryable: true,
  });
}
