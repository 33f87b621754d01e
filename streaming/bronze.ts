import { readStream, sqlRelation, type Relation } from "../src/spark/relation.ts";
import type { SparkSession } from "../src/spark/session.ts";
import type { StreamJob } from "../src/spark/job.ts";
import { BRONZE_SCHEMA, BRONZE_SPEC } from "../src/ingest/bronze.ts";
import type { Pipeline } from "../src/pipeline/definition.ts";

/** Maximum records per batch, so that a long backlog is committed in several batches. */
const MAX_RECORDS_PER_BATCH = 500_000;

/**
 * Maximum delay until external readers of a cluster see rows: the cluster has the cores for it, and the DAG compacts
 * its tables.
 */
const MAX_TRIGGER_MS = 10_000;

/** Iceberg's types as Spark names. */
const TYPES: Readonly<Record<string, string>> = {
  string: "string",
  binary: "binary",
  int: "int",
  long: "bigint",
  timestamptz: "timestamp",
  date: "date",
};

/**
 * Copies a topic from Kafka to a pipeline's bronze table, append only, each record exactly once:
 * - Spark's checkpoint records a batch's offsets before the batch starts, so a retry after a crash is the same batch;
 * - Iceberg's snapshots record the batch of the query that wrote them, so a committed batch is not committed again;
 * - the table records its consumed offsets: a new query skips lower offsets, even if its checkpoint is lost or its last
 * snapshot has expired.
 */
export function bronzeJob({ name, topic, bronze }: Pick<Pipeline, "name" | "topic" | "bronze">): StreamJob {
  const job_name = `${name}-bronze`;
  return {
    name: job_name,
    pipeline: name,
    description: `topic ${topic.name} to ${bronze.table}`,
    async start(
      streams,
      { kafka_brokers, trigger = { every_ms: Math.min(bronze.commit.interval_ms, MAX_TRIGGER_MS) } },
    ) {
      const running = await streams.find(job_name);
      if (running !== null) return running;
      for (const statement of tableStatements(bronze.table)) await streams.session.sql(statement);
      const reached = await nextOffsets(streams.session, topic.name, bronze.table);
      const input = records(readTopic(topic.name, kafka_brokers), reached);
      return await streams.start({
        name: job_name,
        input,
        table: bronze.table,
        trigger,
        options: { "fanout-enabled": "true" },
      });
    },
  };
}

function tableStatements(table: string): string[] {
  const columns = BRONZE_SCHEMA.fields.map(
    ({ name, type, doc = "" }) => `${name} ${TYPES[String(type)]} comment '${doc.replaceAll("'", "\\'")}'`,
  );
  const partition = BRONZE_SPEC.fields.map(({ name }) => name).join(", ");
  return [
    `create namespace if not exists ${table.slice(0, table.lastIndexOf("."))}`,
    `create table if not exists ${table} (${columns.join(", ")}) using iceberg partitioned by (${partition}) ` +
      "tblproperties ('format-version' = '2')",
  ];
}

/** By partition, the topic's first offset that the table lacks. */
async function nextOffsets(session: SparkSession, topic: string, table: string): Promise<Map<number, bigint>> {
  const rows = await session.sql(
    `select log_partition, max(log_offset) + 1 as next_offset from ${table}
      where log_topic = '${topic}' group by log_partition`,
  );
  return new Map(rows.map(({ log_partition, next_offset }) => [Number(log_partition), BigInt(String(next_offset))]));
}

function readTopic(topic: string, brokers: string): Relation {
  return readStream("kafka", {
    "kafka.bootstrap.servers": brokers,
    subscribe: topic,
    startingOffsets: "earliest",
    // A missing offset in Kafka stops the query; the query does not skip it.
    failOnDataLoss: "true",
    maxOffsetsPerTrigger: String(MAX_RECORDS_PER_BATCH),
    includeHeaders: "true",
  });
}

/**
 * The table's columns. A record's metadata is in its headers; a record of another producer has none, and is stored with
 * an empty source and Kafka's timestamp, as log readers do (src/log/kafka/record.ts).
 */
function records(topic: Relation, reached: ReadonlyMap<number, bigint>): Relation {
  const header = (name: string) => `cast(get(filter(headers, header -> header.key = '${name}'), 0).value as string)`;
  const known = [...reached].map(([partition, next]) => `(partition = ${partition} and offset < ${next})`);
  return sqlRelation(
    `with received as (
      select
        *,
        cast(coalesce(value, x'') as string) as text,
        coalesce(timestamp_micros(try_cast(${header("ingested_at_us")} as bigint)), timestamp) as received_at
      from topic
      where ${known.length === 0 ? "true" : `not (${known.join(" or ")})`}
    )
    select
      coalesce(${header("source")}, '') as source,
      try_validate_utf8(text) as payload,
      if(is_valid_utf8(text), null, value) as payload_bytes,
      octet_length(text) as payload_size_bytes,
      received_at as ingested_at,
      cast(received_at as date) as ingestion_date,
      topic as log_topic,
      partition as log_partition,
      offset as log_offset
    from received`,
    { topic },
  );
}
