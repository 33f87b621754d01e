import { backoffDelay_ms } from "../../base/backoff.ts";
import { AwsClient } from "aws4fetch";
import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { OperatingError } from "../../base/errors.ts";
import { fileTooLarge } from "../rejections.ts";
import { MAX_READ_BYTES } from "../storage.ts";
import { isPassing, rejectionOf, rejectedError, unreachableError, type Rejection } from "./failure.ts";
import type { ObjectName } from "./location.ts";
import type { S3Settings } from "./settings.ts";

/** Time from the first byte sent to the last byte received. The largest files here have tens of megabytes. */
const ATTEMPT_TIMEOUT_MS = 60_000;
const MAX_ATTEMPTS = 4;
/** Half of each delay is random, to spread the retries of clients. */
const BACKOFF = { base_ms: 100, cap_ms: 1_000 };

export interface S3Request {
  method: "GET" | "HEAD" | "PUT" | "DELETE";
  object: ObjectName;
  query?: Readonly<Record<string, string>>;
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array;
}

/** Used in error messages: `Could not <verb> <location>: …`. */
export interface RequestContext {
  verb: string;
  location: string;
}

export interface S3Answer {
  headers: Headers;
  bytes: Uint8Array;
}

export type Outcome =
  | { kind: "done"; answer: S3Answer }
  /** S3 rejected the request. `is_first`: in the only attempt, so no earlier attempt of this call can be the cause. */
  | { kind: "rejected"; rejection: Rejection; is_first: boolean };

/**
 * Sends signed requests, and retries temporary errors and missing answers. Every request is idempotent: writes are
 * conditional (`If-None-Match`), and a second deletion is no error.
 */
export class S3Client {
  readonly #signer: AwsClient;
  readonly #endpoint: string;

  constructor({ endpoint, region, access_key_id, secret_access_key, session_token }: S3Settings) {
    this.#endpoint = endpoint;
    this.#signer = new AwsClient({
      accessKeyId: access_key_id,
      secretAccessKey: secret_access_key,
      ...(session_token === null ? {} : { sessionToken: session_token }),
      service: "s3",
      region,
    });
  }

  /** Throws the error for S3's error response, or STORAGE_UNREACHABLE. */
  async send(request: S3Request, context: RequestContext): Promise<S3Answer> {
    const outcome = await this.ask(request, context);
    if (outcome.kind === "rejected") throw rejectedError(context.verb, context.location, outcome.rejection);
    return outcome.answer;
  }

  /** Like `send`, but returns S3's error responses. */
  async ask(request: S3Request, context: RequestContext): Promise<Outcome> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#attempt(request, context);
      const is_last = attempt === MAX_ATTEMPTS;
      if (outcome.kind === "silence" && is_last) throw outcome.error;
      if (outcome.kind === "done") return outcome;
      if (outcome.kind === "rejected" && (is_last || !isPassing(outcome.rejection)))
        return { ...outcome, is_first: attempt === 1 };
      await pause(backoffDelay_ms(attempt, BACKOFF, { share: 0.5 }));
    }
  }

  async #attempt(request: S3Request, context: RequestContext): Promise<AttemptOutcome> {
    try {
      const response = await fetch(await this.#signed(request), {
        signal: AbortSignal.timeout(ATTEMPT_TIMEOUT_MS),
        redirect: "manual",
      });
      const size_bytes = Number(response.headers.get("content-length") ?? 0);
      if (request.method === "GET" && size_bytes > MAX_READ_BYTES) {
        await response.body?.cancel();
        throw fileTooLarge(context.location, size_bytes);
      }
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (response.ok) return { kind: "done", answer: { headers: response.headers, bytes } };
      return { kind: "rejected", rejection: rejectionOf(response.status, new TextDecoder().decode(bytes)) };
    } catch (error) {
      if (error instanceof OperatingError) throw error;
      return { kind: "silence", error: unreachableError(context.verb, context.location, this.#endpoint, error) };
    }
  }

  /**
   * Signs each attempt separately, because signatures have a date. The signature covers the body's digest, so S3
   * detects a damaged body.
   */
  async #signed({ method, object, query = {}, headers = {}, body }: S3Request): Promise<Request> {
    const path = [object.bucket, ...object.key.split("/")].map(encodeURIComponent).join("/");
    const search = new URLSearchParams(query).toString().replaceAll("+", "%20");
    const digest = createHash("sha256")
      .update(body ?? "")
      .digest("hex");
    return this.#signer.sign(`${this.#endpoint}/${path}${search === "" ? "" : `?${search}`}`, {
      method,
      headers: { ...headers, "x-amz-content-sha256": digest },
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
    });
  }
}

type AttemptOutcome =
  | { kind: "done"; answer: S3Answer }
  | { kind: "rejected"; rejection: Rejection }
  | { kind: "silence"; error: OperatingError };
