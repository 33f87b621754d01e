import type { IncomingMessage } from "node:http";
import { OperatingError } from "../../base/errors.ts";
import type { Catalog, Page } from "../catalog.ts";
import { badRequest } from "../../iceberg/errors.ts";
import type { TableIdentifier } from "../../iceberg/model.ts";
import type { JsonObject } from "../../iceberg/shape.ts";
import type { Answer } from "./answers.ts";
import { readBody } from "./request.ts";
import type { Warehouses } from "./warehouses.ts";

/** One request, decoded to the extent that every route needs. */
export interface Call {
  catalog: Catalog;
  warehouses: Warehouses;
  query: URLSearchParams;
  headers: IncomingMessage["headers"];
  /** From the path; empty if the route has none. */
  namespace: string[];
  name: string;
  body(): Promise<JsonObject>;
}

export interface Route {
  method: "GET" | "HEAD" | "POST" | "DELETE";
  /** The path in the specification, after `/v1/{prefix}/`. */
  path: string;
  /** Whether `GET /v1/config` lists the route; clients do not call unlisted routes. */
  is_listed?: boolean;
  handle(call: Call): Promise<Answer>;
}

/** Separates the levels of a namespace in a path or parameter, after decoding. */
const NAMESPACE_SEPARATOR = "\x1f";
const MAX_PAGE_SIZE = 10_000;
/** First segments of routes. Any other first segment is a {prefix}, the name of a warehouse. */
const FIRST_SEGMENTS = new Set(["config", "namespaces", "tables", "views", "transactions"]);

export class Router {
  readonly #routes: { route: Route; segments: string[] }[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({ route, segments: route.path.split("/") }));
  }

  /** Throws ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED, INVALID_REQUEST, WAREHOUSE_NOT_FOUND, and the errors of the route. */
  async handle(warehouses: Warehouses, request: IncomingMessage): Promise<Answer> {
    const { path, query } = split(request.url ?? "/");
    const { prefix, segments: actual } = segmentsOf(path);
    const candidates = this.#routes.filter(({ segments }) => isMatch(segments, actual));
    const found = candidates.find(({ route }) => route.method === request.method);
    if (found === undefined) throw noRoute(request.method ?? "", path, candidates.length > 0);
    const variable = (name: string) => actual[found.segments.indexOf(name)];
    return found.route.handle({
      catalog: warehouses.catalogOf(prefix),
      warehouses,
      query,
      headers: request.headers,
      namespace: namespaceOf(variable("{namespace}")),
      name: variable("{table}") ?? variable("{view}") ?? "",
      body: () => readBody(request),
    });
  }
}

function split(url: string): { path: string; query: URLSearchParams } {
  const [path = "/", ...query] = url.split("?");
  return { path, query: new URLSearchParams(query.join("?")) };
}

function segmentsOf(path: string): { prefix: string | null; segments: string[] } {
  let segments: string[];
  try {
    // The reference client encodes names as forms do: a plus is a space, and a literal plus is %2B.
    segments = path
      .replace(/^\/+|\/+$/g, "")
      .replaceAll("+", "%20")
      .split("/")
      .map(decodeURIComponent);
  } catch (error) {
    throw badRequest("The path is not valid percent-encoded UTF-8", error);
  }
  const [version, first, ...rest] = segments;
  if (version !== "v1" || first === undefined) return { prefix: null, segments: [] };
  return FIRST_SEGMENTS.has(first) ? { prefix: null, segments: [first, ...rest] } : { prefix: first, segments: rest };
}

function isMatch(pattern: readonly string[], actual: readonly string[]): boolean {
  return (
    pattern.length === actual.length &&
    pattern.every((segment, index) => segment.startsWith("{") || segment === actual[index])
  );
}

function noRoute(method: string, path: string, is_other_method: boolean): OperatingError {
  return is_other_method
    ? new OperatingError("METHOD_NOT_ALLOWED", `${method} is not for ${path}`, {
        next_step: "Use a method that GET /v1/config lists for this path.",
      })
    : new OperatingError("ROUTE_NOT_FOUND", `There is no route ${method} ${path}`, {
        next_step: "Use one of the endpoints that GET /v1/config lists.",
      });
}

function namespaceOf(encoded: string | undefined): string[] {
  return encoded === undefined ? [] : encoded.split(NAMESPACE_SEPARATOR);
}

/** The parameter `?parent=`; empty or absent for the top level. */
export function parentOf(query: URLSearchParams): string[] {
  const parent = query.get("parent");
  return parent === null || parent === "" ? [] : parent.split(NAMESPACE_SEPARATOR);
}

/** Without the parameters, the answer has everything, as the specification requires for clients without paging. */
export function pageOf(query: URLSearchParams): Page {
  const stated = query.get("pageSize");
  const page_token = query.get("pageToken") ?? undefined;
  if (stated === null) return { page_token };
  const page_size = Number(stated);
  if (!Number.isInteger(page_size) || page_size < 1) throw badRequest("pageSize must be a positive integer");
  return { page_token, page_size: Math.min(page_size, MAX_PAGE_SIZE) };
}

export function tableOf(call: Call): TableIdentifier {
  return { namespace: call.namespace, name: call.name };
}
