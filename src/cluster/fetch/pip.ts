import { readdirSync } from "node:fs";
import { join } from "node:path";
import { OperatingError } from "../../errors.ts";
import { projectFolder, pythonExecutable } from "../../lake/tools.ts";
import { runTool } from "../machine/tool.ts";

/**
 * Downloads the one package that `requirements/<name>/requirements.txt` pins into the folder, uninstalled, and resolves to the
 * path of its archive. pip finds it, from wherever its own settings say, and refuses other bytes than those of the checksum.
 */
export async function downloadWithPip(name: string, folder: string): Promise<string> {
  const pinned = join(projectFolder(), "requirements", name, "requirements.txt");
  const options = ["--quiet", "--no-cache-dir", "--no-deps", "--require-hashes", "--dest", folder, "-r", pinned];
  await runTool(pythonExecutable(), ["-m", "pip", "download", ...options], {
    env: { PIP_DISABLE_PIP_VERSION_CHECK: "1" },
    failed: (last_lines) =>
      new OperatingError("FETCH_FAILED", `pip could not fetch what ${pinned} names:\n${last_lines}`, {
        next_step: "Check the network and pip's settings, then run this again.",
        is_retryable: true,
      }),
  });
  const [archive] = readdirSync(folder);
  if (archive === undefined) throw new TypeError(`pip left nothing in ${folder}`);
  return join(folder, archive);
}
