import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { STATUS_CODES } from "node:http";
import type { z } from "@hono/zod-openapi";
import { ERROR_CODES, type ErrorCode } from "../base/error-codes.ts";
import { OperatingError } from "../base/errors.ts";
import type { Problem } from "./schemas/values.ts";

const RETRY_AFTER_S = 2;

/** An error that the request itself caused. */
export function requestError(code: ErrorCode, message: string, next_step: string): OperatingError {
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
    "INVALID_REQUEST",
    `${path}: ${issue?.message ?? "does not match the schema"}`,
    "GET /api/openapi.json describes the expected input.",
  );
}

/** The RFC 9457 problem for an error. Unexpected errors go to `onError` only: their text may reveal data of others. */
export function problemOf(error: unknown, onError: (error: unknown) => void): Problem {
  const status = error instanceof OperatingError ? ERROR_CODES[error.code].status : undefined;
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

function describe(status: number, code: ErrorCode, detail: string, next_step: string): Problem {
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
