import { intersectOffsets, type OffsetRanges } from "../ingest/offset-ranges.ts";
import type { BronzeFiles } from "../duckdb/bronze-files.ts";
import type { Log, LogRecord, PartitionBounds } from "../log/log.ts";

const READ_MAX_BYTES = 8 * 1024 * 1024;

interface Comparison {
  topic: string;
  /** Bounds of the log. */
  bounds: readonly PartitionBounds[];
  /** Null without a log for comparison. */
  log: Log | null;
  files: Pick<BronzeFiles, "records">;
}

/** Whether a data file's records equal the log's retained records: source, time and payload. */
export async function isAsInLog(
  { log, topic, bounds, files }: Comparison,
  location: string,
  offsets: OffsetRanges,
): Promise<boolean> {
  if (log === null) return true;
  const kept = intersectOffsets(
    offsets,
    new Map(bounds.map(({ partition, begin, end }) => [partition, [[begin, end]]])),
  );
  if (kept.size === 0) return true;
  for await (const records of files.records([location], topic, kept)) {
    for (const some of runsOf(records)) {
      const [first] = some;
      if (first === undefined) continue;
      const expected = new Map<number, LogRecord>();
      for (let offset = first.offset; expected.size < some.length;) {
        const read = await log.read(topic, first.partition, offset, {
          max_records: some.length - expected.size,
          max_bytes: READ_MAX_BYTES,
        });
        if (read.length === 0) return false;
        for (const record of read) expected.set(record.offset, record);
        offset += read.length;
      }
      if (!some.every((record) => isSame(record, expected.get(record.offset)))) return false;
    }
  }
  return true;
}

/** Records of one partition with consecutive offsets. */
function runsOf(records: readonly LogRecord[]): LogRecord[][] {
  const runs: LogRecord[][] = [];
  for (const record of records) {
    const last = runs.at(-1)?.at(-1);
    if (last !== undefined && last.partition === record.partition && last.offset + 1 === record.offset)
      runs.at(-1)?.push(record);
    else runs.push([record]);
  }
  return runs;
}

function isSame(record: LogRecord, expected: LogRecord | undefined): boolean {
  if (expected === undefined) return false;
  const is_same_time = record.ingested_at_us === expected.ingested_at_us;
  return is_same_time && record.source === expected.source && Buffer.compare(record.payload, expected.payload) === 0;
}
