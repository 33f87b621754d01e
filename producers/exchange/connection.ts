import { WebSocket } from "ws";
import type { Clock } from "../../src/base/clock.ts";
import { retryAfter_ms } from "../../src/base/backoff.ts";
import { hasPassed } from "../../src/base/pacing.ts";
import type { ExchangeProtocol, ExchangeMessage } from "./protocol.ts";

export interface ConnectionLimits {
  /** Limit from the first packet to the answer to the last subscription. */
  connect_timeout_ms: number;
  silent_after_ms: number;
  /** A longer message is not from a trade feed; the connection is closed. */
  max_message_bytes: number;
}

export interface ConnectionOptions {
  protocol: ExchangeProtocol;
  url: string;
  products: readonly string[];
  limits: ConnectionLimits;
  clock: Clock;
  /** Every message, as received. */
  message(bytes: Buffer, message: ExchangeMessage, at_us: number): void;
  /** Called when the source rejects this product. */
  rejected(product: string, reason: string): void;
}

/** Why a connection ended. */
export interface Ending {
  /**
   * NAME_NOT_RESOLVED, CONNECTION_REFUSED, CONNECTION_LOST, CONNECTION_CLOSED, HANDSHAKE_REJECTED, RATE_LIMITED,
   * TIMED_OUT, SILENT, SUBSCRIPTION_REJECTED, MESSAGE_TOO_LARGE
   */
  code: string;
  /** Text after "the connection ended: ". */
  message: string;
  retry_after_ms: number | null;
}

const CLOSE_TIMEOUT_MS = 1_000;

/**
 * One connection to a feed, from the handshake to its end: subscribes, answers pings, and ends itself on silence. If a
 * subscription of several products is rejected, it bisects until it finds the rejected one, and subscribes the others.
 */
export class Connection {
  /** True once every subscription is answered and at least one is active; false if the connection ended before. */
  readonly ready: Promise<boolean>;
  /** Never rejects. */
  readonly ended: Promise<Ending>;
  /** Resolves when the server announces the end of the connection. */
  readonly closing: Promise<void>;
  /** Products that the source rejected. */
  readonly rejected: string[] = [];
  readonly #options: ConnectionOptions;
  readonly #socket: WebSocket;
  readonly #ready = Promise.withResolvers<boolean>();
  readonly #ended = Promise.withResolvers<Ending>();
  readonly #closing = Promise.withResolvers<void>();
  readonly #connecting: NodeJS.Timeout;
  #watching: NodeJS.Timeout | null = null;
  /** Groups still to subscribe, and the unanswered products of the last one. */
  #groups: (readonly string[])[];
  #unanswered = new Set<string>();
  #subscribed = 0;
  #last_rejection = "";
  #heard_at_us: number | null = null;
  #listening_since_us = 0;
  #watched_at_us = 0;
  #ending: Ending | null = null;

