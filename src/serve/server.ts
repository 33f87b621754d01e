import { createServer, type RequestListener, type Server as HttpServer, type ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { systemClock } from "../base/clock.ts";
import { listen, type Listening } from "../base/listen.ts";
import { TableReports } from "../query/tables.ts";
import { createApp } from "./app.ts";
import { assetsUnder, type Assets } from "./assets.ts";
import { Console, type ConsoleLimits } from "./sql-console/console.ts";
import { DiskUsage } from "./disk-usage.ts";
import { EventHub } from "./events/hub.ts";
import { checkToken, Authenticator } from "./guard/authentication.ts";
import { CONTENT_HEADERS } from "./guard/headers.ts";
import { Health } from "./health.ts";
import { LakeReader } from "./lake-reader.ts";
import { Metrics } from "./metrics.ts";
import { Mounts, type Mount, type Service } from "./mounts.ts";
import type { ServerDependencies } from "./dependencies.ts";
import type { PipelineHandle } from "./pipeline-handle.ts";
import { problemOf, requestError } from "./problem.ts";
import { familiesOf } from "./routes/metrics.ts";

export const DEFAULT_PORT = 4000;
export const DEFAULT_HOST = "127.0.0.1";

export interface ServerOptions {
  /** The pipelines that will be mounted; the first one answers under `/`, the others under `/NAME`. */
  pipelines: readonly { name: string; title: string }[];
  /** 0 for any free port. */
  port: number;
  host: string;
  /** Required unless `host` is loopback; null for none. */
  token: string | null;
}

export interface MountOptions {
  handle: PipelineHandle;
  assets: Assets;
  /** Receives unexpected errors; their clients get a 500 without details. */
  onError(error: unknown): void;
  console_limits?: Partial<ConsoleLimits>;
  /** A registry shared with the pipeline's loops; the default is a separate one. */
  metrics?: Metrics;
}

/** `url` is the pipeline's; `close` ends its event streams and its SQL console, and awaits its requests. */
export type MountedPipeline = Listening;

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
const RETRY_AFTER_S = "2";

/** Checks early that the dashboard can listen on this address. Throws PORT_TAKEN, PORT_NOT_ALLOWED. */
export async function checkPort({ host, port }: Pick<ServerOptions, "host" | "port">): Promise<void> {
  await (await listen(createServer(), { ...DASHBOARD_LISTENING, host, port })).close();
}

/**
 * The HTTP server of a process: API, event stream and dashboard of each pipeline. It listens from the first `mount` to
 * `close`.
 */
export class Server {
  readonly #options: ServerOptions;
  readonly #mounts: Mounts;
  readonly #authenticator: Authenticator;
  #listening: Promise<Listening> | null = null;

  /** Throws TOKEN_REQUIRED_FOR_HOST, TOKEN_TOO_SHORT, PIPELINE_NAME_RESERVED. */
  constructor(options: ServerOptions) {
    checkToken(options.host, options.token);
    this.#options = options;
    this.#mounts = new Mounts(options.pipelines);
    this.#authenticator = new Authenticator(options.token, systemClock);
  }

  /** Serves a pipeline. Throws PORT_TAKEN, PORT_NOT_ALLOWED. */
  async mount(options: MountOptions): Promise<MountedPipeline> {
    const { handle, assets, onError } = options;
    const { host } = this.#options;
    const mount = this.#mounts.of(handle.pipeline.name);
    const tables = new TableReports(handle.open);
    const reader = new LakeReader(handle);
    const health = new Health({ handle, tables, latestEvent: () => reader.latestEvent() });
    const hub = new EventHub({ handle, health, tables, onError });
    const limits = options.console_limits ? { limits: options.console_limits } : {};
    const dependencies: ServerDependencies = {
      handle,
      tables,
      disk: new DiskUsage({ tables, storage: handle.open.storage, clock: handle.clock }),
      health,
      hub,
      assets: assetsUnder(mount.base, handle.open.lake.kind, assets),
      base: mount.base,
      mounts: this.#mounts,
      onError,
      reader,
      console: new Console({ ...handle.console, ...limits }),
      metrics: options.metrics ?? new Metrics(),
      authenticator: this.#authenticator,
    };
    const { app, stop } = createApp(dependencies, host);
    const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false, hostname: host });
    let listening: Listening;
    try {
      listening = await this.#listen();
    } catch (error) {
      stop();
      await dependencies.console.close();
      await reader.close();
      throw error;
    }
    const families = () => familiesOf(dependencies);
    const service: Service = { listener, health, families, requests: new Set() };
    mount.service = service;
    mount.state = "serving";
    hub.start();
    return {
      url: `${listening.url}${mount.base}`,
      port: listening.port,
      close: async () => {
        hub.close();
        stop();
        await dependencies.console.close();
        mount.service = null;
        mount.state = "stopped";
        await endRequests(service.requests);
        await reader.close();
      },
    };
  }

  /** Shared by all pipelines. */
  #listen(): Promise<Listening> {
    const { host, port } = this.#options;
    this.#listening ??= listen(createHttpServer(this.#answer), { ...DASHBOARD_LISTENING, host, port });
    return this.#listening;
  }

  readonly #answer: RequestListener = (incoming, outgoing) => {
    const { mount, url } = this.#mounts.find(incoming.url ?? "/");
    if (mount.service === null) return sendUnavailable(outgoing, mount);
    const { listener, requests } = mount.service;
    incoming.url = url;
    requests.add(outgoing);
    outgoing.once("close", () => requests.delete(outgoing));
    listener(incoming, outgoing);
  };

  /** Call it after the mounted pipelines have been closed. */
  async close(): Promise<void> {
    // A server that could not listen has rejected its `mount`.
    const listening = await this.#listening?.catch(() => null);
    await listening?.close();
  }
}

/** Awaits the pipeline's requests, and ends those that take too long. */
async function endRequests(requests: ReadonlySet<ServerResponse>): Promise<void> {
  const timer = setTimeout(() => {
    for (const response of requests) response.destroy();
  }, DASHBOARD_LISTENING.close_timeout_ms);
  await Promise.all([...requests].map((response) => new Promise((resolve) => response.once("close", resolve))));
  clearTimeout(timer);
}

function createHttpServer(listener: RequestListener): HttpServer {
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

/** Answers for a pipeline that does not serve; browsers try again. Reveals nothing that needs a token. */
function sendUnavailable(response: ServerResponse, { title, state }: Mount): void {
  const error =
    state === "starting"
      ? requestError("PIPELINE_STARTING", `${title}: the pipeline is starting`, "Try again in a few seconds.")
      : requestError("STOPPING", `${title}: the pipeline has stopped`, "Try again once it runs.");
  const headers = { ...CONTENT_HEADERS, "content-type": "application/problem+json", "cache-control": "no-store" };
  response.writeHead(503, { ...headers, "retry-after": RETRY_AFTER_S, refresh: RETRY_AFTER_S });
  response.end(JSON.stringify(problemOf(error, () => {})));
}
