import { hrefOf } from "../base.ts";
import type { Problem } from "../../src/serve/schemas/values.ts";

/** A problem reported by the API, or a failed request. */
export class ApiError extends Error {
  /** HTTP status; 0 without a response. */
  readonly status: number;
  readonly code: string;
  readonly next_step: string;
  /** Position of the error in the SQL sent. */
  readonly position: number | null;

  constructor(problem: Pick<Problem, "status" | "code" | "detail" | "next_step" | "position">) {
    super(problem.detail);
    this.status = problem.status;
    this.code = problem.code;
    this.next_step = problem.next_step;
    this.position = problem.position ?? null;
  }
}

interface Kept {
  etag: string;
  value: unknown;
}

/** Responses by path, for conditional requests: an unchanged response is not sent again. */
const kept = new Map<string, Kept>();
const KEPT_PATHS = 200;

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const known = kept.get(path);
  const response = await send(path, {
    headers: known ? { "if-none-match": known.etag } : {},
    ...(signal ? { signal } : {}),
  });
  if (response.status === 304 && known) return known.value as T;
  if (!response.ok) throw await problemOf(response);
  const value = (await response.json()) as T;
  const etag = response.headers.get("etag");
  if (etag) keep(path, { etag, value });
  return value;
}

function keep(path: string, entry: Kept): void {
  kept.delete(path);
  kept.set(path, entry);
  const [oldest] = kept.keys();
  if (kept.size > KEPT_PATHS && oldest !== undefined) kept.delete(oldest);
}

export async function call<T>(
  method: "POST" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T | null> {
  const response = await request(method, path, body, signal);
  const text = await response.text();
  return text === "" ? null : (JSON.parse(text) as T);
}

/** Requests a file. */
export async function download(path: string, body: unknown, signal?: AbortSignal): Promise<Blob> {
  return (await request("POST", path, body, signal)).blob();
}

async function request(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const response = await send(path, {
    method,
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(hrefOf(path), init);
    // The session has ended, or the server was restarted with a token.
    if (response.status === 401) location.assign(hrefOf("/login"));
    return response;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError({
      status: 0,
      code: "NO_ANSWER",
      detail: "Coinlake does not respond at this address",
      next_step: "Check that `npm start` is still running in its terminal.",
    });
  }
}

async function problemOf(response: Response): Promise<ApiError> {
  const text = await response.text();
  if (response.headers.get("content-type")?.includes("json")) return new ApiError(JSON.parse(text) as Problem);
  return new ApiError({
    status: response.status,
    code: "UNEXPECTED",
    detail: text.slice(0, 300),
    next_step: "See the output of `npm start` in its terminal.",
  });
}

/** Appends query parameters that have a value. */
export function pathOf(path: string, parameters: Record<string, string | number | null | undefined>): string {
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    value === null || value === undefined || value === "" ? [] : [[name, String(value)]],
  );
  return pairs.length === 0 ? path : `${path}?${new URLSearchParams(pairs).toString()}`;
}
