import type { ZodType } from "zod";
import type { Pacing } from "../base/pacing.ts";
import type { Producer } from "../producer/producer.ts";
import type { EventPosition } from "./event-order.ts";

/**
 * A pipeline as data: what `src/` needs to know to run it. Adding one means writing such a definition, its producers and its
 * dbt project; nothing in `src/` changes.
 */
export interface Pipeline {
  /** Lower case, names the pipeline on the command line and in reports. */
  name: string;
  topic: {
    name: string;
    partitions: number;
    /**
     * The log forgets a record this long after its ingestion, and never before bronze has it; in milliseconds. Bronze and the live tail
     * need no more than minutes of it, and read bronze for what is older; the rest is for `verify`, which compares bronze with it, and for a
     * person who looks at records. It is not compressed: an hour of it takes more of the disk than a day of bronze.
     */
    retention_ms: number;
  };
  bronze: {
    /** `namespace.table`. */
    table: string;
    /**
     * When a commit is due. Each costs four files, and an engine that reads the tables alone sees a record once it is committed; the
     * live views do not wait for it. 1 s to 10 min; records and bytes at most a third of what the live tail holds (`TAIL_LIMITS`).
     */
    commit: Pacing;
    /** About the most payload that one commit takes, in bytes; 1 to 256 MiB, as a data file of it is written in one piece. */
    commit_size_bytes: number;
  };
  transform: {
    /** Folder of the dbt project, from the repository's root. */
    project: string;
    /**
     * When an increment is due, if bronze is ahead of silver. Each costs about 40 files. 5 s to 1 h; records and bytes at most a third of
     * what the live tail holds, as it waits for the tables.
     */
    increment: Pacing;
    /** The share of a core that increments take at most, unless so much waits that one is due at once; 0.01 to 1. */
    increment_max_share: number;
    /** Time from one run of the tests over the whole lake to the next, in milliseconds; 1 min or more. */
    test_interval_ms: number;
    /** The share of a core that tests take at most: a larger lake is tested less often; 0.001 to 1. */
    test_max_share: number;
  };
  maintenance: {
    /** The columns along which compaction sorts a table's rows, all at once (Z-order), by `layer.table`; the others are only packed. */
    z_order: Readonly<Record<string, readonly string[]>>;
  };
  /** By the name that `--source` takes; `replay:FILE` passes FILE. Names of live sources can be listed: `--source one,other`. */
  producers: Record<string, ProducerFactory>;
  default_source: string;
  /** Where `start` turns when the default source does not answer at the first start. */
  fallback_source: string;
  reconciliation: ReconciliationRules;
  live: LiveDefinition;
  subjects: SubjectsDefinition;
  /** `default_rules`: alert rules as JSON (alert/rule.ts says how), written once into a new lake; whoever does not want one deletes it. */
  alerts: { default_rules: readonly object[] };
  /** SQL for the event time of the newest accepted record, as text; questions are answered as of it. */
  latest_event(table: TableNaming): string;
  questions: readonly Question[];
  /** What the pipeline adds to the HTTP API, under /api. */
  api: readonly ApiResource[];
}

/** What the pipeline's prices, orders or readings are about, by the names that people use. */
export interface SubjectsDefinition {
  /** In the singular, for messages: "coin". */
  noun: string;
  /** The table that `sql` reads. */
  table: string;
  /** One row a subject. */
  sql(table: TableNaming): string;
  /** A row of it. */
  known(row: Record<string, string | null>): KnownSubject;
  /** Subjects that the project lists, for a lake that knows none yet. */
  listed(): readonly KnownSubject[];
}

export interface KnownSubject {
  id: string;
  symbol: string;
  name: string;
  /** By which it goes elsewhere. */
  other_names: readonly string[];
  /** 1 is the most important; null where nobody ranks it. */
  rank: number | null;
  is_gone: boolean;
}

/**
 * What SQL is to call a table, by its `layer.table`: questions are asked of the tables themselves, or of the live views that add
 * what the tables have not absorbed yet.
 */
