import type { Clock } from "../../src/base/clock.ts";
import { ownBytes } from "../../src/base/own-bytes.ts";
import { Backoff, backoffDelay_ms, type RetryAfterLimits } from "../../src/base/backoff.ts";
import type { Gap, SourceReport } from "../../src/producer/producer.ts";
import { Alarm } from "./alarm.ts";
import type { GapBook } from "./gaps.ts";
import type { ExchangeProtocol, IdRange, PageAsked, PageRead } from "./protocol.ts";
import { get } from "./request.ts";

export interface FillerOptions {
  protocol: ExchangeProtocol;
  rest_url: string;
  book: GapBook;
  clock: Clock;
  backoff: RetryAfterLimits;
  random(): number;
  request_timeout_ms: number;
  interval_ms: number;
  /** Consecutive answers without a missing trade after which these trades are marked lost: REST may lag the stream. */
  max_attempts: number;
  /** Receives the newest trade of a product by REST. */
  announced(product: string, last_id: number): void;
  /**
   * Appends a page as a record; resolves to its number of missing trades.
   */
  filled(page: FilledPage): Promise<number>;
  report(report: SourceReport): void;
}

export interface FilledPage {
  product: string;
  payload: Buffer;
  ids: readonly number[];
}

/** State of the requests for a product's missing trades. */
interface Progress {
  attempts: number;
  not_before_us: number;
  cursor: string | null;
}

const FRESH: Progress = { attempts: 0, not_before_us: 0, cursor: null };

/**
 * Fetches missing trades over REST, one page at a time, product by product. Trades that the source does not return are
 * marked lost, with the reason; gaps remain open while the source is unreachable.
 */
export class Filler {
  readonly #options: FillerOptions;
  readonly #backoff: Backoff;
  readonly #progress = new Map<string, Progress>();
  /** Products to check over REST for trades after the newest known one. */
  readonly #unchecked = new Set<string>();
  #alarm: Alarm | null = null;
  #ask_not_before_us = 0;
  #seen_us = 0;

