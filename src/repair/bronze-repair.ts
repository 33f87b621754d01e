import type { LoadedTable, Long, TableCatalog, TableIdentifier } from "../iceberg/model.ts";
import type { Clock } from "../base/clock.ts";
import type { BronzeFiles } from "../duckdb/bronze-files.ts";
import { createAppendStager } from "../iceberg/append.ts";
import { CONTENT, type DataFile, type ManifestEntry } from "../iceberg/manifest-model.ts";
import { stageReplacement } from "../iceberg/replace.ts";
import { liveEntriesOf } from "../iceberg/snapshot-files.ts";
import { bronzeColumns, bronzePartitionFieldId, openBronze } from "../ingest/bronze.ts";
import { LOST_OFFSETS_PROPERTY, writeLostOffsets } from "../ingest/lost-offsets.ts";
import type { OffsetRanges } from "../ingest/offset-ranges.ts";
import { writeOffsets } from "../ingest/offsets.ts";
import { LOG_OFFSETS_PROPERTY } from "../iceberg/metadata/log-offsets.ts";
import type { RecordWriter } from "../ingest/record-writer.ts";
import type { Log, LogRecord } from "../log/log.ts";
import type { Storage } from "../storage/storage.ts";
import type { BronzePlan } from "./bronze-plan.ts";
import { removal } from "./reset.ts";
import type { TableState } from "./table-state.ts";

export interface BronzeParts {
  catalog: TableCatalog;
  storage: Storage;
  clock: Clock;
  /** Null if it cannot be read. */
  log: Log | null;
  files: BronzeFiles;
  writer: RecordWriter;
  table: TableIdentifier;
  topic: string;
}

const READ = { max_records: 2048, max_bytes: 1024 * 1024 };

/**
 * Makes one commit that removes damaged files, restores recovered records at their original offsets, and records the
 * lost offsets. The damaged files are not deleted.
 */
export async function repairBronze(
  parts: BronzeParts,
  state: TableState | null,
  plan: BronzePlan,
  unreadable: readonly Long[],
): Promise<void> {
  const { catalog, storage, clock, writer, table: identifier, topic } = parts;
  const table = state?.loaded ?? (await openBronze(catalog, identifier));
  const target = {
    location: table.metadata.location,
    topic,
    columns: bronzeColumns(table),
    partition_field_id: bronzePartitionFieldId(table),
  };
  const added = await writer.write(target, recordsOf(parts, plan));
  const properties: Record<string, string> = { [LOG_OFFSETS_PROPERTY]: writeOffsets(table.metadata, topic, plan.next) };
  if (plan.lost.size > 0) properties[LOST_OFFSETS_PROPERTY] = writeLostOffsets(table.metadata, topic, plan.lost);
  const { snapshot_id: _id, change } = await stage({ storage, clock }, table, state, { added, plan });
  const updates = [...change.updates, { action: "set-properties", updates: properties }, ...removal(unreadable)];
  await catalog.commit([{ ...change, updates }]);
}

async function stage(
  parts: { storage: Storage; clock: Clock },
  table: LoadedTable,
  state: TableState | null,
  { added, plan }: { added: readonly DataFile[]; plan: BronzePlan },
) {
  if (state === null || state.snapshot === null) return createAppendStager(parts).stage(table, added);
  const kept = liveEntriesOf(state.manifests, CONTENT.data).filter(
    ({ data_file }) => !plan.removed.has(data_file.file_path),
  );
  return stageReplacement(parts, table, state.manifests, {
    added: added.map((file) => ({ file, spec_id: table.metadata["default-spec-id"] })),
    removed: plan.removed,
    sequence_number: table.metadata["last-sequence-number"],
    // The counts of a lost manifest are unknown.
    summary: { operation: "overwrite", ...totals([...kept.map(fileOf), ...added]) },
  });
}

function fileOf({ data_file }: ManifestEntry): DataFile {
  return data_file;
}

function totals(files: readonly DataFile[]): Record<string, string> {
  const sum = (figure: (file: DataFile) => Long): string =>
    String(files.reduce((total, file) => total + BigInt(figure(file)), 0n));
  return {
    "total-data-files": String(files.length),
    "total-records": sum(({ record_count }) => record_count),
    "total-files-size": sum(({ file_size_in_bytes }) => file_size_in_bytes),
  };
}

/** Uses constant memory. */
async function* recordsOf({ log, files, topic }: BronzeParts, plan: BronzePlan): AsyncGenerator<readonly LogRecord[]> {
  yield* logRecords(log, topic, plan.from_log);
  if (plan.sources.length > 0) yield* files.records(plan.sources, topic, plan.from_files);
}

async function* logRecords(log: Log | null, topic: string, ranges: OffsetRanges): AsyncGenerator<readonly LogRecord[]> {
  if (log === null) return;
  for (const [partition, some] of ranges) {
    for (const [from, to] of some) {
      for (let offset = from; offset < to;) {
        const records = await log.read(topic, partition, offset, {
          ...READ,
          max_records: Math.min(READ.max_records, to - offset),
        });
        if (records.length === 0) throw new TypeError(`the log ends at ${offset}, within its own bounds`);
        offset += records.length;
        yield records;
      }
    }
  }
}
