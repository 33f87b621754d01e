import { SETTINGS, type PortSetting } from "../base/settings.ts";
import type { Cache } from "./fetch/cache.ts";

export type ServiceName = "kafka" | "minio" | "postgres" | "hive" | "spark" | "airflow";

/** A port that a service listens on, on 127.0.0.1. */
export interface Port {
  /** Unique among all services: `kafka`, `kafka-controller`. */
  name: string;
  /** Environment variable that overrides the default. */
  variable: PortSetting;
  default: number;
}

export function servicePort(name: string, variable: PortSetting): Port {
  return { name, variable, default: SETTINGS[variable].default };
}

export interface Fetched {
  folder: string;
  version: string;
}

/** The context of a service: its files and folder, its ports, and the variables of the services before it. */
export interface ServiceContext {
  /** Folder of the fetched files: shared by all clusters of this machine, read-only. */
  files: string;
  /** The service's folder for configuration, data and logs. */
  folder: string;
  ports: Readonly<Record<string, number>>;
  secrets: Readonly<Secrets>;
  /** Variables of the services before it in `SERVICES`. Those that it needs are healthy already. */
  environment: Readonly<Record<string, string>>;
}

/** Random for every cluster, and stored in its folder only. */
export interface Secrets {
  s3_access_key: string;
  s3_secret_key: string;
  postgres_password: string;
  airflow_password: string;
  /** Shared by Airflow's servers, which sign their requests with it. */
  airflow_secret: string;
}

export interface ServiceCommand {
  program: string;
  args: readonly string[];
  /** Additions to the caller's environment, whose S3 variables are removed; undefined removes a variable. */
  env?: Readonly<NodeJS.ProcessEnv>;
  /** The user that it runs as, where that is not the caller. */
  user?: { uid: number; gid: number };
}

/**
 * A server of a cluster: one process, whose children end with it. Invariants of every service:
 *  - it listens on 127.0.0.1 only, on the given ports, and writes below its folder only;
 *  - `configure` is idempotent and runs before every start: it adds what is missing and changes no data;
 *  - after a kill at any time it starts again with all acknowledged data.
 */
export interface Service {
  name: ServiceName;
  /** Name for people. */
  title: string;
  /** The pinned version; the fetched files may give a more exact one. */
  version: string;
  /** Services that must run before it. */
  needs: readonly ServiceName[];
  ports: readonly Port[];
  /** SIGINT where it stops the server more gently than SIGTERM. */
  stop_signal: "SIGTERM" | "SIGINT";
  /** Fetches the files that are not in the cache. Throws TOOL_NOT_FOUND and other errors about this machine. */
  fetch(cache: Cache): Promise<Fetched>;
  configure(context: ServiceContext): Promise<void>;
  command(context: ServiceContext): ServiceCommand;
  /** Probes the service over its own protocol. Returns false or throws while it is not ready. */
  isHealthy(context: ServiceContext): Promise<boolean>;
  /** Environment variables for its clients. */
  provides(context: Pick<ServiceContext, "ports" | "secrets">): Record<string, string>;
}