  constructor(options: FillerOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.backoff, options.random);
  }

  /** Wakes the filler; called when trades may be missing. */
  look(): void {
    this.#alarm?.ring();
  }

  /**
   * Checks products over REST after a feed has reconnected. Trades missed while disconnected are otherwise detected at
   * the next trade, which can take long for a product that trades rarely. A feed that announces its newest trade needs
   * no check.
   */
  check(products: readonly string[]): void {
    if (this.#options.protocol.is_announcing) return;
    for (const product of products) if (this.#options.book.newest(product) !== null) this.#unchecked.add(product);
    this.#alarm?.ring();
  }

  /** Runs until the signal aborts; throws only programming errors. */
  async run(signal: AbortSignal): Promise<void> {
    const { book, clock, protocol } = this.#options;
    const alarm = new Alarm(clock, signal);
    this.#alarm = alarm;
    while (!signal.aborted) {
      const now_us = this.#now_us();
      this.#tellFound(book.settled(now_us));
      const asked = book.toAsk(protocol.rest.page_size);
      for (const product of this.#progress.keys())
        if (!asked.some((range) => range.product === product)) this.#progress.delete(product);
      const [next] = asked
        .map((range) => ({
          range,
          due_us: Math.max(this.#ask_not_before_us, this.#progressOf(range.product).not_before_us),
        }))
        .sort((a, b) => a.due_us - b.due_us);
      const [unchecked] = this.#unchecked;
      if (next !== undefined && next.due_us <= now_us) await this.#ask(next.range, signal);
      else if (unchecked !== undefined && this.#ask_not_before_us <= now_us) await this.#checkOne(unchecked, signal);
      else
        await alarm.until(
          Math.min(
            next?.due_us ?? Infinity,
            unchecked === undefined ? Infinity : this.#ask_not_before_us,
            book.nextSettling_us(),
          ),
        );
    }
  }

  /** The time. After the clock was set back, requests wait as long as before. */
  #now_us(): number {
    const now_us = this.#options.clock.now_us();
    const back_us = Math.max(0, this.#seen_us - now_us);
    this.#seen_us = now_us;
    this.#ask_not_before_us -= back_us;
    for (const progress of this.#progress.values()) progress.not_before_us -= back_us;
    return now_us;
  }

  async #ask(range: PageAsked, signal: AbortSignal): Promise<void> {
    const { protocol, clock } = this.#options;
    const { product } = range;
    const progress = this.#progressOf(product);
    const cursor = progress.cursor ?? range.cursor;
    const answer = await this.#page({ ...range, cursor }, signal);
    if (answer === null) return;
    if ("rejection" in answer) return this.#inVain(range, answer.rejection);
    const { body, page } = answer;
    if (page.ids.some((id) => this.#options.book.missingWithin(product, { first_id: id, last_id: id }) > 0)) {
      const came = await this.#options.filled({ product, payload: enveloped(protocol, product, body), ids: page.ids });
      if (signal.aborted) return;
      this.#progress.set(product, { ...FRESH, not_before_us: clock.now_us(), cursor: page.cursor });
      this.#tellFilled(product, came);
    } else if (isOnTheWay(page, range, cursor)) {
      this.#progress.set(product, { ...progress, not_before_us: clock.now_us(), cursor: page.cursor });
    } else this.#inVain(range, "it does not have them");
  }

  /** Requests trades after the newest known one. Trades that the feed has not delivered are missing. */
  async #checkOne(product: string, signal: AbortSignal): Promise<void> {
    const { protocol, book, announced } = this.#options;
    const newest = book.newest(product);
    const first_id = (newest?.id ?? 0) + 1;
    const answer = await this.#page(
      { product, first_id, last_id: first_id + protocol.rest.page_size - 1, cursor: newest?.cursor ?? null },
      signal,
    );
    if (answer === null) return;
    this.#unchecked.delete(product);
    if ("rejection" in answer)
      return this.#say(
        "warning",
        "CHECK_REJECTED",
        `${product}: the check for missed trades failed: ${answer.rejection}`,
      );
    const last_id = Math.max(0, ...answer.page.ids);
    if (last_id >= first_id) announced(product, last_id);
  }

  /** A page, or the reason of the source's rejection; null if the request failed or the signal aborted. */
  async #page(
    asked: PageAsked,
    signal: AbortSignal,
  ): Promise<{ body: string; page: { ids: readonly number[]; cursor: string | null } } | { rejection: string } | null> {
    const { protocol, rest_url, clock, request_timeout_ms, interval_ms } = this.#options;
    const { body, failure } = await get(rest_url + protocol.rest.path(asked), {
      signal,
      timeout_ms: request_timeout_ms,
      clock,
    });
    if (signal.aborted) return null;
    this.#ask_not_before_us = clock.now_us() + interval_ms * 1000;
    if (failure?.code === "REJECTED") return { rejection: failure.message };
    if (failure !== null) {
      this.#unreachable(failure.code, failure.message, failure.retry_after_ms);
      return null;
    }
    const page = read(protocol, body);
    if (page === null) return { rejection: "its answer has an unexpected form" };
    if ("error" in page && page.is_rate_limit) {
      this.#unreachable("RATE_LIMITED", page.error, null);
      return null;
    }
    if ("error" in page) return { rejection: page.error };
    this.#backoff.reset();
    return { body, page };
  }

  /** Handles an answer without missing trades: REST may lag the stream, so the request is repeated a few times. */
  #inVain({ product, first_id, last_id }: PageAsked, reason: string): void {
    const { book, clock, max_attempts, backoff } = this.#options;
    const attempts = this.#progressOf(product).attempts + 1;
    if (attempts < max_attempts) {
      const delay_ms = backoffDelay_ms(attempts, backoff);
      this.#progress.set(product, { attempts, not_before_us: clock.now_us() + delay_ms * 1000, cursor: null });
      return;
    }
    this.#progress.delete(product);
    const count = book.lose(product, { first_id, last_id }, reason);
    if (count > 0)
      this.#say(
        "warning",
        "GAP_LOST",
        `${product}: ${count} trades between ${first_id} and ${last_id} are lost, because ${reason}`,
      );
  }

  #unreachable(code: string, reason: string, retry_after_ms: number | null): void {
    const delay_ms = this.#backoff.next_ms(retry_after_ms);
    this.#ask_not_before_us = this.#options.clock.now_us() + delay_ms * 1000;
    this.#say(
      "warning",
      code,
      `requests for missing trades failed: ${reason}. Retrying in ${Math.ceil(delay_ms / 1000)} s`,
    );
  }

  #progressOf(product: string): Progress {
    return this.#progress.get(product) ?? FRESH;
  }

  #tellFound(gaps: readonly Gap[]): void {
    if (gaps.length > 0) this.#say("warning", "GAP_FOUND", `trades are missing and will be requested: ${listed(gaps)}`);
  }

  #tellFilled(product: string, count: number): void {
    const { open } = this.#options.book.counts();
    this.#say("info", "GAP_FILLED", `${product}: received ${count} missing trades over REST; ${open} still missing`);
  }

  #say(level: SourceReport["level"], code: string, message: string): void {
    this.#options.report({ level, code, message: `${this.#options.protocol.title}: ${message}.` });
  }
}

/** Whether later pages can still reach the missing trades: with time cursors, earlier trades are first. */
function isOnTheWay(
  { ids, cursor }: { ids: readonly number[]; cursor: string | null },
  { first_id }: IdRange,
  asked_from: string | null,
): boolean {
  return cursor !== null && cursor !== asked_from && ids.length > 0 && Math.max(...ids) < first_id;
}

function read(protocol: ExchangeProtocol, body: string): PageRead | null {
  try {
    return protocol.rest.read(JSON.parse(body));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Embeds the body as text, so that digits are unchanged. */
function enveloped({ rest }: ExchangeProtocol, product: string, body: string): Buffer {
  return ownBytes(`{"product":${JSON.stringify(product)},"backfill":${JSON.stringify(rest.backfill)},"body":${body}}`);
}

const MAX_LISTED = 3;

/** Lists a few gaps and counts the others. */
export function listed(gaps: readonly Gap[]): string {
  const named = gaps
    .slice(0, MAX_LISTED)
    .map(
      ({ product, first_id, last_id }) => `${product} ${first_id === last_id ? first_id : `${first_id} to ${last_id}`}`,
    );
  return [...named, ...(gaps.length > MAX_LISTED ? [`${gaps.length - MAX_LISTED} more gaps`] : [])].join(", ");
}
