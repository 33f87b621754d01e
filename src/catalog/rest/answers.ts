import type { ServerResponse } from "node:http";
import type { ErrorCode } from "../../base/error-codes.ts";
import { OperatingError } from "../../base/errors.ts";
import { formatJson } from "../../iceberg/json.ts";

/** A route's response; without a body for 204 and 304. */
export interface Answer {
  status: number;
  body?: unknown;
  /** The body as JSON text in chunks, instead of `body`. */
  parts?: readonly Uint8Array[];
  headers?: Record<string, string>;
}

/** Status and error type of the REST specification (schema ErrorModel), by OperatingError code. */
const ERRORS: Partial<Record<ErrorCode, { status: number; type: string }>> = {
  INVALID_REQUEST: { status: 400, type: "BadRequestException" },
  UNSUPPORTED_LOCATION: { status: 400, type: "BadRequestException" },
  NOT_AUTHORIZED: { status: 401, type: "NotAuthorizedException" },
  FORBIDDEN: { status: 403, type: "ForbiddenException" },
  ROUTE_NOT_FOUND: { status: 404, type: "NoSuchEndpointException" },
  WAREHOUSE_NOT_FOUND: { status: 404, type: "NoSuchWarehouseException" },
  NAMESPACE_NOT_FOUND: { status: 404, type: "NoSuchNamespaceException" },
  TABLE_NOT_FOUND: { status: 404, type: "NoSuchTableException" },
  VIEW_NOT_FOUND: { status: 404, type: "NoSuchViewException" },
  FILE_NOT_FOUND: { status: 404, type: "NotFoundException" },
  NOT_A_FILE: { status: 404, type: "NotFoundException" },
  METHOD_NOT_ALLOWED: { status: 405, type: "MethodNotAllowedException" },
  UNSUPPORTED: { status: 406, type: "UnsupportedOperationException" },
  NAMESPACE_EXISTS: { status: 409, type: "AlreadyExistsException" },
  TABLE_EXISTS: { status: 409, type: "AlreadyExistsException" },
  NAMESPACE_NOT_EMPTY: { status: 409, type: "NamespaceNotEmptyException" },
  COMMIT_CONFLICT: { status: 409, type: "CommitFailedException" },
  FILE_TOO_LARGE: { status: 400, type: "BadRequestException" },
  BODY_TOO_LARGE: { status: 413, type: "BadRequestException" },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, type: "BadRequestException" },
  TABLE_DAMAGED: { status: 422, type: "UnprocessableEntityException" },
  UNPROCESSABLE: { status: 422, type: "UnprocessableEntityException" },
  UNKNOWN_OUTCOME: { status: 500, type: "CommitStateUnknownException" },
};

/** Known failures of the disk or the store: nothing was published, and a retry may succeed. */
const UNAVAILABLE = { status: 503, type: "ServiceUnavailableException" };
/** An internal error. Status 500 tells clients that the outcome is unknown. */
const INTERNAL = { status: 500, type: "InternalServerError" };

/** Messages of unexpected errors appear only in the log, because they may contain confidential details. */
export function errorAnswer(error: unknown): Answer {
  const is_operating = error instanceof OperatingError;
  const { status, type } = is_operating ? (ERRORS[error.code] ?? UNAVAILABLE) : INTERNAL;
  const message = is_operating ? error.message : "Internal error; the catalog's log has the details";
  // RFC 6750: names the authentication scheme that the client must use.
  const headers: Record<string, string> = status === 401 ? { "www-authenticate": "Bearer" } : {};
  return { status, headers, body: { error: { message, type, code: status } } };
}

export function send(response: ServerResponse, answer: Answer, is_head: boolean): void {
  const parts = answer.parts ?? (answer.body === undefined ? [] : [Buffer.from(formatJson(answer.body))]);
  const size_bytes = parts.reduce((total, part) => total + part.length, 0);
  const has_body = parts.length > 0;
  response.writeHead(answer.status, {
    ...(has_body ? { "content-type": "application/json", "content-length": String(size_bytes) } : {}),
    ...answer.headers,
  });
  response.cork();
  if (!is_head) for (const part of parts) response.write(part);
  response.uncork();
  response.end();
}
