import type { Cache } from "./fetch/cache.ts";

export type ServiceName = "kafka" | "minio" | "postgres" | "hive" | "spark" | "airflow";

/** A port that a service listens on, on 127.0.0.1. */
export interface Port {
  /** Unique among all services: `kafka`, `kafka-controller`. */
  name: string;
  /** The environment variable that puts it elsewhere. */
  variable: string;
  default: number;
}

export interface Fetched {
  folder: string;
  version: string;
}

/** What a service is told: where its files are, where it may write, where it listens, and where it finds the services before it. */
export interface ServiceContext {
  /** As fetched; shared by all clusters of this machine, never written to. */
  files: string;
  /** Its own: configuration, data and logs. */
  folder: string;
  ports: Readonly<Record<string, number>>;
  secrets: Readonly<Secrets>;
  /** The union of what the services before it in `SERVICES` provide; of those, the ones that it needs do their work already. */
  environment: Readonly<Record<string, string>>;
}

/** Made at random for every cluster and kept in its folder; nothing outside this machine knows them. */
export interface Secrets {
  s3_access_key: string;
  s3_secret_key: string;
  postgres_password: string;
  airflow_password: string;
  /** By which Airflow's servers know each other. */
  airflow_secret: string;
}

export interface ServiceCommand {
  program: string;
  args: readonly string[];
  /** Beside what whoever starts it has, which is told without its S3; undefined takes one away. */
  env?: Readonly<NodeJS.ProcessEnv>;
  /** Whom it runs as, where that is not whoever starts it. */
  user?: { uid: number; gid: number };
}

/**
 * A server that a cluster is made of: one process, with whose end all that it started ends too. Invariants that every service keeps:
 *  - it listens on 127.0.0.1 alone, on the ports it is told, and keeps everything it writes below its folder;
 *  - `configure` may run before any start, over what it left before: it adds what is missing and harms nothing;
 *  - killed at any moment, it starts again with all that it had acknowledged.
 */
export interface Service {
  name: ServiceName;
  /** As a person knows it. */
  title: string;
  /** As wanted; what is fetched may say more. */
  version: string;
  /** Services that must run before it. */
  needs: readonly ServiceName[];
  ports: readonly Port[];
  /** Kinder than SIGTERM, where there is one. */
  stop_signal: "SIGTERM" | "SIGINT";
  /** Fetches its files where they are not there yet. Throws TOOL_MISSING and others that say what this machine lacks. */
  fetch(cache: Cache): Promise<Fetched>;
  configure(context: ServiceContext): Promise<void>;
  command(context: ServiceContext): ServiceCommand;
  /** Whether it does its work now, asked over its own protocol; false or a throw while it does not yet. */
  isHealthy(context: ServiceContext): Promise<boolean>;
  /** Environment variables by which clients find it. */
  provides(context: Pick<ServiceContext, "ports" | "secrets">): Record<string, string>;
}
