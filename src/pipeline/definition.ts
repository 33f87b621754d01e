import type { ZodType } from "zod";
import type { Pacing } from "../base/pacing.ts";
import type { Producer } from "../producer/producer.ts";
import type { EventPosition } from "./event-order.ts";
import type { Interval } from "./intervals.ts";

/**
 * A pipeline as data: everything that `src/` needs to run it. A new pipeline needs such a definition, its producers and
 * its dbt project, and no change in `src/`.
 */
export interface Pipeline {
  /** The pipeline's name on the command line and in reports; lower case. */
  name: string;
  /** Prefix of the names of the pipeline's lakes; null for the pipeline whose lakes have none. */
  lake_prefix: string | null;
  /** The title for people, such as "E-commerce orders". */
  title: string;
  topic: {
    name: string;
    partitions: number;
    /**
     * The log deletes a record this long after its ingestion, and never before bronze holds it; in milliseconds. Bronze
     * and the live tail need only minutes of the log, and read older records from bronze. The rest serves `verify`,
     * which compares bronze with the log, and people who inspect records. The log is not compressed: an hour of it
     * takes more disk space than a day of bronze.
     */
    retention_ms: number;
  };
  bronze: {
    /** `namespace.table`. */
    table: string;
    /**
     * When a commit is due. Each commit writes four files. Engines that read only the tables see a record once it is
     * committed; the live views do not wait for the commit. 1 s to 10 min; records and bytes at most a third of the
     * live tail's limits (`TAIL_LIMITS`).
     */
    commit: Pacing;
    /**
     * The approximate maximum payload of one commit, in bytes; 1 to 256 MiB, because each data file is written in one
     * piece.
     */
    commit_size_bytes: number;
  };
  transform: {
    /** Folder of the dbt project, from the repository's root. */
    project: string;
    /**
     * When an increment is due, if bronze is ahead of silver. Each increment writes about 45 files. 5 s to 1 h; records
     * and bytes at most a third of the live tail's limits, because the tail holds them until the tables do.
     */
    increment: Pacing;
    /** The maximum share of a core for increments, except when the backlog makes one due at once; 0.01 to 1. */
    increment_max_share: number;
    /** The interval between runs of the tests over the whole lake, in milliseconds; at least 1 min. */
    test_interval_ms: number;
    /** The maximum share of a core for tests: a larger lake is tested less often; 0.001 to 1. */
    test_max_share: number;
  };
  maintenance: {
    /** The columns by which compaction Z-orders a table's rows, by `layer.table`. Other tables are only compacted. */
    z_order: Readonly<Record<string, readonly string[]>>;
  };
  /**
   * Producers by the name that `--source` takes; `replay:FILE` passes FILE. Live sources can be combined: `--source
   * one,other`.
   */
  producers: Record<string, ProducerFactory>;
  default_source: string;
  /** The source that `start` uses when the default source does not answer at the first start. */
  fallback_source: string;
  reconciliation: ReconciliationRules;
  live: LiveDefinition;
  subjects: SubjectsDefinition;
  alerts: AlertsDefinition;
  /** SQL for the event time of the newest accepted record, as text; the questions' answers are as of this time. */
  latest_event(table: TableNaming): string;
  questions: readonly Question[];
  charts: readonly Chart[];
  /** How the dashboard shows the pipeline. */
  dashboard: DashboardDefinition;
  /** The pipeline's additional resources of the HTTP API, under /api. */
  api: readonly ApiResource[];
}

/** The subjects of the pipeline's prices, orders or readings, by the names that people use. */
export interface SubjectsDefinition {
  /** The singular noun for messages: "coin". */
  noun: string;
  /** The plural noun: "coins". */
  plural: string;
  /** The table that `sql` reads. */
  table: string;
  /** A query that returns one row per subject. */
  sql(table: TableNaming): string;
  /** Converts a row of the query's result. */
  known(row: Record<string, string | null>): KnownSubject;
  /** Subjects that the project lists, for a lake that knows no subject yet. */
  listed(): readonly KnownSubject[];
}

export interface KnownSubject {
  id: string;
  symbol: string;
  name: string;
  /** Alternative names of the subject. */
  other_names: readonly string[];
  /** The subject's rank; 1 is the most important, null means unranked. */
  rank: number | null;
  is_gone: boolean;
}

/**
 * Maps `layer.table` to the name in SQL: that of the table itself, or that of the live view, which adds the live tail's
 * rows to the table.
 */
export type TableNaming = (table: string) => string;

