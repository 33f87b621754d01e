import { readSourceSetting, sourceVariable, type Environment } from "../../src/base/settings.ts";
import { onAbort } from "../../src/base/abortable.ts";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { messageOf, OperatingError } from "../../src/base/errors.ts";
import type { RetryAfterLimits } from "../../src/base/backoff.ts";
import type {
  Batch,
  Producer,
  ProducerContext,
  SourceRecord,
  SourceReport,
  SourceStatus,
} from "../../src/producer/producer.ts";
import { waitUntil } from "../../src/producer/wait.ts";
import { checkedAddress } from "./addresses.ts";
import { Arrivals, type ArrivalLimits } from "./arrivals.ts";
import type { ConnectionLimits } from "./connection.ts";
import { Feed } from "./feed.ts";
import { Filler, listed, type FilledPage } from "./filler.ts";
import { GapBook, type GapLimits } from "./gaps.ts";
import { savedBook } from "./position.ts";
import type { ExchangeProtocol, ExchangeMessage, TradeReference } from "./protocol.ts";
import { get } from "./request.ts";

export interface ExchangeOptions {
  ws_url: string;
  rest_url: string;
  products: readonly string[];
  connection: ConnectionLimits;
  arrivals: ArrivalLimits;
  gaps: GapLimits;
  backoff: RetryAfterLimits;
  life_ms: number | null;
  overlap_ms: number;
  request_timeout_ms: number;
  request_interval_ms: number;
  max_attempts: number;
  /** Jitter of the backoff, in [0, 1). */
  random(): number;
}

const MIB = 1024 * 1024;

const DEFAULTS = {
  arrivals: { max_waiting: 8_192, max_waiting_bytes: 8 * MIB, max_taken: 2_048, max_taken_bytes: MIB },
  gaps: { max_gap: 50_000, max_jump: 100_000_000, max_open: 200, max_recent: 100, max_saved: 20, settle_ms: 1_000 },
  backoff: { base_ms: 1_000, cap_ms: 60_000, retry_after_cap_ms: 600_000 },
  overlap_ms: 5_000,
  request_timeout_ms: 10_000,
  max_attempts: 4,
  random: Math.random,
} as const;

const NOTHING = Buffer.alloc(0);
const MAX_MESSAGE_BYTES = 8 * MIB;
const CONNECT_TIMEOUT_MS = 15_000;

/**
 * The environment's settings for a source: `COINLAKE_<SOURCE>_WS_URL`, `…_REST_URL`, `…_PRODUCTS` (separated by
 * commas).
 */
export function settingNames(source: string): { ws_url: string; rest_url: string; products: string } {
  return {
    ws_url: sourceVariable(source, "WS_URL"),
    rest_url: sourceVariable(source, "REST_URL"),
    products: sourceVariable(source, "PRODUCTS"),
  };
}

/**
 * A public trade feed as a producer. A record is one unmodified message of the feed, or one REST answer that fills a
 * gap, in an envelope. Addresses and products are taken from the options, else the environment, else the protocol.
 * Throws INVALID_ADDRESS or INVALID_PRODUCTS. A failure of the source does not end the producer: it reports the failure
 * and retries.
 */
export function exchange(
  protocol: ExchangeProtocol,
  options: Partial<ExchangeOptions>,
  env: Environment = process.env,
): Producer {
  const names = settingNames(protocol.source);
  const read = (name: string): string | null => readSourceSetting(name, env);
  return new Exchange(protocol, {
    ...DEFAULTS,
    life_ms: protocol.life_ms,
    request_interval_ms: protocol.rest.interval_ms,
    connection: {
      connect_timeout_ms: CONNECT_TIMEOUT_MS,
      silent_after_ms: protocol.silent_after_ms,
      max_message_bytes: MAX_MESSAGE_BYTES,
    },
    ...options,
    ws_url: checkedAddress(names.ws_url, options.ws_url ?? read(names.ws_url) ?? protocol.ws_url, "ws"),
    rest_url: checkedAddress(names.rest_url, options.rest_url ?? read(names.rest_url) ?? protocol.rest_url, "http"),
    products: checkedProducts(
      names.products,
      options.products ?? read(names.products)?.split(",") ?? protocol.products,
      protocol,
    ),
  });
}

