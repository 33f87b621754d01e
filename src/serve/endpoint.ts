import { createHash } from "node:crypto";
import { createRoute, z, type OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { HttpBindings } from "@hono/node-server";
import { bodyOf } from "./guard/body.ts";
import { badRequest, requestError } from "./problem.ts";
import { Problem } from "./schemas/values.ts";

export type App = OpenAPIHono<{ Bindings: HttpBindings }>;
export type Method = "get" | "post" | "put" | "delete";

/** A route's schemas and handler; `register` mounts it and adds it to the OpenAPI document. */
export interface Endpoint<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType> {
  method: Method;
  /** Path with parameters in braces: `/api/tables/{table}`. */
  path: string;
  tag: string;
  summary: string;
  description?: string;
  params?: P;
  query?: Q;
  body?: B;
  /** Passed through; the handler validates it and gives more specific errors. The schema only documents the body. */
  is_checked_by_handler?: boolean;
  /** Null for an empty response (204). */
  response: R | null;
  status?: 200 | 201 | 202 | 204;
  handle(request: {
    params: z.output<P>;
    query: z.output<Q>;
    body: z.output<B>;
    context: Context<{ Bindings: HttpBindings }>;
  }): Promise<z.input<R> | Response>;
}

const NOTHING = z.object({});

export function register<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
  app: App,
  endpoint: Endpoint<P, Q, B, R>,
): void {
  document(app, endpoint);
  app.on(endpoint.method.toUpperCase(), routingPath(endpoint.path), async (context) => {
    const params = parse(endpoint.params ?? NOTHING, context.req.param(), "path");
    const query = parse(endpoint.query ?? z.strictObject({}), context.req.query(), "query");
    const body =
      endpoint.body === undefined
        ? undefined
        : await readBody(context, endpoint.is_checked_by_handler ? z.unknown() : endpoint.body);
    const request = { params, query, body } as { params: z.output<P>; query: z.output<Q>; body: z.output<B> };
    const answer = await endpoint.handle({ ...request, context });
    if (answer instanceof Response) return answer;
    if (endpoint.response === null) return context.body(null, 204);
    return sendJson(context, answer, endpoint.status ?? 200);
  });
}

function document<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
  app: App,
  endpoint: Endpoint<P, Q, B, R>,
): void {
  const problem = {
    description: "Problem details (RFC 9457)",
    content: { "application/problem+json": { schema: Problem } },
  };
  const answer: RouteConfig["responses"] =
    endpoint.response === null
      ? { 204: { description: "Done" } }
      : {
          [endpoint.status ?? 200]: {
            description: endpoint.summary,
            content: { "application/json": { schema: endpoint.response } },
          },
        };
  app.openAPIRegistry.registerPath(
    createRoute({
      method: endpoint.method,
      path: endpoint.path,
      tags: [endpoint.tag],
      summary: endpoint.summary,
      ...(endpoint.description === undefined ? {} : { description: endpoint.description }),
      request: {
        ...(endpoint.params === undefined ? {} : { params: endpoint.params as unknown as z.ZodObject }),
        ...(endpoint.query === undefined ? {} : { query: endpoint.query as unknown as z.ZodObject }),
        ...(endpoint.body === undefined
          ? {}
          : { body: { required: true, content: { "application/json": { schema: endpoint.body } } } }),
      },
      responses: { ...answer, default: problem },
    }),
  );
}

function routingPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

/** Throws INVALID_JSON, INVALID_REQUEST. */
export async function readBody<T extends z.ZodType>(context: Context, schema: T): Promise<z.output<T>> {
  return parse(schema, await jsonOf(context), "body") as z.output<T>;
}

function parse(schema: z.ZodType, given: unknown, where: string): unknown {
  const result = schema.safeParse(given);
  if (!result.success) throw badRequest(result.error, where);
  return result.data;
}

async function jsonOf(context: Context): Promise<unknown> {
  const text = await bodyOf(context);
  try {
    return JSON.parse(text);
  } catch {
    throw requestError(
      "INVALID_JSON",
      "The body is not valid JSON",
      "Send one JSON object with content-type application/json.",
    );
  }
}

/** Responds with JSON and a weak ETag; 304 without a body if the client already has it. */
export function sendJson(context: Context, answer: unknown, status: 200 | 201 | 202 | 204): Response {
  const body = JSON.stringify(answer);
  if (context.req.method !== "GET" || status !== 200)
    return context.body(body, status as 200, { "content-type": "application/json" });
  const etag = `W/"${createHash("sha1").update(body).digest("base64url")}"`;
  const headers = { etag, "cache-control": "no-cache", "content-type": "application/json" };
  if (matches(context.req.header("if-none-match"), etag)) return context.body(null, 304, headers);
  return context.body(body, 200, headers);
}

/** RFC 9110, 13.1.2: weak comparison. */
export function matches(if_none_match: string | undefined, etag: string): boolean {
  if (if_none_match === undefined) return false;
  const opaque = (tag: string) => tag.trim().replace(/^W\//, "");
  return if_none_match.trim() === "*" || if_none_match.split(",").some((tag) => opaque(tag) === opaque(etag));
}
