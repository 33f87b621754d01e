import type { Failure } from "./request.ts";

/**
 * The failure in the body of a response with status 200, or null for a page of coins. CoinGecko and the proxies in
 * front of it also send errors with status 200.
 */
export function pageFailure(body: Uint8Array, page: number): Failure | null {
  const value = parsed(body);
  if (Array.isArray(value)) {
    // Pages after the last coin are empty; the first page never is.
    return value.length === 0 && page === 1
      ? failure("EMPTY_PAGE", "it answered with an empty list of coins (status 200)")
      : null;
  }
  if (value === undefined)
    return failure("BODY_NOT_JSON", "its answer with status 200 is not JSON; recorded as received");
  const code = errorCode(value);
  if (code === 429) return failure("RATE_LIMITED", "rate limit exceeded (error code 429 in an answer with status 200)");
  const said = code === null ? "" : ` (error code ${code})`;
  return failure("NOT_A_PAGE", `its answer with status 200 is not a list of coins${said}; recorded as received`);
}

function failure(code: string, message: string): Failure {
  return { level: "warning", code, message, retry_after_ms: null };
}

/** Undefined if the bytes are not JSON. */
function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    return undefined;
  }
}

/**
 * The error code of `{"status": {"error_code": 429, …}}`, or of the same without the outer object. The text beside the
 * code is omitted, because it may repeat what was sent.
 */
function errorCode(value: unknown): number | null {
  const outer = fieldOf(value, "status");
  const code = fieldOf(typeof outer === "object" ? outer : value, "error_code");
  return typeof code === "number" && Number.isSafeInteger(code) ? code : null;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
