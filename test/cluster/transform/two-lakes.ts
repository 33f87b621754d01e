import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { crypto } from "../../../pipelines/crypto.ts";
import { Catalog } from "../../../src/catalog/catalog.ts";
import { HiveStore } from "../../../src/catalog/hive/store.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { SparkStreams } from "../../../src/spark/streams.ts";
import { openKafkaLog, type KafkaLog } from "../../../src/log/kafka/log.ts";
import type { SourceRecord } from "../../../src/producer/producer.ts";
import { s3SettingsFrom } from "../../../src/storage/s3/settings.ts";
import { S3Storage } from "../../../src/storage/s3/storage.ts";
import type { Pipeline } from "../../../src/pipeline/definition.ts";
import { sparkPython } from "../../../src/transform/engine.ts";
import { Transform } from "../../../src/transform/transform.ts";
import { DbtWorker, type CommandResult } from "../../../src/transform/worker.ts";
import { bronzeJob } from "../../../streaming/bronze.ts";
import { temporaryFolder } from "../../support/coinlake.ts";
import { Lakes, MODELS, type TestLake } from "../../dbt/lake.ts";

/** The built tables of a pipeline, with its seeds. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  [crypto.name]: ["silver.crypto_products", ...MODELS],
};
/** Maximum differing rows shown. */
const SHOWN = 4;
const MOST_SHOWN_CHARACTERS = 2_000;

/** The same records in an embedded lake and, through Kafka, in a lake on Spark. */
export class TwoLakes {
  readonly embedded: TestLake;
  readonly streams: SparkStreams;
  /** Catalog of the lake on Spark. */
  readonly catalog: Catalog;
  readonly #pipeline: Pipeline;
  readonly #lakes: Lakes;
  readonly #kafka: KafkaLog;
  readonly #brokers: string;
  readonly #remote: string;
  readonly #python: string;
  readonly #folder = temporaryFolder();
  readonly worker: DbtWorker;
  /** Called with the name of each node on Spark as it finishes. */
  onNode: (name: string) => void = () => {};

  private constructor(
    pipeline: Pipeline,
    lakes: Lakes,
    embedded: TestLake,
    kafka: KafkaLog,
    python: string,
    environment: Readonly<Record<string, string>>,
  ) {
    this.#pipeline = pipeline;
    this.#lakes = lakes;
    this.embedded = embedded;
    this.#kafka = kafka;
    this.#python = python;
    this.#brokers = environment["COINLAKE_KAFKA_BROKERS"] ?? "";
    this.#remote = environment["SPARK_REMOTE"] ?? "";
    this.streams = new SparkStreams(this.#remote);
    const { COINLAKE_HIVE_URI: uri = "", COINLAKE_WAREHOUSE: warehouse = "" } = environment;
    this.catalog = new Catalog({
      store: new HiveStore({ uri, warehouse }),
      storage: new S3Storage(s3SettingsFrom(environment)),
      warehouse,
    });
    this.worker = this.#newWorker();
  }

  static async open(
    environment: Readonly<Record<string, string>>,
    { partitions = 1, pipeline = crypto }: { partitions?: number; pipeline?: Pipeline } = {},
  ): Promise<TwoLakes> {
    const lakes = await Lakes.open({ pipeline });
    const embedded = await lakes.fresh({ partitions });
    const kafka = await openKafkaLog({ brokers: [environment["COINLAKE_KAFKA_BROKERS"] ?? ""] });
    await kafka.createTopic(pipeline.topic.name, partitions);
    const python = await sparkPython({ clock: systemClock, say: () => {} });
    return new TwoLakes(pipeline, lakes, embedded, kafka, python, environment);
  }

  async close(): Promise<void> {
    await this.worker.close();
    this.streams.disconnect();
    await this.catalog.close();
    await this.#kafka.close();
    await this.#lakes.close();
    this.#folder.remove();
  }

  /** Appends to both logs and ingests into both bronze tables. */
  async append(records: readonly SourceRecord[]): Promise<void> {
    await this.embedded.append(records);
    await this.#kafka.append(this.#pipeline.topic.name, records);
    await this.embedded.ingest();
    const query = await bronzeJob(this.#pipeline).start(this.streams, {
      kafka_brokers: this.#brokers,
      trigger: { every_ms: 100 },
    });
    await query.drain();
  }

