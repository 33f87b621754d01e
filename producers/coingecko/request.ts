import { onAbort } from "../../src/base/abortable.ts";
import {
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  type Coingecko,
} from "@coingecko/coingecko-typescript";
import { retryAfter_ms } from "../../src/base/backoff.ts";

/** A page of 250 coins is about 250 kB; the limit protects memory. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Why a request has no complete body. Contains no sent or received text, so no key. */
export interface Failure {
  level: "warning" | "error";
  /**
   * RATE_LIMITED, KEY_REJECTED, BAD_STATUS, TIMED_OUT, NAME_NOT_RESOLVED, CONNECTION_REFUSED, CONNECTION_LOST,
   * BODY_CUT, BODY_TOO_LARGE; page.ts adds BODY_NOT_JSON, NOT_A_PAGE, EMPTY_PAGE
   */
  code: string;
  message: string;
  /** Retry-After of the server, or null. */
  retry_after_ms: number | null;
}

export interface Answer {
  /**
   * The decompressed body as far as received; null unless the status was 200.
   */
  body: Uint8Array | null;
  /** Only an answer with status 200 costs a credit. */
  has_cost: boolean;
  failure: Failure | null;
}

export interface Asking {
  signal: AbortSignal;
  timeout_ms: number;
  now_us(): number;
}

type Send = (options: Coingecko.RequestOptions) => { asResponse(): Promise<Response> };

/**
 * Sends one request without retries; the answer contains the failure. Throws only programming errors. The timeout spans
 * headers and body. An abort has the same result as a timeout, so check the signal first.
 */
export async function ask(send: Send, { signal, timeout_ms, now_us }: Asking): Promise<Answer> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  const timer = setTimeout(stop, timeout_ms);
  const stopListening = onAbort(signal, stop);
  try {
    const response = await send({ signal: abort.signal, timeout: timeout_ms, maxRetries: 0 }).asResponse();
    if (response.status !== 200) return { body: null, has_cost: false, failure: statusFailure(response.status, null) };
    return await readBody(response, (error) => bodyFailure(error, abort.signal, timeout_ms));
  } catch (error) {
    return { body: null, has_cost: false, failure: failureOf(error, abort.signal, timeout_ms, now_us()) };
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

/** A truncated body is kept: it cost a credit and shows what the source sent. */
async function readBody(response: Response, failed: (error: unknown) => Failure): Promise<Answer> {
  const chunks: Uint8Array[] = [];
  let size_bytes = 0;
  let failure: Failure | null = null;
  try {
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      size_bytes += chunk.length;
      if (size_bytes > MAX_BODY_BYTES) throw new RangeError("too large");
      chunks.push(chunk);
    }
  } catch (error) {
    failure = failed(error);
  }
  const is_empty_part = failure !== null && chunks.length === 0;
  return { body: is_empty_part ? null : new Uint8Array(Buffer.concat(chunks)), has_cost: true, failure };
}

function bodyFailure(error: unknown, aborted: AbortSignal, timeout_ms: number): Failure {
  if (error instanceof RangeError)
    return warning("BODY_TOO_LARGE", `the answer is longer than ${MAX_BODY_BYTES / 1024 / 1024} MiB`);
  if (aborted.aborted) return timedOut(timeout_ms);
  return warning("BODY_CUT", "the answer was truncated; recorded as received");
}

function failureOf(error: unknown, aborted: AbortSignal, timeout_ms: number, now_us: number): Failure {
  if (aborted.aborted || error instanceof APIConnectionTimeoutError) return timedOut(timeout_ms);
  if (error instanceof APIError && typeof error.status === "number") {
    return statusFailure(error.status, retryAfter_ms(error.headers?.get("retry-after"), now_us));
  }
  if (!(error instanceof APIConnectionError)) throw error;
  const code = networkCode(error);
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return warning("NAME_NOT_RESOLVED", "its name could not be resolved; is there a network?");
  if (code === "ECONNREFUSED") return warning("CONNECTION_REFUSED", "connection refused");
  return warning("CONNECTION_LOST", `the connection failed (${code ?? "no reason given"})`);
}

function statusFailure(status: number, retry_after_ms: number | null): Failure {
  if (status === 429) return { ...warning("RATE_LIMITED", "rate limit exceeded (status 429)"), retry_after_ms };
  if (status === 401 || status === 403) {
    const message = `it rejected the key (status ${status}); check COINGECKO_API_KEY or COINGECKO_PRO_API_KEY`;
    return { level: "error", code: "KEY_REJECTED", message, retry_after_ms };
  }
  const level = status >= 500 ? "warning" : "error";
  return { level, code: "BAD_STATUS", message: `it answered with status ${status}`, retry_after_ms };
}

function timedOut(timeout_ms: number): Failure {
  return warning("TIMED_OUT", `no complete answer within ${timeout_ms / 1000} s`);
}

function warning(code: string, message: string): Failure {
  return { level: "warning", code, message, retry_after_ms: null };
}

/** The system's error code, from the chain of causes. */
function networkCode(error: unknown): string | null {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string") return cause.code;
  }
  return null;
}
