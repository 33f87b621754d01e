import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { OperatingError } from "../../base/errors.ts";
import { projectFolder } from "../../lake/tools.ts";
import { findTool, runTool } from "../machine/tool.ts";
import { fetchOnce, type Cache } from "./cache.ts";

const COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/** The file that Maven says it has downloaded, or copied from what it had. */
const SETTLED_FILE = /(?:Downloaded from \S+ \S*\/|Copying )([^/\s]+) (?:\(|to )/;

/**
 * The folder of what `requirements/<name>/pom.xml` asks for. Maven finds it, from wherever its own settings say; each
 * must have the checksum in `files.sha256` beside it, and no other may come along. `finish` may unpack
 * what was checked, and keep what a broken run is to find again in the tool's folder.
 */
export async function fetchWithMaven(
  cache: Cache,
  name: string,
  version: string,
  finish?: (folder: string, tool_folder: string) => Promise<void>,
): Promise<string> {
  const requirements = join(projectFolder(), "requirements", name);
  const pom = join(requirements, "pom.xml");
  const lock = join(requirements, "files.sha256");
  return await fetchOnce(
    cache,
    { name: `${name}-${version}`, pins: [pom, lock], tool: "maven" },
    async (folder, repository) => {
      const wanted = parseChecksums(readFileSync(lock, "utf8"));
      const maven = findTool({
        program: "mvn",
        purpose: `fetches ${name}`,
        remedy: "Install Maven (Debian and Ubuntu: `apt install maven`).",
      });
      cache.say(`fetching ${name} ${version}: ${wanted.size} files ...`);
      const bar = cache.progress(`${name} ${version}`);
      const settled = new Set<string>();
      try {
        await runTool(
          maven,
          [
            "-B",
            "-f",
            pom,
            `-Dmaven.repo.local=${repository}`,
            COPY,
            "-DincludeScope=runtime",
            `-DoutputDirectory=${folder}`,
          ],
          {
            onLine(line) {
              const file = SETTLED_FILE.exec(line)?.[1];
              if (file === undefined || !wanted.has(file)) return;
              settled.add(file);
              bar.update(settled.size, wanted.size);
            },
            failed: (last_lines) =>
              new OperatingError("FETCH_FAILED", `Maven could not fetch ${name} ${version}:\n${last_lines}`, {
                next_step: "Check the network and Maven's settings, then run this again: it goes on where it stopped.",
                is_retryable: true,
              }),
          },
        );
      } finally {
        bar.end();
      }
      refuseUnpinned(folder, wanted, repository);
      await finish?.(folder, repository);
    },
  );
}

/** As `sha256sum` writes them: the file's checksum by its name. */
export function parseChecksums(text: string): Map<string, string> {
  const lines = text.split("\n").filter(Boolean);
  return new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)]));
}

/** Throws CHECKSUM_MISMATCH with the name of every file that is missing, unknown or other than pinned. */
export function refuseUnpinned(folder: string, wanted: ReadonlyMap<string, string>, repository: string): void {
  const found = new Map(
    readdirSync(folder).map((file) => [
      file,
      createHash("sha256")
        .update(readFileSync(join(folder, file)))
        .digest("hex"),
    ]),
  );
  const wrong = [
    ...[...wanted].filter(([file]) => !found.has(file)).map(([file]) => `${file} is missing`),
    ...[...found].filter(([file]) => !wanted.has(file)).map(([file]) => `${file} was not asked for`),
    ...[...found]
      .filter(([file, digest]) => wanted.has(file) && wanted.get(file) !== digest)
      .map(([file]) => `${file} has other bytes`),
  ];
  if (wrong.length === 0) return;
  throw new OperatingError(
    "CHECKSUM_MISMATCH",
    `What Maven fetched is not what this version of Coinlake was tested with: ${wrong.join(", ")}`,
    {
      next_step: `Delete ${repository} and run this again; if it says so again, the repository in Maven's settings serves something else.`,
    },
  );
}
