import { rmSync } from "node:fs";
import { join } from "node:path";
import { OperatingError } from "../../base/errors.ts";
import { projectFolder } from "../../lake/tools.ts";
import { findTool, runTool } from "../machine/tool.ts";
import { fetchOnce, type Cache } from "./cache.ts";

/**
 * Returns the folder of the program that `requirements/<name>/go.mod` names, built from sources. Go fetches them by its
 * own settings; every module must have the checksum in `go.sum` beside it. The build occupies every core for minutes,
 * once, so it runs at the lowest CPU priority.
 */
export async function buildWithGo(cache: Cache, name: string, version: string, main_package: string): Promise<string> {
  const requirements = join(projectFolder(), "requirements", name);
  const pins = [join(requirements, "go.mod"), join(requirements, "go.sum")];
  return await fetchOnce(cache, { name: `${name}-${version}`, pins, tool: "go" }, async (folder, go_folder) => {
    const go = findTool({
      program: "go",
      purpose: `builds ${name}`,
      remedy: "Install Go 1.24 or newer (go.dev/dl).",
      folders: ["/usr/local/go/bin"],
    });
    const run = {
      cwd: requirements,
      is_background: true,
      env: {
        CGO_ENABLED: "0",
        GOFLAGS: `${process.env.GOFLAGS ?? ""} -modcacherw`.trim(),
        GOMODCACHE: join(go_folder, "mod"),
        GOCACHE: join(go_folder, "build"),
      },
      failed: (last_lines: string) =>
        new OperatingError("FETCH_FAILED", `Go could not build ${name} ${version}:\n${last_lines}`, {
          next_step: "Check the network and Go's settings, then run this again: it goes on where it stopped.",
          is_retryable: true,
        }),
    };
    cache.say(`fetching and building ${name} ${version}: some minutes, once ...`);
    const packages = (await runTool(go, ["list", "-deps", main_package], run)).split("\n").length;
    const bar = cache.progress(`${name} ${version}`);
    let count = 0;
    try {
      const args = ["build", "-v", "-trimpath", "-ldflags", "-s -w", "-o", join(folder, name), main_package];
      await runTool(go, args, { ...run, onLine: () => bar.update(Math.min(++count, packages), packages) });
    } finally {
      bar.end();
    }
    // These caches hold 2 GB that no later run needs.
    for (const used of [run.env.GOMODCACHE, run.env.GOCACHE]) rmSync(used, { recursive: true, force: true });
  });
}
