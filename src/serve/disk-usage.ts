import { setTimeout as timer } from "node:timers/promises";
import { nameOfTable } from "../iceberg/errors.ts";
import type { Clock } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import type { TableReports } from "../query/tables.ts";
import type { Storage } from "../storage/storage.ts";
import { AnswerCache } from "./cache.ts";

/** All files in a table's folder: those of retained snapshots, metadata and orphan files. */
export interface DiskFigures {
  disk_files: number;
  disk_bytes: number;
}

/** Listing a folder takes one call per file, so the figures are cached. */
const AGE_MS = { fresh_ms: 30_000, stale_ms: 600_000 };
/** A request waits this long for the first measurement of a large lake, then is answered without it. */
const FIRST_MEASUREMENT_TIMEOUT_MS = 1_000;

/** Counts the files and bytes in the tables' folders, one folder at a time and at most every 30 s. */
export class DiskUsage {
  readonly #tables: Pick<TableReports, "all">;
  readonly #storage: Pick<Storage, "list">;
  readonly #cache: AnswerCache;

  constructor({
    tables,
    storage,
    clock,
  }: {
    tables: Pick<TableReports, "all">;
    storage: Pick<Storage, "list">;
    clock: Clock;
  }) {
    this.#tables = tables;
    this.#storage = storage;
    this.#cache = new AnswerCache(clock);
  }

  /** Figures by table; tables that were not measured yet are absent. */
  async measured(): Promise<ReadonlyMap<string, DiskFigures>> {
    const measuring = this.#cache.get("disk usage", AGE_MS, () => this.#measure());
    const abort = new AbortController();
    const giveUp = timer(FIRST_MEASUREMENT_TIMEOUT_MS, null, { signal: abort.signal, ref: false }).catch(() => null);
    // The measurement continues in the background and serves the next request.
    measuring.catch(() => {});
    try {
      return (await Promise.race([measuring, giveUp])) ?? new Map();
    } finally {
      abort.abort();
    }
  }

  async #measure(): Promise<Map<string, DiskFigures>> {
    const measured = new Map<string, DiskFigures>();
    for (const { identifier, metadata } of await this.#tables.all()) {
      const figures = await this.#filesBelow(metadata.location);
      if (figures !== null) measured.set(nameOfTable(identifier), figures);
    }
    return measured;
  }

  /** Null if the storage cannot list the folder; the other tables' figures are still shown. */
  async #filesBelow(location: string): Promise<DiskFigures | null> {
    let [disk_files, disk_bytes] = [0, 0];
    try {
      for await (const { size_bytes } of this.#storage.list(location)) {
        disk_files += 1;
        disk_bytes += size_bytes;
      }
    } catch (error) {
      if (error instanceof OperatingError) return null;
      throw error;
    }
    return { disk_files, disk_bytes };
  }
}

/** Bytes on disk per byte of the current snapshot; null if either is unknown or the snapshot is empty. */
export function amplificationOf(disk_bytes: number | null, live_bytes: number): number | null {
  return disk_bytes === null || live_bytes === 0 ? null : disk_bytes / live_bytes;
}