/** A GET route that the pipeline defines. Schemas are zod's; the OpenAPI document is generated from them. */
export interface ApiResource {
  /** The path under /api, with parameters in braces: `orders/{id}`. */
  path: string;
  summary: string;
  description?: string;
  params?: ZodType;
  query?: ZodType;
  response: ZodType;
  /** The age up to which a cached answer is fresh, in ms; an older one may be served while a new one is computed. */
  fresh_ms: number;
  /** The lake time at which the tables are read, as the caller gave it; null means now, through the live views. */
  lakeTime?(request: ApiRequest): string | null;
  /** Null where the resource does not exist: 404. */
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
  /** The event time of the newest accepted record, as defined by `latest_event`; null in an empty lake. */
  latest_event(): Promise<string | null>;
  /** Snapshots of the tables read. */
  snapshots(): readonly { table: string; snapshot_id: string; committed_at: string }[];
  /**
   * Names of the tables without the live tail. For events before `before_ms` these tables equal the live views and are
   * much cheaper to read. Absent for a past moment, where `table` already names them.
   */
  settled?: { before_ms: number; table: TableNaming };
  /** Whether the table exists at that moment. For now, live views replace tables that no commit has created yet. */
  has(table: string): boolean;
  /** Rows as objects of text. */
  rows(sql: string): Promise<Record<string, string | null>[]>;
  /** A named computation that requests share: `make` runs once for all requests within `fresh_ms`. */
  once<T>(name: string, make: () => Promise<T>): Promise<T>;
  /**
   * The id of the subject that a person's text means (query/subjects.ts). Throws SUBJECT_NOT_FOUND, AMBIGUOUS_SUBJECT.
   */
  subject(given: string): Promise<string>;
}

/** The models' roles in the live tail: which models give new records their verdicts, and what their columns mean. */
export interface LiveDefinition {
  /** The batch model, which parses records into elements, one row each. */
  elements: string;
  /** SQL condition: the element is accepted, unless its identity is already known. */
  is_candidate: string;
  /**
   * SQL condition on an element without a number: its identity derives from its event time, so its copies share the
   * identity.
   */
  has_timestamp_identity: string;
  /**
   * Names of the models whose rows are decided once, when a record arrives: the accepted model, then the models that
   * depend on it.
   */
  verdicts: readonly [accepted: string, ...others: string[]];
  /**
   * Models that read the accepted rows of whole minutes of a subject: all rows of each minute that a new row touches.
   */
  by_minute: readonly string[];
  /** Column names of the accepted model. */
  columns: {
    /** The row's subject, such as a coin or an order. */
    subject: string;
    source: string;
    /** Event time, TIMESTAMPTZ; `date` is its UTC date, the table's partition. */
    at: string;
    date: string;
    /** The identity, equal for all elements of one event on one date. */
    identity: string;
    /** Column of the elements: the event's identity in rows of earlier versions; null where it never differed. */
    former_identity?: string;
    /**
     * The source's consecutive number of the event, BIGINT; null where it has none. Numbers count per source and
     * product.
     */
    number: string;
    /** The source's name for the product whose events the numbers count; null where it names none. */
    product: string;
    /** DECIMAL with at most `TICK_DECIMALS` decimals and below 1e14, in the unit that alerts compare. */
    value: string;
    /** DECIMAL(38, 18) that can be summed, such as traded volume in US dollars; may be null. */
    amount: string;
  };
}

/** The number of decimals of a tick's values, which are integers in units of the last decimal. */
export const TICK_DECIMALS = 24;

export interface AlertsDefinition {
  /** Alert rules as JSON (see alert/rule.ts), stored once in a new lake; users can delete them. */
  default_rules: readonly object[];
  /**
   * Rules ignore ticks that are later than this, by event time. The models may accept later ones (a filled gap, a late
   * order), but those are history, which should not fire an alert.
   */
  lateness_s: number;
}

/** One accepted event, the input of alerts and event streams. */
export interface Tick extends EventPosition {
  subject: string;
  /** The value in units of 10^-`TICK_DECIMALS`. */
  value: bigint;
  /** The amount in the same unit; null where the source reports none. */
  amount: bigint | null;
  /** Time of receipt by the producer's clock, in microseconds UTC. */
  ingested_at_us: number;
}

export interface ProducerOptions {
  /** The text after the colon in `--source name:argument`. */
  argument: string | null;
  /** A multiple of the recorded speed; "max" is as fast as the log accepts records. */
  speed: number | "max" | null;
  /** The run ends with its sources: a source that could continue without end yields what there is and ends. */
  is_until_drained: boolean;
}

/** An optional setting that a producer reads from the environment; `doctor` reports it. */
export interface EnvironmentSetting {
  subject: string;
  /** Variables, any of which makes the setting. */
  variables: readonly string[];
  when_missing: string;
  remedy: string;
}

export interface ProducerFactory {
  settings?: readonly EnvironmentSetting[];
  /** A description of one line, for help and errors. */
  description: string;
  /** The argument after the colon in `--source name:argument`; null where none is allowed. */
  argument: { name: string; is_required: boolean } | null;
  /** The producers that run concurrently under this name, all of one kind; most names have a single one. */
  create(options: ProducerOptions): Promise<readonly Producer[]>;
}

/**
 * The tables and checks by which `verify` reconciles the layers. Every element of every bronze record is in exactly one
 * verdict table. Verdict tables have the columns log_topic, log_partition, log_offset, element_index and element_count.
 */
