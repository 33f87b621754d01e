import type { SparkSession } from "../../spark/session.ts";
import { UNLIMITED } from "./tables.ts";

export interface PartitionCopy {
  topic: string;
  partition: number;
  records: number;
  first_offset: number;
  last_offset: number;
  /** Offsets between first and last that the table lacks. */
  missing: number;
  /** Duplicate rows of offsets. */
  doubled: number;
  newest_ingested_at: string;
}

/** Compares a bronze table with its topic by partition: complete if no offset is missing or duplicated. */
export async function inspectBronze(session: SparkSession, table: string): Promise<PartitionCopy[]> {
  const rows = await session.sql(
    `select
      log_topic,
      log_partition,
      count(*) as records,
      count(distinct log_offset) as offsets,
      min(log_offset) as first_offset,
      max(log_offset) as last_offset,
      max(ingested_at) as newest_ingested_at
    from ${table}
    group by log_topic, log_partition
    order by log_topic, log_partition`,
    UNLIMITED,
  );
  return rows.map(({ log_topic, log_partition, records, offsets, first_offset, last_offset, newest_ingested_at }) => ({
    topic: String(log_topic),
    partition: Number(log_partition),
    records: Number(records),
    first_offset: Number(first_offset),
    last_offset: Number(last_offset),
    missing: Number(last_offset) - Number(first_offset) + 1 - Number(offsets),
    doubled: Number(records) - Number(offsets),
    newest_ingested_at: String(newest_ingested_at),
  }));
}
