/** An environment variable named COINLAKE_…, as docs/reference/settings.md shows it. */
export interface Setting {
  /** The program that reads it. */
  group: SettingGroup;
  type: "text" | "secret" | "port" | "number" | "flag" | "folder" | "file" | "location" | "list";
  /**
   * In words where the default depends on the machine; null where the variable is required or has no effect when unset.
   */
  default: string | number | null;
  help: string;
}

export type SettingGroup = "coinlake" | "sources" | "cluster" | "compose" | "airflow" | "dbt" | "tests";

/** The environment of a process, or the variables that a cluster recorded for its clients. */
export type Environment = Readonly<Record<string, string | undefined>>;

const port = (name: string, number: number) =>
  ({ group: "cluster", type: "port", default: number, help: `Port of ${name} on 127.0.0.1` }) as const;

/** Every COINLAKE_ variable of the project. The code reads them through `readSetting` only. */
export const SETTINGS = {
  COINLAKE_TOKEN: {
    group: "coinlake",
    type: "secret",
    default: null,
    help: "Token that clients of the HTTP API must send, at least 16 characters; needed when --host is not loopback",
  },
  COINLAKE_CATALOG_TOKEN: {
    group: "coinlake",
    type: "secret",
    default: null,
    help: "Token that clients of the Iceberg REST catalog must send, at least 16 characters",
  },
  COINLAKE_WAREHOUSE: {
    group: "coinlake",
    type: "location",
    default: "the cluster's own bucket",
    help: "Where the tables of a new lake of the cluster profile are stored, as s3://BUCKET/FOLDER",
  },
  COINLAKE_KAFKA_BROKERS: {
    group: "coinlake",
    type: "list",
    default: "the cluster of the data folder",
    help: "Kafka brokers of the cluster profile, as HOST:PORT separated by commas",
  },
  COINLAKE_HIVE_URI: {
    group: "coinlake",
    type: "text",
    default: "the cluster of the data folder",
    help: "Hive Metastore of the cluster profile, as thrift://HOST:PORT",
  },
  COINLAKE_PYTHON: {
    group: "coinlake",
    type: "file",
    default: "python3 of the PATH, version 3.10 or newer",
    help: "Python that the first start uses to install dbt",
  },
  COINLAKE_CACHE: {
    group: "coinlake",
    type: "folder",
    default: "coinlake in the user's cache folder",
    help: "Folder for the cluster's servers and the npm package's tools; it may be deleted while nothing runs",
  },
  COINLAKE_TOOLS: {
    group: "coinlake",
    type: "folder",
    default: ".tools of the checkout; for the npm package a folder in COINLAKE_CACHE",
    help: "Folder of the Python environment and DuckDB's extensions; set by Coinlake",
  },
  COINLAKE_KAFKA_PORT: port("Kafka", 9092),
  COINLAKE_KAFKA_CONTROLLER_PORT: port("Kafka's controller", 9093),
  COINLAKE_MINIO_PORT: port("MinIO", 9000),
  COINLAKE_POSTGRES_PORT: port("PostgreSQL", 5433),
  COINLAKE_HIVE_PORT: port("the Hive Metastore", 9083),
  COINLAKE_SPARK_PORT: port("Spark Connect", 15_002),
  COINLAKE_AIRFLOW_PORT: port("Airflow", 8081),
  COINLAKE_BIND_HOST: {
    group: "cluster",
    type: "text",
    default: null,
    help: "Address that the Hive Metastore listens on; set by the launcher and by Compose",
  },
  COINLAKE_PORT: { group: "compose", type: "port", default: 4000, help: "Port of the HTTP API and dashboard" },
  COINLAKE_KAFKA_UI_PORT: { group: "compose", type: "port", default: 8080, help: "Port of the Kafka UI" },
  COINLAKE_SOURCE: { group: "compose", type: "text", default: "live", help: "Source of the records, as in --source" },
  COINLAKE_S3_ENDPOINT: {
    group: "compose",
    type: "location",
    default: "http://minio:9000",
    help: "Endpoint of the object store",
  },
  COINLAKE_S3_ACCESS_KEY: { group: "compose", type: "secret", default: null, help: "Access key of the object store" },
  COINLAKE_S3_SECRET_KEY: { group: "compose", type: "secret", default: null, help: "Secret key of the object store" },
  COINLAKE_S3_REGION: {
    group: "compose",
    type: "text",
    default: "us-east-1",
    help: "Region of the object store; Coinlake also sets it for dbt",
  },
  COINLAKE_POSTGRES_PASSWORD: { group: "compose", type: "secret", default: null, help: "Password of PostgreSQL" },
  COINLAKE_AIRFLOW_SECRET: {
    group: "compose",
    type: "secret",
    default: null,
    help: "Secret that Airflow's servers share",
  },
  COINLAKE_NETWORK: { group: "compose", type: "text", default: "dasnet", help: "Name of the Docker network" },
  COINLAKE_NETWORK_EXTERNAL: {
    group: "compose",
    type: "flag",
    default: "false",
    help: "Whether the Docker network exists and is not created",
  },
  COINLAKE_CLI: {
    group: "airflow",
    type: "file",
    default: "bin/coinlake.js of this checkout",
    help: "Command line that the DAG's tasks run",
  },
  COINLAKE_DATA: {
    group: "airflow",
    type: "folder",
    default: "the data folder of the cluster",
    help: "Data folder that the DAG's tasks work on",
  },
  COINLAKE_LAKE: {
    group: "airflow",
    type: "text",
    default: "the lake started last",
    help: "Lake that the DAG's tasks work on",
  },
  COINLAKE_SCHEDULE: {
    group: "airflow",
    type: "text",
    default: "0 * * * *",
    help: "When the DAG runs, as a cron expression in UTC; Compose sets every ten minutes",
  },
  COINLAKE_DEADLINE_SECONDS: {
    group: "airflow",
    type: "number",
    default: 3000,
    help: "Seconds after which a run is late and an alert is raised",
  },
  COINLAKE_AIRFLOW_URL: {
    group: "airflow",
    type: "location",
    default: null,
    help: "Address of Airflow; the launcher writes it for clients",
  },
  COINLAKE_AIRFLOW_USER: {
    group: "airflow",
    type: "text",
    default: null,
    help: "User of Airflow; the launcher writes it for clients",
  },
  COINLAKE_AIRFLOW_PASSWORD: {
    group: "airflow",
    type: "secret",
    default: null,
    help: "Password of Airflow; the launcher writes it for clients, and Compose needs it",
  },
  COINLAKE_DBT_TARGET: {
    group: "dbt",
    type: "text",
    default: "embedded",
    help: "Target of the profile: embedded or cluster; set by Coinlake",
  },
  COINLAKE_CATALOG_URL: {
    group: "dbt",
    type: "location",
    default: null,
    help: "Address of the Iceberg REST catalog; set by Coinlake",
  },
  COINLAKE_CATALOG_WAREHOUSE: {
    group: "dbt",
    type: "text",
    default: "coinlake",
    help: "Warehouse in the Iceberg REST catalog; set by Coinlake",
  },
  COINLAKE_MODELS_VERSION: {
    group: "dbt",
    type: "text",
    default: null,
    help: "Version of the models, recorded in the tables; set by Coinlake",
  },
  COINLAKE_DUCKDB_EXTENSIONS: {
    group: "dbt",
    type: "folder",
    default: null,
    help: "Folder of DuckDB's extensions; set by Coinlake",
  },
  COINLAKE_DUCKDB_EXTENSIONS_VERIFIED: {
    group: "dbt",
    type: "flag",
    default: null,
    help: "Whether the signatures of DuckDB's extensions are verified; set by Coinlake",
  },
  COINLAKE_DBT_SPILL: {
    group: "dbt",
    type: "folder",
    default: null,
    help: "Folder for DuckDB's temporary files; set by Coinlake",
  },
  COINLAKE_DBT_MEMORY: { group: "dbt", type: "text", default: "384MB", help: "Memory limit of DuckDB inside dbt" },
  COINLAKE_S3_ENDPOINT_HOST: {
    group: "dbt",
    type: "text",
    default: null,
    help: "Host and port of the object store; set by Coinlake",
  },
  COINLAKE_S3_USE_SSL: {
    group: "dbt",
    type: "flag",
    default: "true",
    help: "Whether the object store is reached by TLS; set by Coinlake",
  },
  COINLAKE_S3_RETRIES: {
    group: "dbt",
    type: "number",
    default: 3,
    help: "Further tries of a failed request to the object store; set by Coinlake",
  },
  COINLAKE_S3_RETRY_WAIT_MS: {
    group: "dbt",
    type: "number",
    default: 100,
    help: "Time before the second further try, in milliseconds; set by Coinlake",
  },
  COINLAKE_S3_RETRY_BACKOFF: {
    group: "dbt",
    type: "number",
    default: 4,
    help: "Factor of that time from one try to the next; set by Coinlake",
  },
  COINLAKE_KILL_AT: {
    group: "tests",
    type: "text",
    default: null,
    help: "Failpoint at which the process kills itself, as STEP:N for the N-th time",
  },
  COINLAKE_SIMULATED_HISTORY_MINUTES: {
    group: "tests",
    type: "number",
    default: 180,
    help: "Length of the past with which a new simulated lake begins",
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

export type PortSetting = {
  [K in SettingName]: (typeof SETTINGS)[K] extends { type: "port" } ? K : never;
}[SettingName];

/** Variables that exist for each source: COINLAKE_, the source's name in capitals, and one of these suffixes. */
export const SOURCE_SETTINGS = {
  PRODUCTS: {
    group: "sources",
    type: "list",
    default: "the source's list",
    help: "Products that the source reads, separated by commas",
  },
  WS_URL: {
    group: "sources",
    type: "location",
    default: "the source's address",
    help: "WebSocket address of the source: wss://, or ws:// on this machine",
  },
  REST_URL: {
    group: "sources",
    type: "location",
    default: "the source's address",
    help: "REST address of the source: https://, or http:// on this machine",
  },
} as const satisfies Record<string, Setting>;

export type SourceSetting = keyof typeof SOURCE_SETTINGS;

/** Null where the variable is unset or empty. */
export function readSetting(name: SettingName, env: Environment = process.env): string | null {
  return env[name] || null;
}

/** The variable of a source, such as COINLAKE_<SOURCE>_PRODUCTS. */
export function sourceVariable(source: string, setting: SourceSetting): string {
  return `COINLAKE_${source.toUpperCase()}_${setting}`;
}

/** Null where the source's variable is unset or blank. */
export function readSourceSetting(variable: string, env: Environment = process.env): string | null {
  return env[variable]?.trim() || null;
}