export type TableNaming = (table: string) => string;

/** A GET route of the pipeline's own. Schemas are zod's; the OpenAPI document is made of them. */
export interface ApiResource {
  /** Under /api, parameters in braces: `orders/{id}`. */
  path: string;
  summary: string;
  description?: string;
  params?: ZodType;
  query?: ZodType;
  response: ZodType;
  /** How long an answer may be given again while it is made anew. */
  fresh_ms: number;
  /** Lake time to read the tables at, as given by the caller; null for now, through the live views. */
  lakeTime?(request: ApiRequest): string | null;
  /** Null where there is no such thing: 404. */
  answer(request: ApiRequest, tables: ReadTables): Promise<unknown>;
}

export interface ApiRequest {
  params: Readonly<Record<string, string>>;
  query: Readonly<Record<string, unknown>>;
}

/** The lake's tables at one moment, for reading. */
export interface ReadTables {
  table: TableNaming;
  /** Lake time, ISO 8601; null for now. */
  at: string | null;
  /** The event time of the newest accepted record, as `latest_event` has it; null in an empty lake. */
  latest_event(): Promise<string | null>;
  /** Snapshots of the tables read. */
  snapshots(): readonly { table: string; snapshot_id: string; committed_at: string }[];
  /**
   * Absent for the past, where `table` says it all. For now: of events before `before_ms` the tables alone know all that the live
   * views know, under these names, and reading them costs a fraction.
   */
  settled?: { before_ms: number; table: TableNaming };
  /** Whether there is a table at that moment; of now, views stand in for tables that no commit has made yet. */
  has(table: string): boolean;
  /** Rows as objects of text. */
  rows(sql: string): Promise<Record<string, string | null>[]>;
  /** What several requests share, by name: made once for all that come within `fresh_ms`. */
  once<T>(name: string, make: () => Promise<T>): Promise<T>;
  /** The id of the subject that a person means by a text (query/subjects.ts). Throws NO_SUCH_SUBJECT, AMBIGUOUS_SUBJECT. */
  subject(given: string): Promise<string>;
}

/** How the models take part in the live tail: which of them judge what arrives, and what their columns mean. */
export interface LiveDefinition {
  /** The batch model: parses records into elements, one row each. */
  elements: string;
  /** Condition on an element: it counts, unless its identity is known already. */
  is_candidate: string;
  /** Condition on an element without a number: its identity is made of its event time, so copies of it carry the same. */
  has_timestamp_identity: string;
  /** Models, by name, whose rows are decided once, when a record arrives: accepted first, then what needs it. */
  verdicts: readonly [accepted: string, ...others: string[]];
  /** Models that read, of the accepted rows, those of whole minutes of a subject: all rows of each minute that a new row touches. */
  by_minute: readonly string[];
  /** Columns of the accepted model. */
  columns: {
    /** What a row is about: a coin, an order. */
    subject: string;
    source: string;
    /** Event time, TIMESTAMPTZ, and its UTC date, the table's partition. */
    at: string;
    date: string;
    /** Equal for two elements of one event, on one date. */
    identity: string;
    /** Of the elements: the identity that rows of earlier versions have for the event; null where it never was another. */
    former_identity?: string;
    /** The source's own consecutive number of the event, BIGINT, null where it has none; numbers count per source and product. */
    number: string;
    /** What the source calls the thing that the numbers count for; null where it names none. */
    product: string;
    /** DECIMAL of at most `TICK_DECIMALS` places and below 1e14, in the unit that alerts compare. */
    value: string;
    /** DECIMAL(38, 18) that adds up, such as traded volume in US dollars; may be null. */
    amount: string;
  };
}

/** Places behind the point of a tick's figures, which are whole numbers of the last place. */
export const TICK_DECIMALS = 24;

