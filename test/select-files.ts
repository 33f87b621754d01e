import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Seconds that each test file took in the last measurement, by path; see `npm test -- --durations`. */
export type Durations = Readonly<Record<string, number>>;

export interface Selection {
  profile: "embedded" | "cluster";
  /** Parts of paths: a file is selected if its path contains one of them. Without words, all files are selected. */
  words: readonly string[];
  /** Selects only short files that start no Python, no browser and no command line. */
  is_fast: boolean;
}

/** A file above this limit is too slow for the edit-and-run loop. */
const FAST_LIMIT_S = 5;

/** Test code that starts Python (dbt, PyIceberg), a browser, a container's command or a whole command line. */
const SLOW_CODE =
  /\b(?:DbtWorker|pythonExecutable|startCoinlake|coinlake|killedAt|puppeteer-core|spawn|spawnSync|fork)\b/;
const IMPORT = /(?:import|export)\s+(type\s)?([^;]*?)\sfrom\s"([^"]+)"/g;

export function selectFiles({ profile, words, is_fast }: Selection, durations: Durations): string[] {
  const files = globSync("test/**/*.test.ts")
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.startsWith("test/cluster/") === (profile === "cluster"))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .filter((file) => !is_fast || isFast(file, durations));
  return longestFirst(files, durations);
}

/** Short files start last, so that cores remain busy to the end. New files, without a duration, start first. */
function longestFirst(files: readonly string[], durations: Durations): string[] {
  const secondsOf = (file: string): number => durations[file] ?? Number.POSITIVE_INFINITY;
  return files.toSorted((a, b) => Math.sign(secondsOf(b) - secondsOf(a)) || a.localeCompare(b));
}

function isFast(file: string, durations: Durations): boolean {
  return (durations[file] ?? 0) <= FAST_LIMIT_S && !usesSlowCode(file, new Set());
}

/** Whether the file, or a module in test/ from which it imports values, names code that starts other processes. */
function usesSlowCode(file: string, seen: Set<string>): boolean {
  if (seen.has(file)) return false;
  seen.add(file);
  const source = readFileSync(file, "utf8");
  const imports = [...source.matchAll(IMPORT)].filter(([, type]) => type === undefined);
  // The module that starts the command line also provides temporary folders, so the imported names decide.
  if (file !== COMMAND_LINE && SLOW_CODE.test(withoutText(source))) return true;
  return imports.some(([, , , specifier = ""]) => {
    const imported = join(dirname(file), specifier).replaceAll("\\", "/");
    return (
      specifier.startsWith(".") && imported.startsWith("test/") && existsSync(imported) && usesSlowCode(imported, seen)
    );
  });
}

const COMMAND_LINE = "test/support/coinlake.ts";

/** The source without comments, strings and module names, because a word in them starts no process. */
function withoutText(source: string): string {
  return source
    .replaceAll(/"(?:puppeteer-core)"/g, " puppeteer-core ")
    .replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")
    .replaceAll(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, '""');
}