  /** The transform from bronze to gold on Spark. */
  transform(): Transform {
    return new Transform({ pipeline: this.#pipeline, catalog: this.catalog, worker: this.worker, engine: "spark" });
  }

  /** Runs one dbt command on Spark. */
  dbt(...args: string[]): Promise<CommandResult> {
    return this.worker.run(args);
  }

  /** Asserts that all tables of both lakes have equal rows and columns. */
  async assertSame(): Promise<void> {
    const found: Record<string, object> = {};
    const { name, bronze, reconciliation } = this.#pipeline;
    for (const table of [bronze.table, ...(TABLES[name] ?? Object.keys(reconciliation.tables))]) {
      const columns = await this.#columnsOf(table);
      const embedded = await this.embedded.rows(`select ${columns.map(onDuckDB).join(", ")} from ${table}`);
      const on_spark = await this.streams.session.sql(
        `select array(${columns.map(onSpark).join(", ")}) as row from ${table}`,
      );
      const different = differences(
        embedded,
        on_spark.map(({ row }) => row as (string | null)[]),
        columns,
      );
      if (Object.values(different).some((rows) => rows.length > 0))
        found[`${table} (${columns.map(({ name }) => name).join("|")})`] = different;
    }
    assert.deepEqual(found, {});
  }

  async #columnsOf(table: string): Promise<Column[]> {
    const rows = await this.embedded.rows(`select column_name, column_type from (describe ${table})`);
    return rows.map(([name, type]) => ({ name: name ?? "", type: type ?? "" }));
  }

  #newWorker(): DbtWorker {
    const options = {
      project: this.#pipeline.transform.project,
      engine: { kind: "spark", remote: this.#remote, python: this.#python },
      folder: join(this.#folder.path, "dbt"),
    } as const;
    return new DbtWorker({ ...options, onNode: (name) => this.onNode(name) });
  }
}

interface Column {
  name: string;
  /** DuckDB's type name. */
  type: string;
}

/** A value as text that both engines yield alike; times in microseconds. */
function onDuckDB({ name, type }: Column): string {
  if (type === "TIMESTAMP WITH TIME ZONE") return `epoch_us(${name})::varchar`;
  return type === "BLOB" ? `sha256(${name})` : `${name}::varchar`;
}

function onSpark({ name, type }: Column): string {
  if (type === "TIMESTAMP WITH TIME ZONE") return `cast(unix_micros(${name}) as string)`;
  return type === "BLOB" ? `sha2(${name}, 256)` : `cast(${name} as string)`;
}

type Row = readonly (string | null)[];

/** Compares multisets: a duplicate row counts twice. */
function differences(
  embedded: readonly Row[],
  on_spark: readonly Row[],
  columns: readonly Column[],
): Record<string, string[]> {
  const surplus = new Map<string, number>();
  const add = (row: Row, count: number) => {
    const text = JSON.stringify(
      row.map((value, index) => (columns[index]?.name === "element" ? canonical(value) : shortened(value))),
    );
    surplus.set(text, (surplus.get(text) ?? 0) + count);
  };
  for (const row of embedded) add(row, 1);
  for (const row of on_spark) add(row, -1);
  const rows = [...surplus].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    "in the embedded lake only": rows
      .filter(([, count]) => count > 0)
      .map(([row]) => row)
      .slice(0, SHOWN),
    "on Spark only": rows
      .filter(([, count]) => count < 0)
      .map(([row]) => row)
      .slice(0, SHOWN),
  };
}

/** A rejected element as JSON: DuckDB reformats numbers (0.50 becomes 0.5), Spark does not. */
function canonical(element: string | null): unknown {
  try {
    return JSON.parse(element ?? "null");
  } catch {
    return element;
  }
}

function shortened(value: string | null): string | null {
  return value !== null && value.length > MOST_SHOWN_CHARACTERS
    ? createHash("sha256").update(value).digest("hex")
    : value;
}
