import { globSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const EXTENSIONS = "v*/*/*.duckdb_extension";
const STAMP = "verified-extensions.txt";

/** Descriptions of the files whose signatures were checked in this process. */
const verified_here = new Set<string>();

/**
 * The extension files of a folder, and whether DuckDB has checked their signatures: in this process, or in an earlier
 * one whose stamp names the same files. A check reads all 85 MB and takes 0.5 s of CPU, longer than most queries. The
 * folder belongs to the tools that the bootstrap downloaded by checksum; a user who can write to it can also replace
 * the programs beside it.
 */
export class VerifiedExtensions {
  readonly #folder: string;
  /** Recorded before DuckDB reads the files: a file that changes meanwhile does not match the stamp. */
  readonly #files: string;
  readonly is_verified: boolean;

  constructor(folder: string) {
    this.#folder = folder;
    this.#files = describeFiles(folder);
    this.is_verified = this.#files !== "" && (verified_here.has(this.#files) || readStamp(folder) === this.#files);
  }

  /** Called after DuckDB has loaded the extensions with their signatures checked. */
  remember(): void {
    if (this.is_verified || this.#files === "") return;
    verified_here.add(this.#files);
    const stamp = join(this.#folder, STAMP);
    try {
      writeFileSync(`${stamp}.${process.pid}`, this.#files);
      renameSync(`${stamp}.${process.pid}`, stamp);
    } catch {
      // This user may not have write access to the tools' folder; the next process then checks again.
    }
  }
}

/** The description includes the change time, which no program can set back. */
function describeFiles(folder: string): string {
  const lines = globSync(EXTENSIONS, { cwd: folder }).map((file) => {
    const { size, ino, mtimeMs, ctimeMs } = statSync(join(folder, file));
    return `${file} ${size} ${ino} ${mtimeMs} ${ctimeMs}\n`;
  });
  return lines.sort().join("");
}

function readStamp(folder: string): string | null {
  try {
    return readFileSync(join(folder, STAMP), "utf8");
  } catch {
    return null;
  }
}
