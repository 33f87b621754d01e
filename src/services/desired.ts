import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "./state.ts";
import type { ServiceName } from "./service.ts";

/**
 * What a person asked to run, as long as it is not stopped: `desired.json` and `streams.json` in the cluster's folder. What runs is
 * `running.json` of each service; the supervisor brings the one to the other.
 */
export interface Desired {
  /** How the cluster was started: by servers of this machine's own, or with Docker. */
  mode: "native" | "docker";
  /** With their ports, where they are to be found again. Empty with Docker, which knows its own. */
  parts: Partial<Record<ServiceName, Readonly<Record<string, number>>>>;
}

function desiredFile(folder: string): string {
  return join(folder, "desired.json");
}

/** Null where nothing was started, or all of it was stopped. */
export function readDesired(folder: string): Desired | null {
  const file = desiredFile(folder);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Desired) : null;
}

export function writeDesired(folder: string, desired: Desired): void {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  writeWhole(desiredFile(folder), `${JSON.stringify(desired, null, 2)}\n`);
}

export function forgetDesired(folder: string): void {
  rmSync(desiredFile(folder), { force: true });
}

function streamsFile(folder: string): string {
  return join(folder, "streams.json");
}

/** Names of the streams that are to run whenever Spark does. */
export function desiredStreams(folder: string): string[] {
  const file = streamsFile(folder);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as string[]) : [];
}

/** Two commands at one moment may both write; the file is whole, and the later one counts. */
export function setDesiredStreams(folder: string, names: readonly string[], is_desired: boolean): void {
  const before = desiredStreams(folder);
  const others = before.filter((name) => !names.includes(name));
  const after = is_desired ? [...others, ...names].toSorted() : others;
  if (after.join("\n") === before.join("\n")) return;
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  writeWhole(streamsFile(folder), `${JSON.stringify(after)}\n`);
}
