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
import { DEFAULT_WAREHOUSE, Warehouses } from "./rest/warehouses.ts";

export interface CatalogServerOptions {
  catalog: Catalog;
  /** Name by which clients select the catalog (default: coinlake). */
  warehouse?: string;
  /** False if other catalogs are added: clients then select one by its name. */
  is_only?: boolean;
  /** 0 selects any free port. */
  port: number;
  /** An address other than loopback requires a token or a trusted network. */
  host?: string;
  /** The Bearer token that clients must send; null (default) requires none. */
  token?: string | null;
  /** Receives unexpected errors; clients get only status 500. */
  onError?: (error: unknown) => void;
}

/** Engines attach to `warehouse` at `url` with `token`. */
export interface CatalogServer extends Listening {
  token: string | null;
  warehouse: string;
  /**
   * Serves another catalog at the same address. Its `close` ends that; close the server first, which ends all requests.
   */
  add(warehouse: string, catalog: Catalog): CatalogServer;
}

/** A client that needs longer to send its request is disconnected or malicious. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than engines keep idle connections, so that the client closes first. */
const KEEP_ALIVE_TIMEOUT_MS = 120_000;
/** Time for requests in progress, such as the purge of a large table. */
const CLOSE_TIMEOUT_MS = 5_000;

const ROUTES: readonly Route[] = [...NAMESPACE_ROUTES, ...TABLE_ROUTES, ...VIEW_ROUTES];

/** Spec, getConfig: engines call only the endpoints listed here. */
const CONFIG_ROUTE: Route = {
  method: "GET",
  path: "config",
  async handle({ warehouses, query }) {
    const prefix = warehouses.prefixOf(query.get("warehouse"));
    const endpoints = ROUTES.filter((route) => route.is_listed !== false).map(
      (route) => `${route.method} /v1/{prefix}/${route.path}`,
    );
    return { status: 200, body: { defaults: {}, overrides: prefix === null ? {} : { prefix }, endpoints } };
  },
};

/** Iceberg's REST catalog over HTTP. Throws PORT_TAKEN, PORT_NOT_ALLOWED. */
export async function startCatalogServer(options: CatalogServerOptions): Promise<CatalogServer> {
  const host = options.host ?? "127.0.0.1";
  const onError =
    options.onError ?? ((error) => process.emitWarning(`The catalog failed to answer: ${messageOf(error)}`));
  const token = options.token ?? null;
  const warehouse = options.warehouse ?? DEFAULT_WAREHOUSE;
  const warehouses = new Warehouses(warehouse, options, { is_only: options.is_only ?? true });
  const router = new Router([CONFIG_ROUTE, ...ROUTES]);
  const answer = async (request: IncomingMessage): Promise<Answer> => {
    try {
      checkSender(request, host);
      checkBearer(request, token);
      return await router.handle(warehouses, request);
    } catch (error) {
      if (!(error instanceof OperatingError)) onError(error);
      return errorAnswer(error);
    }
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const given = await answer(request);
    // The unread rest of a rejected body would be parsed as the next request.
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
  const catalog_server: CatalogServer = {
    ...listening,
    token,
    warehouse,
    add(name, catalog) {
      warehouses.add(name, catalog);
      return { ...catalog_server, warehouse: name, close: async () => warehouses.remove(name) };
    },
  };
  return catalog_server;
}
