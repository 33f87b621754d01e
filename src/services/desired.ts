import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "./state.ts";
import type { ServiceName } from "./service.ts";
import { makeFolder } from "../base/folder.ts";

/**
 * The desired state: services and streams that a person started and did not stop, in `desired.json` and `streams.json`
 * of the cluster's folder. The actual state is `running.json` of each service. The supervisor makes the actual state
 * match.
 */
export interface Desired {
  /** How the cluster was started: with native servers on this machine, or with Docker. */
  mode: "native" | "docker";
  /** Services with their ports, which a restart uses again. Empty with Docker, which keeps its own list. */
  parts: Partial<Record<ServiceName, Readonly<Record<string, number>>>>;
}

function desiredFile(folder: string): string {
  return join(folder, "desired.json");
}

/** Null where no cluster is desired. */
export function readDesired(folder: string): Desired | null {
  const file = desiredFile(folder);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Desired) : null;
}

export function writeDesired(folder: string, desired: Desired): void {
  makeFolder(folder, 0o711);
  writeWhole(desiredFile(folder), `${JSON.stringify(desired, null, 2)}\n`);
}

export function forgetDesired(folder: string): void {
  rmSync(desiredFile(folder), { force: true });
}

function streamsFile(folder: string): string {
  return join(folder, "streams.json");
}

/** Names of the streams that run whenever Spark runs. */
export function desiredStreams(folder: string): string[] {
  const file = streamsFile(folder);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as string[]) : [];
}

/** Two commands may write at the same time: the file is replaced atomically, and the last write wins. */
export function setDesiredStreams(folder: string, names: readonly string[], is_desired: boolean): void {
  const before = desiredStreams(folder);
  const others = before.filter((name) => !names.includes(name));
  const after = is_desired ? [...others, ...names].toSorted() : others;
  if (after.join("\n") === before.join("\n")) return;
  makeFolder(folder, 0o711);
  writeWhole(streamsFile(folder), `${JSON.stringify(after)}\n`);
}
