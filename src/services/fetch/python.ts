import { createHash } from "node:crypto";
import { createReadStream, existsSync, globSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { OperatingError } from "../../base/errors.ts";
import { projectFolder, pythonExecutable, toolsFolder } from "../../lake/tools.ts";
import { runTool } from "../machine/tool.ts";
import { fetchOnce, type Cache } from "./cache.ts";

const DOWNLOAD = fileURLToPath(new URL("download.py", import.meta.url));

/** A requirements file of one package: `pyspark==4.1.1 \ --hash=sha256:77f7...`. */
const ONE_PIN = /^(\S+==\S+)[\s\\]+--hash=sha256:([0-9a-f]{64})\s*$/;
/** The URL of a package's source archive in uv's lock file (PEP 751). */
const SOURCES_URL = /^sdist = .*\burl = "([^"]+)"/m;
const PROGRESS = /^(\d+) (\d+)$/;

/**
 * Downloads the source archive of the one package that `requirements/<name>/requirements.txt` pins. Resolves to the
 * archive's path in the tool's folder. uv finds the URL by its own settings; this function downloads the file, because
 * neither uv nor pip resumes a partial download. Rejects an archive with another checksum.
 */
export async function downloadPackage(cache: Cache, name: string, tool_folder: string): Promise<string> {
  const [, pin, digest] = ONE_PIN.exec(readFileSync(pinsOf(name), "utf8")) ?? [];
  if (pin === undefined) throw new TypeError(`${pinsOf(name)} does not pin one package by one checksum`);
  const archive = join(tool_folder, `${pin.replace("==", "-")}.tar.gz`);
  if ((await digestOf(archive)) === digest) return archive;
  await download(cache, pin, await findSources(name, tool_folder), archive);
  if ((await digestOf(archive)) === digest) return archive;
  rmSync(archive);
  throw new OperatingError(
    "CHECKSUM_MISMATCH",
    `What was fetched as ${pin} is not what this version of Coinlake was tested with`,
    {
      next_step: "Run this again; if it says so again, the index in uv's settings serves something else.",
    },
  );
}

async function findSources(name: string, folder: string): Promise<string> {
  const lock = join(folder, `pylock.${name}.toml`);
  await uv(name, [
    "pip",
    "compile",
    "--no-deps",
    "--generate-hashes",
    "--python",
    pythonExecutable(),
    "--output-file",
    lock,
    pinsOf(name),
  ]);
  const url = SOURCES_URL.exec(readFileSync(lock, "utf8"))?.[1];
  rmSync(lock);
  if (url !== undefined) return url;
  throw failed(name)("It finds no sources there that can be downloaded.");
}

/** Downloads a file, or the rest of a partial download. Throws FETCH_FAILED. */
export async function download(cache: Cache, name: string, url: string, file: string): Promise<void> {
  const bar = cache.progress(`${name}, bytes`);
  try {
    await runTool(pythonExecutable(), [DOWNLOAD, url, file], {
      onLine(line) {
        const [, done, total] = PROGRESS.exec(line) ?? [];
        if (done !== undefined) bar.update(Number(done), Number(total));
      },
      failed: (last_lines) =>
        new OperatingError("FETCH_FAILED", `${url} could not be downloaded:\n${last_lines}`, {
          next_step:
            "Check the network, then run this again: it goes on where it stopped. " +
            `Or put that file there yourself, as ${file}.`,
          is_retryable: true,
        }),
    });
  } finally {
    bar.end();
  }
}

/** Null where the file does not exist. */
async function digestOf(file: string): Promise<string | null> {
  if (!existsSync(file)) return null;
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/**
 * Returns the folder of a Python environment with the packages that `requirements/<name>/requirements.txt` pins. uv
 * installs them by its own settings. Packages with another checksum are rejected, and none is built from sources.
 */
export async function installWithUv(cache: Cache, name: string, version: string): Promise<string> {
  // An environment depends on the version of Python.
  const [library = ""] = globSync(join(toolsFolder(), "python", "lib", "python3.*"));
  const fetch = { name: `${name}-${version}-${basename(library)}`, pins: [pinsOf(name)], tool: "uv" };
  return await fetchOnce(cache, fetch, async (folder, uv_folder) => {
    cache.say(`fetching ${name} ${version} ...`);
    const uv_cache = ["--cache-dir", join(uv_folder, "packages")];
    await uv(name, [...uv_cache, "venv", "--relocatable", "--clear", "--python", pythonExecutable(), folder]);
    const options = ["--require-hashes", "--only-binary", ":all:", "--compile-bytecode", "--link-mode", "copy"];
    await uv(name, [
      ...uv_cache,
      "pip",
      "install",
      "--python",
      join(folder, "bin", "python"),
      ...options,
      "-r",
      pinsOf(name),
    ]);
    rmSync(join(uv_folder, "packages"), { recursive: true, force: true });
  });
}

async function uv(name: string, args: readonly string[]): Promise<void> {
  await runTool(pythonExecutable(), ["-m", "uv", "--quiet", ...args], { is_background: true, failed: failed(name) });
}

function pinsOf(name: string): string {
  return join(projectFolder(), "requirements", name, "requirements.txt");
}

function failed(name: string): (last_lines: string) => OperatingError {
  return (last_lines) =>
    new OperatingError("FETCH_FAILED", `uv could not fetch what ${pinsOf(name)} names:\n${last_lines}`, {
      next_step: "Check the network and uv's settings, then run this again.",
      is_retryable: true,
    });
}
