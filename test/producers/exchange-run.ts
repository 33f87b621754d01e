import { binance, binanceProtocol } from "../../producers/binance.ts";
import { coinbase, coinbaseProtocol } from "../../producers/coinbase.ts";
import type { ExchangeOptions } from "../../producers/exchange/exchange.ts";
import type { ExchangeProtocol } from "../../producers/exchange/protocol.ts";
import { kraken, krakenProtocol } from "../../producers/kraken.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Gap, Producer, SourceRecord, SourceReport, SourceStatus } from "../../src/producer/producer.ts";
import { NO_FOLDER, textOf } from "../producer/collect.ts";
import type { ExchangeKind } from "./exchange-messages.ts";
import type { ExchangeServer } from "./exchange-server.ts";
import { eventually } from "../support/eventually.ts";

interface Exchange {
  make(options: Partial<ExchangeOptions>): Producer;
  protocol: ExchangeProtocol;
  /** Products of the source; the first one trades most. */
  products: readonly [string, string, string];
}

export const EXCHANGES: Readonly<Record<ExchangeKind, Exchange>> = {
  binance: { make: binance, protocol: binanceProtocol, products: ["BTCUSDT", "ETHUSDT", "SOLUSDT"] },
  coinbase: { make: coinbase, protocol: coinbaseProtocol, products: ["BTC-USD", "ETH-USD", "SOL-USD"] },
  kraken: { make: kraken, protocol: krakenProtocol, products: ["BTC/USD", "ETH/USD", "SOL/USD"] },
};

/** The production timings, a hundred times faster. */
export const FAST = {
  connection: { connect_timeout_ms: 2_000, silent_after_ms: 2_000, max_message_bytes: 64 * 1024 },
  gaps: { max_gap: 5_000, max_jump: 1_000_000, max_open: 200, max_recent: 1_000, max_saved: 20, settle_ms: 60 },
  backoff: { base_ms: 10, cap_ms: 40, retry_after_cap_ms: 600_000 },
  overlap_ms: 100,
  request_timeout_ms: 300,
  request_interval_ms: 1,
  max_attempts: 3,
} satisfies Partial<ExchangeOptions>;

/** The sources of these tests respond within milliseconds. */
const INTERVAL_MS = 2;

export async function until(condition: () => boolean, what: string): Promise<void> {
  await eventually(condition, { what, interval_ms: INTERVAL_MS });
}

/** A running source whose batches are consumed as the log does, with its records, its reports and its last position. */
export class ExchangeRun {
  readonly records: SourceRecord[] = [];
  readonly reports: SourceReport[] = [];
  readonly batch_sizes: number[] = [];
  position: string | null;
  readonly producer: Producer;
  readonly #protocol: ExchangeProtocol;
  readonly #ids = new Map<string, { streamed: Set<number>; fetched: Set<number> }>();
  /** Number of records whose ids are extracted. */
  #read = 0;
  readonly #abort = new AbortController();
  readonly #end: Promise<void>;
  /** While this is pending, no batch is consumed. */
  hold: Promise<void> = Promise.resolve();

  constructor(server: ExchangeServer, options: Partial<ExchangeOptions> & { position?: string | null } = {}) {
    const { position = null, ...rest } = options;
    const { make, protocol, products } = EXCHANGES[server.kind];
    this.#protocol = protocol;
    this.position = position;
    this.producer = make({ ws_url: server.ws_url, rest_url: server.rest_url, products, ...FAST, ...rest });
    this.#end = this.#consume();
    this.#end.catch(() => {});
  }

  async #consume(): Promise<void> {
    const report = (said: SourceReport): void => void this.reports.push(said);
    const context = {
      position: this.position,
      clock: systemClock,
      signal: this.#abort.signal,
      folder: NO_FOLDER,
      report,
    };
    for await (const batch of this.producer.batches(context)) {
      this.records.push(...batch.records);
      this.batch_sizes.push(batch.records.length);
      this.position = batch.position ?? this.position;
      await this.hold;
    }
  }

  /** Resolves when the producer has ended; rejects with its error. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#end;
  }

  get status(): SourceStatus {
    const status = this.producer.status?.();
    if (status === undefined) throw new Error("an exchange has a status");
    return status;
  }

  get codes(): string[] {
    return this.reports.map(({ code }) => code);
  }

  said(code: string): string[] {
    return this.reports.filter((report) => report.code === code).map(({ message }) => message);
  }

  /** A product's distinct trade numbers, ascending: those in messages, and those in pages. */
  ids(product: string): { streamed: number[]; fetched: number[]; all: number[] } {
    for (const record of this.records.slice(this.#read)) this.#note(textOf(record));
    this.#read = this.records.length;
    const ascending = (ids: Iterable<number>): number[] => [...ids].sort((a, b) => a - b);
    const { streamed, fetched } = this.#ids.get(product) ?? { streamed: [], fetched: [] };
    return {
      streamed: ascending(streamed),
      fetched: ascending(fetched),
      all: ascending(new Set([...streamed, ...fetched])),
    };
  }

  #note(text: string): void {
    const page = pageOf(text);
    if (page === null) {
      const message = this.#protocol.read(text);
      if (message.kind === "trades")
        for (const { product, id } of message.trades) this.#idsOf(product).streamed.add(id);
      return;
    }
    const read = this.#protocol.rest.read(page.body);
    if (read !== null && "ids" in read) for (const id of read.ids) this.#idsOf(page.product).fetched.add(id);
  }

  #idsOf(product: string): { streamed: Set<number>; fetched: Set<number> } {
    const ids = this.#ids.get(product) ?? { streamed: new Set(), fetched: new Set() };
    this.#ids.set(product, ids);
    return ids;
  }

  gaps(state: Gap["state"]): [product: string, first_id: number, last_id: number][] {
    const sorted = this.status.gaps
      .filter((gap) => gap.state === state)
      .sort((a, b) => a.product.localeCompare(b.product) || a.first_id - b.first_id);
    return sorted.map(({ product, first_id, last_id }) => [product, first_id, last_id]);
  }

  async connected(server: ExchangeServer): Promise<void> {
    const { products } = EXCHANGES[this.#protocol.source as ExchangeKind];
    await until(
      () => this.codes.includes("CONNECTED") && products.every((product) => server.isSubscribed(product)),
      "a connection",
    );
  }
}

/** The parts of a filled record's envelope, or null if the text is not an envelope. */
export function pageOf(text: string): { product: string; backfill: string; body: unknown } | null {
  if (!text.startsWith('{"product":')) return null;
  const page = JSON.parse(text) as { product: string; backfill?: string; body: unknown };
  return page.backfill === undefined ? null : { ...page, backfill: page.backfill };
}