/** One accepted event, as alerts and event streams take it. */
export interface Tick extends EventPosition {
  subject: string;
  /** Units of the last of `TICK_DECIMALS` places. */
  value: bigint;
  /** Likewise; null where the source reports none. */
  amount: bigint | null;
  /** The producer's clock at receipt, microseconds UTC. */
  ingested_at_us: number;
}

export interface ProducerOptions {
  /** What follows the colon in `--source name:argument`. */
  argument: string | null;
  /** Times recorded time; "max" is as fast as the log takes it. */
  speed: number | "max" | null;
}

/** Something optional that a producer takes from the environment, for `doctor` to tell of. */
export interface EnvironmentSetting {
  subject: string;
  /** Any of these variables sets it. */
  variables: readonly string[];
  when_missing: string;
  remedy: string;
}

export interface ProducerFactory {
  settings?: readonly EnvironmentSetting[];
  /** One line for help and errors. */
  description: string;
  /** What may or must follow the colon in `--source name:argument`; null where nothing may. */
  argument: { name: string; is_required: boolean } | null;
  /** The producers that run side by side under this name, all of one kind; most names mean a single one. */
  create(options: ProducerOptions): Promise<readonly Producer[]>;
}

/**
 * The tables and checks by which `verify` reconciles the layers. Every element of every bronze record is in exactly one
 * verdict table; these have the columns log_topic, log_partition, log_offset, element_index and element_count.
 */
export interface ReconciliationRules {
  accepted: string;
  duplicates: string;
  /** BOOLEAN column of `duplicates`: the row differs from the accepted row of its identity. */
  conflicting: string;
  /** Columns of both tables that decide about a conflict. */
  compared: readonly string[];
  rejected: string;
  /** Partition column of the rejected table: the UTC date of ingestion. */
  rejected_partition: string;
  /** Further checks: two SQL queries that must return the same number. */
  checks: readonly { claim: string; left: string; right: string }[];
  /** Every table that the models make, by `layer.table`. */
  tables: Readonly<Record<string, BuiltTable>>;
  /** Values of a column that must be among those of another table's. */
  references: readonly { table: string; column: string; to: string; to_column: string }[];
}

export interface BuiltTable {
  /** Columns whose values together name one row. */
  key: readonly string[];
  /** Loaded from a file of the project: it has no log offsets. */
  is_seed?: true;
  /** One of the verdict tables, whose elements are counted together; or a copy of one. */
  is_counted_by_element?: true;
  /** Columns whose values may differ when the rows are built again, such as the time of the run. */
  varying?: readonly string[];
}

export interface QuestionOptions {
  /** Event time to answer as of, as a SQL literal. */
  as_of: string;
  table: TableNaming;
  /** Names given with `--coin`-like options, numbers with `--percent`-like ones; the defaults that there are are filled in, subjects are ids. */
  values: Readonly<Record<string, string | number>>;
}

export interface QuestionOption {
  description: string;
  default: string | number | null;
  /** A person names a subject; the question gets its id. */
  is_subject?: true;
  /** Where none is named: the first of these names that means one subject of the lake. */
  default_names?: readonly string[];
}

export interface Question {
  number: number;
  title: string;
  /** Options of `ask` that the question takes, by name: `--percent`. */
  options: Record<string, QuestionOption>;
  parts: readonly QuestionPart[];
}

export interface QuestionPart {
  title: string;
  /** What an empty result means, as a sentence. */
  when_empty: string;
  /** Read the tables as the lake stood this long before the moment asked for; absent means as it stands now. */
  lake_time_before_ms?: number;
  sql(options: QuestionOptions): string;
  columns: readonly Column[];
}

/** By this name Kafka knows who brings a topic to bronze, and shows how far behind it is. */
export const BRONZE_CONSUMER = "coinlake-bronze";

export interface Column {
  /** The result's column. */
  name: string;
  /** Header on a terminal, unit included. */
  header: string;
  kind: "text" | "price" | "amount" | "percent" | "count" | "time" | "figure" | "decimal" | "plain";
  /** Left out on a terminal where no row has a value. */
  is_optional?: true;
}
