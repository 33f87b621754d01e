import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { projectFolder } from "../src/lake/tools.ts";
import type { Durations } from "./select-files.ts";

const DURATIONS_FILE = join(projectFolder(), "test", "durations.json");
const SHOWN_FILES = 10;

/** The stored durations of the last measurement, which order the test files. */
export function readDurations(): Durations {
  return JSON.parse(readFileSync(DURATIONS_FILE, "utf8")) as Durations;
}

/** Collects the seconds of each test file. */
export class DurationReport {
  readonly #seconds = new Map<string, number>();

  add(path: string, duration_ms: number): void {
    const file = relative(projectFolder(), path).replaceAll("\\", "/");
    this.#seconds.set(file, Math.round(duration_ms / 100) / 10);
  }

  /** The slowest files as text, one a line; empty for a single file. */
  slowest(): string {
    if (this.#seconds.size < 2) return "";
    const rows = [...this.#seconds].toSorted(([, a], [, b]) => b - a).slice(0, SHOWN_FILES);
    const lines = rows.map(([file, seconds]) => `${seconds.toFixed(1).padStart(8)} s  ${file}`);
    return `Slowest files:\n${lines.join("\n")}\n`;
  }

  /** Files that did not run keep their duration in `path`. */
  write(path: string): void {
    const known = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Durations) : {};
    const all = Object.entries({ ...known, ...Object.fromEntries(this.#seconds) });
    const sorted = Object.fromEntries(all.toSorted(([a], [b]) => a.localeCompare(b)));
    writeFileSync(path, `${JSON.stringify(sorted, null, 2)}\n`);
  }
}
