import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { OperatingError, messageOf } from "../base/errors.ts";
import { claimFolder, ownerOf } from "../lake/ownership.ts";
import { isRunning, type ProcessIdentity } from "./machine/process.ts";
import type { ServiceName, Secrets } from "./service.ts";
import { makeFolder } from "../base/folder.ts";

/**
 * A cluster is a folder: `secrets.json`, `environment.env` for clients, and one folder for each service with its
 * configuration, data, logs and, while it should be running, `running.json`.
 */
export interface ServiceState extends ProcessIdentity {
  version: string;
  ports: Record<string, number>;
  started_at: string;
}

/** The folder of the cluster in a data folder (`--data`). */
export function clusterFolder(data_folder: string): string {
  return join(resolve(data_folder), "cluster");
}

export function serviceFolder(folder: string, name: ServiceName): string {
  return join(folder, name);
}

function stateFile(folder: string, name: ServiceName): string {
  return join(serviceFolder(folder, name), "running.json");
}

/** The state of a service that was started and not stopped. Its process may have died since. */
export function readState(folder: string, name: ServiceName): ServiceState | null {
  const file = stateFile(folder, name);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as ServiceState) : null;
}

export function readRunning(folder: string, name: ServiceName): ServiceState | null {
  const state = readState(folder, name);
  return state !== null && isRunning(state) ? state : null;
}

export function writeState(folder: string, name: ServiceName, state: ServiceState): void {
  writeWhole(stateFile(folder, name), `${JSON.stringify(state, null, 2)}\n`);
}

export function forgetState(folder: string, name: ServiceName): void {
  rmSync(stateFile(folder, name), { force: true });
}

function secretsFile(folder: string): string {
  return join(folder, "secrets.json");
}

export function isCluster(folder: string): boolean {
  return existsSync(secretsFile(folder));
}

export function readSecrets(folder: string): Secrets {
  return JSON.parse(readFileSync(secretsFile(folder), "utf8")) as Secrets;
}

/** Shell assignments for clients of the running services: `set -a; . environment.env`. */
export function environmentFile(folder: string): string {
  return join(folder, "environment.env");
}

export function writeEnvironment(folder: string, environment: Readonly<Record<string, string>>): void {
  writeWhole(
    environmentFile(folder),
    Object.entries(environment)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
}

/** The variables in that file; empty where no cluster was ever started. */
export function readEnvironment(folder: string): Record<string, string> {
  const file = environmentFile(folder);
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

/** Makes the cluster's folder where it is new. Throws CLUSTER_FOLDER_NOT_WRITABLE. */
export function openOrCreateCluster(folder: string): Secrets {
  try {
    // A service that runs as another user must pass through this folder, and can read only its own folder.
    makeFolder(folder, 0o711);
    const known = isCluster(folder) ? readSecrets(folder) : {};
    const secrets = newSecrets();
    // A cluster of an earlier version lacks the secrets of services that were added later.
    if (Object.keys(secrets).some((name) => !(name in known)))
      writeWhole(secretsFile(folder), `${JSON.stringify({ ...secrets, ...known }, null, 2)}\n`);
  } catch (error) {
    throw new OperatingError(
      "CLUSTER_FOLDER_NOT_WRITABLE",
      `The cluster's folder ${folder} cannot be made: ${messageOf(error)}`,
      {
        next_step: "Name a folder that you may write to with --data.",
        cause: error,
      },
    );
  }
  return readSecrets(folder);
}

function newSecrets(): Secrets {
  const random = (size_bytes: number) => randomBytes(size_bytes).toString("hex");
  return {
    s3_access_key: `coinlake-${random(4)}`,
    s3_secret_key: random(20),
    postgres_password: random(20),
    airflow_password: random(10),
    airflow_secret: random(32),
  };
}

/** One command at a time starts or stops a cluster's services. Throws CLUSTER_BUSY. */
export function claimCluster(folder: string, activity: string): { release(): void } {
  const claim = claimFolder(folder, activity);
  if (claim !== null) return claim;
  throw new OperatingError("CLUSTER_BUSY", `The cluster in ${folder} is being changed by ${ownerOf(folder)}`, {
    next_step: "Let that command end, then run this again.",
  });
}

/** Replaces the file atomically. Only its owner can read it. */
export function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}
