import assert from "node:assert/strict";
import { test } from "node:test";
import { historyProperty, HISTORY_PROPERTY } from "../../src/iceberg/metadata/history.ts";
import type { TableMetadata } from "../../src/iceberg/model.ts";
import { DEFAULT_FAN_IN, DEFAULT_TARGET_SIZE_BYTES, partitionState } from "../../src/maintain/compact.ts";
import { planPartition, unsettledBytes, type StoredFile } from "../../src/maintain/plan.ts";
import { DEFAULT_RETENTION, snapshotsToKeep, UNSETTLED_BYTES } from "../../src/maintain/retention.ts";
import { windowOf } from "../../src/maintain/window.ts";

/**
 * Simulates the compaction plan and the choice of snapshots over a month of increments, without files: these two
 * decisions alone determine the number of files and the bytes on disk.
 */

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const START_MS = Date.UTC(2026, 0, 5);
const LIMITS = { target_size_bytes: DEFAULT_TARGET_SIZE_BYTES, fan_in: DEFAULT_FAN_IN };
const INCREMENT_MS = 90_000;
const FILE_BYTES = 15_000;
const ROWS = 900;

interface SimulatedSnapshot {
  id: number;
  at_ms: number;
  files: ReadonlySet<StoredFile>;
  unsettled_bytes: number | null;
}

class SimulatedTable {
  snapshots: SimulatedSnapshot[] = [];
  #made = 0;
  #properties: Record<string, string> = {};

  get files(): ReadonlySet<StoredFile> {
    return this.snapshots.at(-1)?.files ?? new Set();
  }

  append(at_ms: number): void {
    const day = Math.floor(at_ms / DAY_MS);
    this.#commit(
      at_ms,
      [...this.files, this.#file({ rows: ROWS, size_bytes: FILE_BYTES, day, window_ms: windowOf(at_ms) })],
      null,
    );
  }

  compact(at_ms: number): void {
    const partitions = Map.groupBy(this.files, ({ partition }) => partition.get(1000));
    const bins = [...partitions.values()].flatMap((files) =>
      planPartition(files, LIMITS, partitionState(files, this.#time(at_ms))),
    );
    if (bins.length === 0) return;
    const gone = new Set(bins.flatMap(({ files }) => files));
    const made = bins.map(({ files }) => {
      const sum = (of: (file: StoredFile) => number) => files.reduce((total, file) => total + of(file), 0);
      const window_ms = Math.max(...files.map((file) => file.window_ms));
      return this.#file({
        rows: sum(({ rows }) => rows),
        size_bytes: sum(({ size_bytes }) => size_bytes),
        day: Number(files[0]?.partition.get(1000)),
        window_ms,
      });
    });
    const left = [...[...this.files].filter((file) => !gone.has(file)), ...made].sort(
      (a, b) => Number(a.sequence_number) - Number(b.sequence_number),
    );
    this.#commit(at_ms, left, unsettledBytes(left, LIMITS));
  }

  expire(at_ms: number): void {
    const metadata = this.#metadata();
    const kept = snapshotsToKeep(metadata, DEFAULT_RETENTION, at_ms);
    this.#properties = { [HISTORY_PROPERTY]: historyProperty(metadata, kept) };
    this.snapshots = this.snapshots.filter(({ id }) => kept.has(id));
  }

  figures(): { amplification: number; data_files: number; snapshots: number } {
    const size = (files: Iterable<StoredFile>) => [...files].reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    const all = new Set(this.snapshots.flatMap(({ files }) => [...files]));
    return { amplification: size(all) / size(this.files), data_files: all.size, snapshots: this.snapshots.length };
  }

  #time(newest_ms: number): Parameters<typeof partitionState>[1] {
    const old = this.snapshots.filter(({ at_ms }) => at_ms <= newest_ms - 2 * 60 * MINUTE_MS);
    return { newest_ms, cold_before: old.at(-1)?.id ?? null };
  }

  #file({ day, ...file }: { rows: number; size_bytes: number; day: number; window_ms: number }): StoredFile {
    this.#made += 1;
    return {
      ...file,
      location: String(this.#made),
      spec_id: 0,
      partition: new Map([[1000, day]]),
      sequence_number: this.#made,
      deletes: [],
    };
  }

  #commit(at_ms: number, files: readonly StoredFile[], unsettled_bytes: number | null): void {
    this.#made += 1;
    this.snapshots.push({ id: this.#made, at_ms, files: new Set(files), unsettled_bytes });
  }

  #metadata(): TableMetadata {
    const current = this.snapshots.at(-1)?.id ?? null;
    return {
      "current-snapshot-id": current,
      refs: {},
      properties: this.#properties,
      snapshots: this.snapshots.map(({ id, at_ms, unsettled_bytes }) => ({
        "snapshot-id": id,
        "timestamp-ms": at_ms,
        summary:
          unsettled_bytes === null
            ? { operation: "append" }
            : { operation: "replace", [UNSETTLED_BYTES]: String(unsettled_bytes) },
      })),
      "snapshot-log": this.snapshots.map(({ id, at_ms }) => ({ "snapshot-id": id, "timestamp-ms": at_ms })),
      "metadata-log": [],
    } as unknown as TableMetadata;
  }
}

test("a month of increments, compacted and expired, keeps the bytes on disk near the live bytes", () => {
  const table = new SimulatedTable();
  const after = new Map<number, ReturnType<SimulatedTable["figures"]>>();
  for (let at_ms = START_MS; at_ms <= START_MS + 30 * DAY_MS + 4 * 60 * MINUTE_MS; at_ms += INCREMENT_MS) {
    table.append(at_ms);
    table.compact(at_ms + 20_000);
    if (at_ms % (15 * MINUTE_MS) === 0) table.expire(at_ms + 30_000);
    const minutes = (at_ms - START_MS) / MINUTE_MS;
    if ([1_440, 1_440 + 180, 7 * 1_440, 30 * 1_440, 30 * 1_440 + 180].includes(minutes))
      after.set(minutes, table.figures());
  }
  if (process.env["FIGURES"]) console.log(after);
  const figuresAt = (minutes: number) => after.get(minutes) ?? assert.fail(`no figures after ${minutes} minutes`);
  assert.ok(figuresAt(1_440).amplification <= 1.5, "after a day");
  assert.ok(figuresAt(1_440 + 180).amplification <= 2.2, "when the first day is cold");
  for (const days of [30, 30.125]) assert.ok(figuresAt(days * 1_440).amplification <= 1.3, "after a month");
  for (const { data_files, snapshots } of after.values())
    assert.ok(data_files <= 300 && snapshots <= 130, `${data_files} files, ${snapshots} snapshots`);
});
