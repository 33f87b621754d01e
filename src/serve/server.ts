import { createServer, type Server } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { listen, type Listening } from "../base/listen.ts";
import { TableReports } from "../query/tables.ts";
import { createApp } from "./app.ts";
import type { Assets } from "./assets.ts";
import { Console, type ConsoleLimits } from "./sql-console/console.ts";
import { DiskUsage } from "./disk-usage.ts";
import { EventHub } from "./events/hub.ts";
import { checkToken, Authenticator } from "./guard/authentication.ts";
import { Health } from "./health.ts";
import { LakeReader } from "./lake-reader.ts";
import { Metrics } from "./metrics.ts";
import type { ServerDependencies } from "./dependencies.ts";
import type { PipelineHandle } from "./pipeline-handle.ts";

export const DEFAULT_PORT = 4000;
export const DEFAULT_HOST = "127.0.0.1";

export interface ServerOptions {
  handle: PipelineHandle;
  assets: Assets;
  /** 0 for any free port. */
  port: number;
  host: string;
  /** Required unless `host` is loopback; null for none. */
  token: string | null;
  /** Receives unexpected errors; their clients get a 500 without details. */
  onError(error: unknown): void;
  console_limits?: Partial<ConsoleLimits>;
  /** A registry shared with the pipeline's loops; the default is a separate one. */
  metrics?: Metrics;
}

/** `close` also ends event streams and the SQL console. */
export type RunningServer = Listening;

/** Limits for receiving the headers and the whole request; they end slow-loris connections. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 20_000;
const KEEP_ALIVE_TIMEOUT_MS = 15_000;
/** Idle time after which a socket is closed. Longer than a query may take; event streams send every second. */
const IDLE_TIMEOUT_MS = 180_000;
const CONNECTION_CHECK_MS = 2_000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_HEADERS = 100;
const MAX_CONNECTIONS = 1_000;
const DASHBOARD_LISTENING = { name: "The dashboard", port_option: "--port", close_timeout_ms: 3_000 };

/** Checks early that the dashboard can listen on this address. Throws PORT_TAKEN, PORT_NOT_ALLOWED. */
export async function checkPort({ host, port }: Pick<ServerOptions, "host" | "port">): Promise<void> {
  await (await listen(createServer(), { ...DASHBOARD_LISTENING, host, port })).close();
}

/**
 * Serves the API, the event stream and the dashboard. Throws PORT_TAKEN, PORT_NOT_ALLOWED, TOKEN_REQUIRED_FOR_HOST,
 * TOKEN_TOO_SHORT.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { handle, assets, host, port, token, onError } = options;
  checkToken(host, token);
  const tables = new TableReports(handle.open);
  const reader = new LakeReader(handle);
  const health = new Health({ handle, tables, latestEvent: () => reader.latestEvent() });
  const hub = new EventHub({ handle, health, tables, onError });
  const dependencies: ServerDependencies = {
    handle,
    tables,
    disk: new DiskUsage({ tables, storage: handle.open.storage, clock: handle.clock }),
    health,
    hub,
    assets,
    onError,
    reader,
    console: new Console({ ...handle.console, ...(options.console_limits ? { limits: options.console_limits } : {}) }),
    metrics: options.metrics ?? new Metrics(),
    authenticator: new Authenticator(token, handle.clock),
  };
  const { app, stop } = createApp(dependencies, host);
  const server = createHttpServer(getRequestListener(app.fetch, { overrideGlobalObjects: false, hostname: host }));
  let listening: Listening;
  try {
    listening = await listen(server, { ...DASHBOARD_LISTENING, host, port });
  } catch (error) {
    stop();
    await dependencies.console.close();
    await reader.close();
    throw error;
  }
  hub.start();
  return {
    ...listening,
    async close() {
      hub.close();
      stop();
      await dependencies.console.close();
      await listening.close();
      await reader.close();
    },
  };
}

function createHttpServer(listener: Parameters<typeof createServer>[1]): Server {
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: CONNECTION_CHECK_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      noDelay: true,
    },
    listener,
  );
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(IDLE_TIMEOUT_MS);
  return server;
}
