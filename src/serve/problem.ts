import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { STATUS_CODES } from "node:http";
import type { z } from "@hono/zod-openapi";
import { OperatingError } from "../base/errors.ts";
import type { Problem } from "./schemas/values.ts";

/** HTTP status by error code; any other error is internal (500). */
const STATUS_BY_CODE: Readonly<Record<string, ContentfulStatusCode>> = {
  BAD_REQUEST: 400,
  BAD_CURSOR: 400,
  BAD_JSON: 400,
  BODY_CUT_OFF: 400,
  BAD_SQL: 400,
  BAD_TIME: 400,
  AMBIGUOUS_SUBJECT: 400,
  TOKEN_NEEDED: 401,
  WRONG_TOKEN: 401,
  CROSS_SITE: 403,
  SQL_NOT_ALLOWED: 403,
  NOT_FOUND: 404,
  NO_SUCH_TABLE: 404,
  NO_SUCH_NAMESPACE: 404,
  NO_SUCH_TOPIC: 404,
  NO_SUCH_PARTITION: 404,
  NO_SUCH_QUESTION: 404,
  NO_SUCH_RULE: 404,
  NO_SUCH_ALERT: 404,
  NO_SUCH_QUERY: 404,
  NO_SUCH_SUBJECT: 404,
  METHOD_NOT_ALLOWED: 405,
  RULE_EXISTS: 409,
  QUERY_ID_IN_USE: 409,
  QUERY_CANCELLED: 409,
  OFFSET_PRUNED: 410,
  BODY_TOO_LARGE: 413,
  JSON_NEEDED: 415,
  FOREIGN_HOST: 421,
  BAD_RULE: 422,
  NOT_TESTABLE: 422,
  QUERY_TOO_LARGE: 422,
  QUERY_OUT_OF_MEMORY: 422,
  TOO_MANY_ATTEMPTS: 429,
  TOO_MANY_QUERIES: 429,
  TOO_MANY_BACK_TESTS: 429,
  TOO_MANY_CLIENTS: 503,
  LAKE_EMPTY: 503,
  LAKE_BUSY: 503,
  LIVE_TAIL_FAILED: 503,
  STORAGE_UNREACHABLE: 503,
  STORE_FAILED: 503,
  STORE_FORMAT_UNKNOWN: 503,
  TABLE_FILE_UNREADABLE: 503,
  LOG_UNREACHABLE: 503,
  ALERTS_LOCKED: 503,
  ALERTS_DISK_FULL: 503,
  CONSOLE_DIED: 503,
  CONSOLE_CLOSED: 503,
  STOPPING: 503,
  QUERY_TIMED_OUT: 504,
};

const RETRY_AFTER_S = 2;

/** An error that the request itself caused. */
export function requestError(
  code: keyof typeof STATUS_BY_CODE & string,
  message: string,
  next_step: string,
): OperatingError {
  return new OperatingError(code, message, { next_step });
}

export function notFound(what: string): OperatingError {
  return requestError("NOT_FOUND", `There is no ${what}`, "GET /api/openapi.json lists all routes.");
}

/** The schema's first issue, with the path of the invalid field. */
export function badRequest(error: z.ZodError, where: string): OperatingError {
  const [issue] = error.issues;
  const path = issue?.path.join(".") || where;
  return requestError(
    "BAD_REQUEST",
    `${path}: ${issue?.message ?? "does not match the schema"}`,
    "GET /api/openapi.json describes the expected input.",
  );
}

/** The RFC 9457 problem for an error. Unexpected errors go to `onError` only: their text may reveal data of others. */
export function problemOf(error: unknown, onError: (error: unknown) => void): Problem {
  const status = error instanceof OperatingError ? STATUS_BY_CODE[error.code] : undefined;
  if (!(error instanceof OperatingError) || status === undefined) {
    onError(error);
    return describe(
      500,
      "INTERNAL",
      "The server failed to answer; its terminal shows the error",
      "Try again; if the error persists, restart Coinlake.",
    );
  }
  const position = (error as { position?: unknown }).position;
  return {
    ...describe(status, error.code, error.message, error.next_step),
    ...(typeof position === "number" ? { position } : {}),
  };
}

function describe(status: ContentfulStatusCode, code: string, detail: string, next_step: string): Problem {
  return {
    type: `urn:coinlake:problem:${code.toLowerCase().replaceAll("_", "-")}`,
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail,
    code,
    next_step,
  };
}

export function sendProblem(context: Context, error: unknown, onError: (error: unknown) => void): Response {
  const problem = problemOf(error, onError);
  const headers: Record<string, string> = { "content-type": "application/problem+json", "cache-control": "no-store" };
  if (problem.status === 401) headers["www-authenticate"] = 'Bearer realm="coinlake"';
  if (problem.status === 429 || problem.status === 503) headers["retry-after"] = String(RETRY_AFTER_S);
  return context.body(JSON.stringify(problem), problem.status as ContentfulStatusCode, headers);
}
