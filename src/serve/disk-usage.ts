import { setTimeout as timer } from "node:timers/promises";
import { nameOfTable } from "../iceberg/errors.ts";
import type { Clock } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import type { TableReports } from "../query/tables.ts";
import type { Storage } from "../storage/storage.ts";
import { AnswerCache } from "./cache.ts";

/** All files in a table's folder: those of every retained snapshot, metadata, and what no snapshot needs (any more). */
export interface DiskFigures {
  disk_files: number;
  disk_bytes: number;
}

/** Listing a folder costs a call for each of its files. */
const AGE_MS = { fresh_ms: 30_000, stale_ms: 600_000 };
/** A request waits this long for the first measurement of a lake with very many files, and is then answered without it. */
const PATIENCE_MS = 1_000;

/** How many files the tables' folders hold, and how many bytes: measured at most every half minute, one folder after the other. */
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

  /** By table; a table that was not measured yet is missing. */
  async measured(): Promise<ReadonlyMap<string, DiskFigures>> {
    const measuring = this.#cache.get("disk usage", AGE_MS, () => this.#measure());
    const abort = new AbortController();
    const giveUp = timer(PATIENCE_MS, null, { signal: abort.signal, ref: false }).catch(() => null);
    // The measurement goes on for the next request.
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

  /** Null where the storage does not list the folder: the other tables' figures are still worth showing. */
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

/** Bytes on disk for each byte that the newest snapshot reads; null where either is unknown or nothing is live. */
export function amplificationOf(disk_bytes: number | null, live_bytes: number): number | null {
  return disk_bytes === null || live_bytes === 0 ? null : disk_bytes / live_bytes;
}
