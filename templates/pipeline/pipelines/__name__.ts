import { __name__ as source } from "../producers/__name__.ts";
import type { Pipeline } from "../src/pipeline/definition.ts";

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;
const ELEMENT_COLUMNS = ["log_topic", "log_partition", "log_offset", "element_index"] as const;

export const __name__: Pipeline = {
  name: "__name__",
  lake_prefix: "__name__",
  title: "__name__",
  topic: { name: "__name__.raw", partitions: 1, retention_ms: HOUR_MS },
  bronze: {
    table: "bronze.__name___raw",
    commit: { interval_ms: 30_000, due_records: 50_000, due_size_bytes: 8 * MIB, first_interval_ms: 2_000 },
    commit_size_bytes: 64 * MIB,
  },
  transform: {
    project: "dbt___name__",
    increment: { interval_ms: 90_000, due_records: 50_000, due_size_bytes: 8 * MIB, first_interval_ms: 10_000 },
    increment_max_share: 0.1,
    test_interval_ms: 10 * 60_000,
    test_max_share: 0.02,
  },
  maintenance: { z_order: {} },
  producers: {
    live: {
      description: "readings, polled every 10 s; __NAME___URL names another address",
      argument: null,
      create: async () => [source()],
    },
  },
  default_source: "live",
  fallback_source: "live",
  reconciliation: {
    accepted: "silver.__name___readings",
    duplicates: "silver.__name___duplicates",
    conflicting: "is_conflicting",
    compared: ["value", "measured_at"],
    rejected: "silver.__name___rejected",
    reasons: {
      not_utf8: "the answer is not UTF-8 text",
      payload_too_large: "the answer is larger than 4 MiB or has more than 200,000 values",
      invalid_json: "the text is not valid JSON",
      not_a_list: "the answer is not a list",
      missing_station: "no station is named",
      value_not_a_number: "the value is not a number",
      invalid_time: "the time cannot be read",
      future_reading: "the time was more than 300 seconds ahead of the clock when it was received",
    },
    rejected_partition: "ingestion_date",
    checks: [
      {
        claim: "minutes count every accepted reading",
        left: "select count(*) from silver.__name___readings",
        right: "select coalesce(sum(readings), 0) from gold.__name___per_minute",
      },
    ],
    tables: {
      "silver.__name___readings": { key: ELEMENT_COLUMNS, is_counted_by_element: true },
      "silver.__name___duplicates": { key: ELEMENT_COLUMNS, is_counted_by_element: true },
      "silver.__name___rejected": { key: ELEMENT_COLUMNS, is_counted_by_element: true },
      "gold.__name___per_minute": { key: ["station", "minute_at"] },
    },
    references: [],
  },
  live: {
    elements: "stg___name____readings",
    is_candidate: "reason is null",
    has_timestamp_identity: "true",
    verdicts: ["__name___readings", "__name___duplicates"],
    by_minute: ["__name___per_minute"],
    columns: {
      subject: "station",
      source: "source",
      at: "measured_at",
      date: "measured_date",
      identity: "identity",
      number: "number",
      product: "product",
      value: "value",
      amount: "amount",
    },
  },
  subjects: {
    noun: "station",
    plural: "stations",
    table: "gold.__name___per_minute",
    sql: (table) => `select distinct station from ${table("gold.__name___per_minute")}`,
    known: (row) => ({
      id: row["station"] ?? "",
      symbol: row["station"] ?? "",
      name: row["station"] ?? "",
      other_names: [],
      rank: null,
      is_gone: false,
    }),
    listed: () => [],
  },
  alerts: {
    // Rules do not evaluate readings that arrive more than this many seconds after they were measured.
    lateness_s: 300,
    default_rules: [
      {
        id: "reading-above-100",
        name: "A reading above 100",
        severity: "warning",
        condition: { kind: "crosses", direction: "above", level: "100" },
        sinks: ["page"],
      },
    ],
  },
  latest_event: (table) => `select max(measured_at)::varchar from ${table("silver.__name___readings")}`,
  questions: [
    {
      number: 1,
      title: "The latest reading of each station",
      tile: "Latest readings",
      options: {},
      parts: [
        {
          title: "",
          when_empty: "The lake has no reading up to that time.",
          sql: ({ as_of, table }) => `
            select station, arg_max(value_last, minute_at) as value, max(minute_at) as minute_at
            from ${table("gold.__name___per_minute")}
            where minute_at <= ${as_of}
            group by station order by station`,
          columns: [
            { name: "station", header: "station", kind: "text" },
            { name: "value", header: "reading", kind: "decimal" },
            { name: "minute_at", header: "minute (UTC)", kind: "time" },
          ],
        },
      ],
    },
  ],
  charts: [
    {
      name: "readings",
      title: "Readings",
      description: "the mean of the highest and the lowest reading of each interval",
      unit: "",
      kind: "line",
      intervals: ["1m", "5m", "15m", "1h", "1d"],
      subject_option: true,
      sql: ({ table, from, to, step_s, subject }) => `
        select time_bucket(interval ${step_s} second, minute_at, timestamptz '1970-01-01T00:00:00Z') as time,
          station as series, (max(value_high) + min(value_low)) / 2 as value
        from ${table("gold.__name___per_minute")}
        where minute_at >= ${from} and minute_at < ${to}
          and ${subject === null ? "true" : `station = '${subject.replaceAll("'", "''")}'`}
        group by 1, 2`,
    },
  ],
  dashboard: { start_page: "overview", value: { noun: "reading", unit: "" }, amount: { noun: "readings" } },
  api: [],
};