  constructor(options: ConnectionOptions) {
    const { protocol, url, products, limits, clock } = options;
    this.#options = options;
    this.ready = this.#ready.promise;
    this.ended = this.#ended.promise;
    this.closing = this.#closing.promise;
    this.#groups = [products];
    this.#socket = new WebSocket(protocol.socketUrl(url, products), {
      handshakeTimeout: limits.connect_timeout_ms,
      maxPayload: limits.max_message_bytes,
      perMessageDeflate: false,
      followRedirects: false,
    });
    this.#socket.on("open", () => this.#opened());
    this.#socket.on("message", (data) => this.#received(data));
    this.#socket.on("ping", () => this.#recordActivity());
    this.#socket.on("pong", () => this.#recordActivity());
    this.#socket.on("unexpected-response", (request, response) => {
      const retry_after_ms = retryAfter_ms(response.headers["retry-after"], clock.now_us());
      this.#end(rejectedHandshake(response.statusCode ?? 0, retry_after_ms));
      response.destroy();
      request.destroy();
      this.#socket.terminate();
    });
    this.#socket.on("error", (error) => this.#end(failure(error, limits)));
    this.#socket.on("close", (code, reason) => this.#closed(code, reason.toString("utf8")));
    this.#connecting = setTimeout(() => {
      this.#terminate("TIMED_OUT", `the subscriptions were not confirmed within ${limits.connect_timeout_ms / 1000} s`);
    }, limits.connect_timeout_ms);
  }

  /** Time of the last received message; null before the handshake. */
  get heard_at_us(): number | null {
    return this.#heard_at_us;
  }

  /** Stops reading from the network until `resume`: back-pressure instead of dropped messages. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#listening_since_us = this.#options.clock.now_us();
    this.#socket.resume();
  }

  /** Closes the connection. Messages in flight are still received; resolves when the connection has ended. */
  async close(): Promise<void> {
    this.#end({ code: "CONNECTION_CLOSED", message: "it was closed on purpose", retry_after_ms: null });
    this.#socket.resume();
    this.#socket.close();
    const close_timer = setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS);
    await this.ended;
    clearTimeout(close_timer);
  }

  #opened(): void {
    this.#watched_at_us = this.#listening_since_us = this.#recordActivity();
    const { silent_after_ms } = this.#options.limits;
    this.#watching = setInterval(() => this.#watch(silent_after_ms), silent_after_ms / 4);
    this.#askNext();
  }

  /** Silence does not count while this connection is paused or the machine sleeps. */
  #watch(silent_after_ms: number): void {
    const now_us = this.#options.clock.now_us();
    // Also after the clock was set back: the time since the last message is then unknown.
    const has_slept = hasPassed(now_us - this.#watched_at_us, silent_after_ms / 2);
    if (has_slept || this.#socket.isPaused) this.#listening_since_us = now_us;
    this.#watched_at_us = now_us;
    const heard_us = this.#heard_at_us === null || this.#heard_at_us > now_us ? 0 : this.#heard_at_us;
    const silent_ms = (now_us - Math.max(heard_us, this.#listening_since_us)) / 1000;
    if (silent_ms > silent_after_ms) this.#terminate("SILENT", `no message for ${Math.round(silent_ms / 1000)} s`);
    else if (has_slept || silent_ms > silent_after_ms / 2) this.#socket.ping();
  }

  #received(data: Buffer | ArrayBuffer | Buffer[]): void {
    const bytes = Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
    const at_us = this.#recordActivity();
    const message = this.#options.protocol.read(bytes.toString("utf8"));
    if (message.kind === "subscribed") this.#answered(message.products);
    else if (message.kind === "rejected") this.#rejected(message.products, message.reason);
    else if (message.kind === "closing") this.#closing.resolve();
    this.#options.message(bytes, message, at_us);
  }

  #recordActivity(): number {
    return (this.#heard_at_us = this.#options.clock.now_us());
  }

  #askNext(): void {
    const group = this.#groups.shift();
    if (group !== undefined) {
      this.#unanswered = new Set(group);
      this.#socket.send(this.#options.protocol.subscription(group));
      return;
    }
    if (this.#subscribed === 0)
      return this.#terminate("SUBSCRIPTION_REJECTED", `no product was accepted (${this.#last_rejection})`);
    clearTimeout(this.#connecting);
    this.#ready.resolve(true);
  }

  #answered(products: readonly string[]): void {
    if (this.#unanswered.size === 0) return;
    for (const product of products) if (this.#unanswered.delete(product)) this.#subscribed += 1;
    if (this.#unanswered.size === 0) this.#askNext();
  }

  #rejected(products: readonly string[] | null, reason: string): void {
    this.#last_rejection = reason;
    const asked = [...this.#unanswered];
    if (asked.length === 0) return;
    if (products === null && asked.length > 1) {
      const middle = Math.ceil(asked.length / 2);
      this.#groups.unshift(asked.slice(0, middle), asked.slice(middle));
      return this.#askNext();
    }
    for (const product of products ?? asked) {
      if (!this.#unanswered.delete(product)) continue;
      this.rejected.push(product);
      this.#options.rejected(product, reason);
    }
    if (this.#unanswered.size === 0) this.#askNext();
  }

  #terminate(code: string, message: string): void {
    this.#end({ code, message, retry_after_ms: null });
    this.#socket.terminate();
  }

  /** Ends the connection. Only the first reason counts; later ones are consequences. */
  #end(ending: Ending): void {
    this.#ending ??= ending;
  }

  #closed(code: number, reason: string): void {
    clearTimeout(this.#connecting);
    if (this.#watching !== null) clearInterval(this.#watching);
    const message = `the server closed it (${[code, reason].filter(Boolean).join(", ")})`;
    this.#end({ code: "CONNECTION_CLOSED", message, retry_after_ms: null });
    this.#ready.resolve(false);
    if (this.#ending !== null) this.#ended.resolve(this.#ending);
  }
}

function rejectedHandshake(status: number, retry_after_ms: number | null): Ending {
  // Binance answers 418 to clients that continue after 429.
  if (status === 429 || status === 418)
    return { code: "RATE_LIMITED", message: `rate limit exceeded (status ${status})`, retry_after_ms };
  return {
    code: "HANDSHAKE_REJECTED",
    message: `the server answered with status ${status} instead of a feed`,
    retry_after_ms,
  };
}

function failure(error: Error, { connect_timeout_ms, max_message_bytes }: ConnectionLimits): Ending {
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  const ending = (own_code: string, message: string): Ending => ({ code: own_code, message, retry_after_ms: null });
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return ending("NAME_NOT_RESOLVED", "the server's name could not be resolved; is there a network?");
  if (code === "ECONNREFUSED") return ending("CONNECTION_REFUSED", "connection refused");
  if (code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH")
    return ending("MESSAGE_TOO_LARGE", `a message was longer than ${max_message_bytes / 1024 / 1024} MiB`);
  if (/handshake has timed out/i.test(error.message))
    return ending("TIMED_OUT", `no connection within ${connect_timeout_ms / 1000} s`);
  return ending("CONNECTION_LOST", `it broke (${code ?? error.message})`);
}
