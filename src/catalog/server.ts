import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { OperatingError, messageOf } from "../base/errors.ts";
import { listen, type Listening } from "../base/listen.ts";
import type { Catalog } from "./catalog.ts";
import { errorAnswer, send, type Answer } from "./rest/answers.ts";
import { NAMESPACE_ROUTES } from "./rest/namespaces.ts";
import { Router, type Route } from "./rest/router.ts";
import { checkBearer, checkSender } from "./rest/origin-check.ts";
import { TABLE_ROUTES } from "./rest/tables.ts";
import { VIEW_ROUTES } from "./rest/views.ts";

export interface CatalogServerOptions {
  catalog: Catalog;
  /** 0 for any free one. */
  port: number;
  /** Other than loopback only with a token, or where the network itself is trusted. */
  host?: string;
  /** What clients must send as a Bearer token; null, the default, asks for none. */
  token?: string | null;
  /** Told of unexpected errors; their callers get a bare 500. */
  onError?: (error: unknown) => void;
}

/** Its `url` is what engines attach to, with its `token`. */
export interface CatalogServer extends Listening {
  token: string | null;
}

/** A client that takes longer to send its request is gone or means harm. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than engines keep idle connections: they, not we, should be the ones to close. */
const KEEP_ALIVE_TIMEOUT_MS = 120_000;
/** A purge of a large table may take this long. */
const CLOSE_TIMEOUT_MS = 5_000;

const ROUTES: readonly Route[] = [...NAMESPACE_ROUTES, ...TABLE_ROUTES, ...VIEW_ROUTES];

/** Spec, getConfig: engines send only what is listed here. */
const CONFIG_ROUTE: Route = {
  method: "GET",
  path: "config",
  async handle() {
    const endpoints = ROUTES.filter((route) => route.is_listed !== false).map(
      (route) => `${route.method} /v1/{prefix}/${route.path}`,
    );
    return { status: 200, body: { defaults: {}, overrides: {}, endpoints } };
  },
};

/** Iceberg's REST catalog over HTTP. Throws PORT_TAKEN, PORT_REFUSED. */
export async function startCatalogServer(options: CatalogServerOptions): Promise<CatalogServer> {
  const host = options.host ?? "127.0.0.1";
  const onError =
    options.onError ?? ((error) => process.emitWarning(`The catalog failed to answer: ${messageOf(error)}`));
  const token = options.token ?? null;
  const router = new Router([CONFIG_ROUTE, ...ROUTES]);
  const answer = async (request: IncomingMessage): Promise<Answer> => {
    try {
      checkSender(request, host);
      checkBearer(request, token);
      return await router.handle(options.catalog, request);
    } catch (error) {
      if (!(error instanceof OperatingError)) onError(error);
      return errorAnswer(error);
    }
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const given = await answer(request);
    // What was not read of a refused body would be taken for the next request.
    if (!request.complete) response.setHeader("connection", "close");
    send(response, given, request.method === "HEAD");
  };
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS, noDelay: true },
    (request, response) => {
      serve(request, response).catch((error: unknown) => {
        onError(error);
        response.destroy();
      });
    },
  );
  const listening = await listen(server, {
    name: "The catalog",
    host,
    port: options.port,
    port_option: "--catalog-port",
    close_timeout_ms: CLOSE_TIMEOUT_MS,
  });
  return { ...listening, token };
}