function checkedProducts(
  name: string,
  given: readonly string[],
  { product_pattern, products: known, spell }: ExchangeProtocol,
): string[] {
  const products = [...new Set(given.map((product) => spell(product.trim())).filter((product) => product !== ""))];
  const malformed = products.find((product) => !product_pattern.test(product));
  if (malformed === undefined && products.length > 0) return products;
  throw new OperatingError(
    "INVALID_PRODUCTS",
    malformed === undefined
      ? `${name} is empty: it must name at least one product`
      : `Invalid product "${malformed}" in ${name}`,
    {
      next_step: `Separate products by commas, such as ${known.slice(0, 2).join(",")}; or unset ${name}.`,
    },
  );
}

/** A received message, or a page of missing trades whose filler waits for the number of trades that were missing. */
type ReceivedMessage =
  | { kind: "message"; size_bytes: number; at_us: number; bytes: Buffer; message: ExchangeMessage }
  | { kind: "page"; size_bytes: number; at_us: number; page: FilledPage; brought(count: number): void };

/**
 * Each batch costs an fsync and a position: a thousand single-message batches per second used half a core. The first
 * message is sent at once; messages within this time after it share a batch, unless the batch is full.
 */
const GATHER_MS = 8;
const GATHER_ENOUGH = 256;

class Exchange implements Producer {
  readonly id: string;
  readonly kind = "live";
  readonly #protocol: ExchangeProtocol;
  readonly #options: ExchangeOptions;
  /** Error that prevented the start. */
  #failure: string | null = null;
  #running: { feed: Feed; book: GapBook } | null = null;

  constructor(protocol: ExchangeProtocol, options: ExchangeOptions) {
    this.#protocol = protocol;
    this.#options = options;
    this.id = protocol.source;
  }

