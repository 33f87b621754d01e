import { globSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { OperatingError } from "../../errors.ts";
import { projectFolder, pythonExecutable, toolsFolder } from "../../lake/tools.ts";
import { runTool } from "../machine/tool.ts";
import { fetchOnce, type Cache } from "./cache.ts";

/**
 * Downloads the one package that `requirements/<name>/requirements.txt` pins into the folder, uninstalled, and resolves to the
 * path of its archive. pip finds it, from wherever its own settings say, and refuses other bytes than those of the checksum.
 */
export async function downloadWithPip(name: string, folder: string): Promise<string> {
  const options = ["--quiet", "--no-cache-dir", "--no-deps", "--require-hashes", "--dest", folder, "-r", pinsOf(name)];
  await runTool(pythonExecutable(), ["-m", "pip", "download", ...options], {
    env: { PIP_DISABLE_PIP_VERSION_CHECK: "1" },
    failed: failed("pip", name),
  });
  const [archive] = readdirSync(folder);
  if (archive === undefined) throw new TypeError(`pip left nothing in ${folder}`);
  return join(folder, archive);
}

/**
 * The folder of a Python environment with what `requirements/<name>/requirements.txt` pins, installed by uv from wherever its own
 * settings say; other bytes than those of the checksums are refused, and nothing is built.
 */
export async function installWithUv(cache: Cache, name: string, version: string): Promise<string> {
  // An environment belongs to one version of Python.
  const [library = ""] = globSync(join(toolsFolder(), "python", "lib", "python3.*"));
  const fetch = { name: `${name}-${version}-${basename(library)}`, pins: [pinsOf(name)], tool: "uv" };
  return await fetchOnce(cache, fetch, async (folder, uv_folder) => {
    cache.say(`fetching ${name} ${version} ...`);
    const uv_cache = join(uv_folder, "packages");
    const uv = (...args: string[]) => runTool(pythonExecutable(), ["-m", "uv", "--quiet", "--cache-dir", uv_cache, ...args], { is_background: true, failed: failed("uv", name) });
    await uv("venv", "--relocatable", "--clear", "--python", pythonExecutable(), folder);
    const options = ["--require-hashes", "--only-binary", ":all:", "--compile-bytecode", "--link-mode", "copy"];
    await uv("pip", "install", "--python", join(folder, "bin", "python"), ...options, "-r", pinsOf(name));
    rmSync(uv_cache, { recursive: true, force: true });
  });
}

function pinsOf(name: string): string {
  return join(projectFolder(), "requirements", name, "requirements.txt");
}

function failed(tool: string, name: string): (last_lines: string) => OperatingError {
  return (last_lines) =>
    new OperatingError("FETCH_FAILED", `${tool} could not fetch what ${pinsOf(name)} names:\n${last_lines}`, {
      next_step: `Check the network and ${tool}'s settings, then run this again.`,
      is_retryable: true,
    });
}
