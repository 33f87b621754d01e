import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { OperatingError } from "../../base/errors.ts";
import { projectFolder } from "../../lake/tools.ts";
import { findTool, runTool } from "../machine/tool.ts";
import { fetchOnce, type Cache } from "./cache.ts";

const COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/** A line of Maven's output that names a downloaded file, or one that Maven copied from its repository. */
const SETTLED_FILE = /(?:Downloaded from \S+ \S*\/|Copying )([^/\s]+) (?:\(|to )/;

/**
 * Returns the folder with the dependencies of `requirements/<name>/pom.xml`. Maven downloads them by its own settings.
 * Every file must have the checksum in `files.sha256` beside the POM, and no other file may be present. `finish` may
 * unpack the verified files. It may store downloads in the tool's folder, where a run after an interruption finds them.
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
      checkPinned(folder, wanted, repository);
      await finish?.(folder, repository);
    },
  );
}

/** Parses the output of `sha256sum` into checksums by file name. */
export function parseChecksums(text: string): Map<string, string> {
  const lines = text.split("\n").filter(Boolean);
  return new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)]));
}

/** Throws CHECKSUM_MISMATCH with the name of every file that is missing, unknown or different from its pin. */
export function checkPinned(folder: string, wanted: ReadonlyMap<string, string>, repository: string): void {
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
      next_step:
        `Delete ${repository} and run this again; if it says so again, ` +
        "the repository in Maven's settings serves something else.",
    },
  );
}