  /** Throws SOURCE_UNREACHABLE. A rate limit counts as an answer. */
  async probe(signal: AbortSignal): Promise<void> {
    const { rest_url, request_timeout_ms } = this.#options;
    const { failure } = await get(rest_url + this.#protocol.rest.probe_path, {
      signal,
      timeout_ms: request_timeout_ms,
      clock: systemClock,
    });
    if (failure === null || failure.code === "RATE_LIMITED") return;
    throw new OperatingError(
      "SOURCE_UNREACHABLE",
      `${this.#protocol.title} (${new URL(rest_url).host}): ${failure.message}`,
      {
        next_step: "Check the network, or start with --source simulated.",
      },
    );
  }

  async *batches({ position, clock, signal, report }: ProducerContext): AsyncGenerator<Batch> {
    const { products } = this.#options;
    const book = this.#bookAt(position);
    const stopping = new AbortController();
    const own_signal = AbortSignal.any([signal, stopping.signal]);
    const arrivals = new Arrivals<ReceivedMessage>(this.#options.arrivals, (is_full) =>
      is_full ? feed.pause() : feed.resume(),
    );
    const filler = this.#filler(arrivals, book, clock, report, own_signal);
    const feed = this.#feed(arrivals, clock, report, own_signal, () => filler.check(products));
    this.#running = { feed, book };
    const loops = [feed.run(own_signal), filler.run(own_signal)];
    for (const loop of loops) loop.catch((error: unknown) => arrivals.fail(error));
    try {
      for (;;) {
        const received = await arrivals.take(signal);
        const taken_us = clock.now_us();
        const records = received.flatMap((one) => this.#recorded(one, book));
        this.#tellSurprises(book, report);
        if (book.nextSettling_us() < Infinity) filler.look();
        if (records.length > 0) yield { records, position: JSON.stringify(book.save()) };
        if (signal.aborted && arrivals.waiting === 0) return;
        if (arrivals.waiting < GATHER_ENOUGH) await waitUntil(clock, taken_us + GATHER_MS * 1000, signal);
      }
    } finally {
      stopping.abort();
      await Promise.allSettled(loops);
    }
  }

  status(): SourceStatus {
    const { source } = this.#protocol;
    const { silent_after_ms } = this.#options.connection;
    if (this.#running === null) {
      const state = this.#failure === null ? "connecting" : "failed";
      return {
        source,
        silent_after_ms,
        state,
        message: this.#failure,
        heard_at_us: null,
        reconnects: 0,
        missed: { open: 0, filled: 0, lost: 0 },
        gaps: [],
      };
    }
    const { feed, book } = this.#running;
    return { source, silent_after_ms, ...feed.status(), missed: book.counts(), gaps: book.gaps() };
  }

  /** Throws INVALID_POSITION. */
  #bookAt(position: string | null): GapBook {
    const { gaps, products } = this.#options;
    try {
      return new GapBook(gaps, savedBook(position, this.#protocol.title), new Set(products));
    } catch (error) {
      this.#failure = messageOf(error);
      throw error;
    }
  }

  #tellSurprises(book: GapBook, report: (report: SourceReport) => void): void {
    const warn = (code: string, message: string): void =>
      report({ level: "warning", code, message: `${this.#protocol.title}: ${message}.` });
    const lost = book.takeLostAtOnce();
    if (lost.length > 0) warn("GAP_LOST", `trades are lost: ${listed(lost)}, because ${lost[0]?.reason ?? ""}`);
    for (const { product, newest_id, id } of book.takeCountedAnew())
      warn("COUNTED_ANEW", `${product}: trade ids jumped from ${newest_id} to ${id}; gap detection restarts there`);
  }

  /** Records received trades in the gap tracker, in log order. */
  #recorded(received: ReceivedMessage, book: GapBook): SourceRecord[] {
    const { source } = this.#protocol;
    if (received.kind === "page") {
      const { product, payload, ids } = received.page;
      received.brought(ids.filter((id) => book.fetched(product, id)).length);
      return [{ key: product, source, payload, ingested_at_us: received.at_us }];
    }
    const { message, bytes, at_us } = received;
    if (message.kind === "announced") book.announced(message.product, message.last_id, at_us);
    if (message.kind !== "trades" && message.kind !== "unknown") return [];
    const trades: readonly TradeReference[] =
      message.kind === "trades" ? message.trades.toSorted((a, b) => a.id - b.id) : [];
    for (const trade of trades) book.saw(trade, at_us);
    return [{ key: trades[0]?.product ?? source, source, payload: bytes, ingested_at_us: at_us }];
  }

  #feed(
    arrivals: Arrivals<ReceivedMessage>,
    clock: Clock,
    report: (report: SourceReport) => void,
    signal: AbortSignal,
    connected: () => void,
  ): Feed {
    const { ws_url, products, connection, backoff, random, life_ms, overlap_ms } = this.#options;
    return new Feed({
      protocol: this.#protocol,
      url: ws_url,
      products,
      limits: connection,
      clock,
      backoff,
      random,
      life_ms,
      overlap_ms,
      report,
      connected,
      untilCapacity: () => arrivals.capacityOrAbort(signal),
      message: (bytes, message, at_us) => {
        const is_record = message.kind === "trades" || message.kind === "unknown";
        if (is_record || message.kind === "announced")
          arrivals.push({ kind: "message", size_bytes: is_record ? bytes.length : 0, at_us, bytes, message });
      },
    });
  }

  #filler(
    arrivals: Arrivals<ReceivedMessage>,
    book: GapBook,
    clock: Clock,
    report: (report: SourceReport) => void,
    signal: AbortSignal,
  ): Filler {
    const { rest_url, backoff, random, request_timeout_ms, request_interval_ms, max_attempts } = this.#options;
    return new Filler({
      protocol: this.#protocol,
      rest_url,
      book,
      clock,
      backoff,
      random,
      request_timeout_ms,
      interval_ms: request_interval_ms,
      max_attempts,
      report,
      announced: (product, last_id) =>
        arrivals.push({
          kind: "message",
          size_bytes: 0,
          at_us: clock.now_us(),
          bytes: NOTHING,
          message: { kind: "announced", product, last_id },
        }),
      filled: async (page) => {
        await arrivals.capacityOrAbort(signal);
        if (signal.aborted) return 0;
        const { promise, resolve: brought } = Promise.withResolvers<number>();
        const stopListening = onAbort(signal, () => brought(0));
        arrivals.push({ kind: "page", size_bytes: page.payload.length, at_us: clock.now_us(), page, brought });
        const count = await promise;
        stopListening();
        return count;
      },
    });
  }
}
