import { retryAfter_ms } from "../../src/base/backoff.ts";
import type { Clock } from "../../src/base/clock.ts";

/** A page of a thousand trades is about 150 kB. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

export type Answer = { body: string; failure: null } | { body: null; failure: Failure };

export interface Failure {
  /** RATE_LIMITED, BAD_STATUS, REJECTED, TIMED_OUT, CONNECTION_LOST, BODY_TOO_LARGE, BODY_NOT_TEXT */
  code: string;
  message: string;
  retry_after_ms: number | null;
}

/** Answers that are not UTF-8 are rejected, not repaired. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Sends one GET without retries; the answer contains the failure. Redirects are not followed. An abort has the same
 * result as a timeout, so check the signal first.
 */
export async function get(
  url: string,
  options: { signal: AbortSignal; timeout_ms: number; clock: Clock },
): Promise<Answer> {
  const { timeout_ms, clock } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(timeout_ms)]);
  try {
    const response = await fetch(url, {
      signal,
      redirect: "manual",
      headers: { accept: "application/json", "user-agent": "coinlake" },
    });
    if (response.status !== 200) {
      const retry_after_ms = retryAfter_ms(response.headers.get("retry-after"), clock.now_us());
      await response.body?.cancel();
      return failed(...ofStatus(response.status), retry_after_ms);
    }
    return await read(response);
  } catch (error) {
    if (signal.aborted) return failed("TIMED_OUT", `no complete answer within ${timeout_ms / 1000} s`);
    if (!(error instanceof TypeError)) throw error;
    return failed("CONNECTION_LOST", `the connection failed (${causeOf(error)})`);
  }
}

async function read(response: Response): Promise<Answer> {
  const chunks: Uint8Array[] = [];
  let size_bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size_bytes += chunk.length;
    if (size_bytes > MAX_BODY_BYTES)
      return failed("BODY_TOO_LARGE", `the answer is longer than ${MAX_BODY_BYTES / 1024 / 1024} MiB`);
    chunks.push(chunk);
  }
  try {
    return { body: utf8.decode(Buffer.concat(chunks)), failure: null };
  } catch {
    return failed("BODY_NOT_TEXT", "the answer is not valid UTF-8");
  }
}

function ofStatus(status: number): [code: string, message: string] {
  if (status === 429 || status === 418) return ["RATE_LIMITED", `rate limit exceeded (status ${status})`];
  const is_rejection = status >= 400 && status < 500 && status !== 408 && status !== 425;
  return [is_rejection ? "REJECTED" : "BAD_STATUS", `it answered with status ${status}`];
}

function failed(code: string, message: string, retry_after_ms: number | null = null): Answer {
  return { body: null, failure: { code, message, retry_after_ms } };
}

/** The system's error code, from the chain of causes. */
function causeOf(error: Error): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string") return cause.code;
  }
  return error.message;
}