export interface ReconciliationRules {
  accepted: string;
  duplicates: string;
  /** BOOLEAN column of `duplicates`: the row differs from the accepted row of its identity. */
  conflicting: string;
  /** Columns of both tables that are compared to detect a conflict. */
  compared: readonly string[];
  rejected: string;
  /** Column of `rejected` that names what the element is about; absent: the column of the subject. */
  rejected_subject?: string;
  /** Explanation of each rejection reason for people, with its limit. */
  reasons: Readonly<Record<string, string>>;
  /** Partition column of the rejected table: the UTC date of ingestion. */
  rejected_partition: string;
  /** Further checks: two SQL queries that must return the same number. */
  checks: readonly { claim: string; left: string; right: string }[];
  /** Every table that the models build, by `layer.table`. */
  tables: Readonly<Record<string, BuiltTable>>;
  /** Foreign keys: every value of `column` must exist in the other table's column. */
  references: readonly { table: string; column: string; to: string; to_column: string }[];
}

export interface BuiltTable {
  /** Columns whose values together identify a row. */
  key: readonly string[];
  /** The table is loaded from a file of the project: it has no log offsets. */
  is_seed?: true;
  /** A verdict table, whose elements are counted together, or a copy of one. */
  is_counted_by_element?: true;
  /** Columns whose values may differ when the rows are rebuilt, such as the time of the run. */
  varying?: readonly string[];
}

export interface QuestionOptions {
  /** The event time as of which the question is answered, as a SQL literal. */
  as_of: string;
  table: TableNaming;
  /**
   * Option values: text for options like `--coin`, numbers for options like `--percent`; defaults are filled in,
   * subjects are ids.
   */
  values: Readonly<Record<string, string | number>>;
}

export interface QuestionOption {
  description: string;
  default: string | number | null;
  /** The value names a subject; the question receives the subject's id. */
  is_subject?: true;
  /** Default subjects: the first of these names that means exactly one subject of the lake. */
  default_names?: readonly string[];
}

export interface Question {
  number: number;
  title: string;
  /** The short title of a tile: "Sales, last hour". */
  tile: string;
  /** Options of `ask` for this question, by name: `--percent`. */
  options: Record<string, QuestionOption>;
  parts: readonly QuestionPart[];
}

export interface QuestionPart {
  title: string;
  /** The message for an empty result, as a sentence. */
  when_empty: string;
  /** Read the tables as they were this long before the requested moment; absent means at that moment. */
  lake_time_before_ms?: number;
  sql(options: QuestionOptions): string;
  columns: readonly Column[];
}

/** A figure over time, which the API and the dashboard's overview page show. */
export interface Chart {
  /** The chart's name in the API: lower case, digits and underscores. */
  name: string;
  title: string;
  description: string;
  /** Unit of the values, such as USD. */
  unit: string;
  /** Bars have a single series. A line chart has one or several, named by the column `series`. */
  kind: "bars" | "line";
  /** The intervals on offer, the default first. */
  intervals: readonly Interval[];
  /** The chart can be limited to one subject. */
  subject_option?: true;
  /** An interval without a row has the value zero; absent: it has no value. */
  empty_is_zero?: true;
  /**
   * A query for rows with `time` (the interval's start, as `time_bucket` gives it from 1970-01-01T00:00:00Z), `value`
   * and, for several series, `series`; `time` and `series` identify a row.
   */
  sql(options: ChartOptions): string;
}

export interface ChartOptions {
  table: TableNaming;
  /** The first interval's start and the last one's end, exclusive, as SQL literals of type TIMESTAMPTZ. */
  from: string;
  to: string;
  /** The length of an interval in seconds. */
  step_s: number;
  /** The id of the subject; null for all subjects. */
  subject: string | null;
}

export interface DashboardDefinition {
  /**
   * The start page. `overview` shows the tiles of all questions, and all charts. `market` is the page of prices: it
   * needs the pipeline's resources `coins` and `coins/{id}/candles`.
   */
  start_page: "overview" | "market";
  /** What a tick's value and amount are, as nouns without an article, and the unit of both. */
  value: { noun: string; unit: string };
  amount: { noun: string };
  /** A sentence of the footer that ends with a link: whose data this is. */
  credit?: { text: string; name: string; url: string };
}

/** The Kafka consumer group that commits bronze's offsets, so that Kafka's tools show bronze's lag. */
export const BRONZE_CONSUMER = "coinlake-bronze";

/** How a column's values are formatted. */
export const COLUMN_KINDS = [
  "text",
  "price",
  "amount",
  "percent",
  "count",
  "time",
  "figure",
  "decimal",
  "plain",
] as const;

export interface Column {
  /** The result's column. */
  name: string;
  /** The header on a terminal, unit included. */
  header: string;
  kind: (typeof COLUMN_KINDS)[number];
  /** The column is omitted on a terminal where no row has a value. */
  is_optional?: true;
}
