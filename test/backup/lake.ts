import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { nameOfTable } from "../../src/iceberg/errors.ts";
import { adopt } from "../../src/backup/move.ts";
import { openLake } from "../../src/lake/open.ts";
import { QuerySession } from "../../src/duckdb/session.ts";
import { findLake } from "../../src/lake/lake.ts";
import { noop } from "../../src/base/failpoints.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { startCoinlake, type Finished } from "../support/coinlake.ts";
import { read, type Found, type Place } from "../interop/readers.ts";
import { crypto } from "../../pipelines/crypto.ts";
import { prepareModels } from "../../src/transform/models.ts";
import { Lakes } from "../dbt/lake.ts";
import { keptFolder } from "../support/kept.ts";
import { marketStream } from "../dbt/stream.ts";

export const LAKE = "simulated";

/**
 * Creates a closed lake of two increments in the folder. Its tables have older snapshots and row deletes, and it has
 * the compiled live views, as `start` leaves them. All test files get copies of one lake.
 */
export async function prepareLake(to: string): Promise<string> {
  return copyLake(await keptFolder("lake-of-two-increments", buildLake), to);
}

async function buildLake(data_folder: string): Promise<void> {
  const lakes = await Lakes.open();
  try {
    const lake = await lakes.fresh({ data_folder });
    const stream = await marketStream(5);
    for (const part of [stream.slice(0, 150), stream.slice(150, 400)]) {
      await lake.append(part);
      await lake.ingest();
      await lake.increment();
    }
    const { dbt_folder } = lake.open.lake;
    mkdirSync(dbt_folder, { recursive: true });
    await prepareModels({ run: (args) => lake.dbt(...args) }, crypto.transform.project, dbt_folder);
  } finally {
    await lakes.close();
  }
}

/** A separate lake with the same content. The given folder must be closed, or not opened since its creation. */
export async function copyLake(data_folder: string, to: string): Promise<string> {
  cpSync(data_folder, to, { recursive: true });
  const engine = { memory_limit_mb: 256, threads: 1, s3: null };
  await adopt(
    {
      folder: join(to, LAKE),
      storage: new FileStorage(),
      engine,
      step: noop,
      signal: new AbortController().signal,
    },
    { is_copy: true },
  );
  return to;
}

/** The content of each table at its current snapshot and at every retained snapshot. */
export type Content = Map<string, Found>;

export async function placesOf(data_folder: string): Promise<Place[]> {
  const open = await openLake(findLake(data_folder, LAKE));
  try {
    const places: Place[] = [];
    for (const layer of ["bronze", "silver", "gold"]) {
      for (const identifier of await open.catalog.listTables([layer])) {
        const { metadata } = await open.catalog.loadTable(identifier);
        places.push([nameOfTable(identifier), null]);
        for (const snapshot of metadata.snapshots)
          places.push([nameOfTable(identifier), String(snapshot["snapshot-id"])]);
      }
    }
    return places;
  } finally {
    await open.close();
  }
}

export async function contentOf(data_folder: string): Promise<Content> {
  const places = await placesOf(data_folder);
  const open = await openLake(findLake(data_folder, LAKE));
  const session = await QuerySession.open(open);
  try {
    const content: Content = new Map();
    for (const [table, snapshot_id] of places)
      content.set(`${table} ${snapshot_id ?? "head"}`, await read(session, table, snapshot_id));
    return content;
  } finally {
    session.close();
    await open.close();
  }
}

/**
 * SHA-256 of every file by path, and every folder. Includes the lock files of a claim (`owner.*`) only with `is_exact`.
 */
export function treeOf(folder: string, { is_exact = true } = {}): Map<string, string> {
  const tree = new Map<string, string>();
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name).slice(folder.length + 1);
    if (!is_exact && /(?:^|\/)(?:owner\.[\w-]+|maintenance|lake\.json)(?:$|\/)/.test(path)) continue;
    const content = entry.isFile()
      ? createHash("sha256")
          .update(readFileSync(join(folder, path)))
          .digest("hex")
      : "folder";
    tree.set(path, content);
  }
  return tree;
}

/** Paths whose entries differ. */
export function differencesOf(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((path) => before.get(path) !== after.get(path));
}

/** Runs the command with a crash at the failpoint. */
export async function killedAt(step: string, args: readonly string[]): Promise<Finished> {
  const finished = await startCoinlake(args, { COINLAKE_KILL_AT: step }).finished;
  assert.equal(finished.signal, "SIGKILL", `${args[0]} reaches "${step}": ${finished.stderr}`);
  return finished;
}
