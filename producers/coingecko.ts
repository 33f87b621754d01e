import Coingecko from "@coingecko/coingecko-typescript";
import { isoFromMicros } from "../src/base/clock.ts";
import { OperatingError } from "../src/base/errors.ts";
import { Backoff } from "../src/base/backoff.ts";
import type { Batch, Producer, ProducerContext, SourceReport, SourceStatus } from "../src/producer/producer.ts";
import { waitUntil } from "../src/producer/wait.ts";
import { creditsLeft, creditsOf, nextPollAt_us, renewed, type Budget, type Credits } from "./coingecko/budget.ts";
import { pageFailure } from "./coingecko/page.ts";
import { ask, type Failure } from "./coingecko/request.ts";

export interface CoingeckoOptions {
  /** Key of the demo plan; null for requests without a key, limited by network address. */
  demo_key: string | null;
  /** Key of a paid plan; takes precedence over the demo key. */
  pro_key: string | null;
  /** Null for the plan's default address. */
  base_url: string | null;
  /** Monthly credits of the plan; remaining credits are spread over the rest of the month. */
  calls_per_month: number;
  /** Pages of 250 coins per poll, by market cap; each costs one credit. */
  pages: number;
  timeout_ms: number;
  /** Jitter of the backoff, in [0, 1). */
  random(): number;
}

const DEFAULTS: Omit<CoingeckoOptions, keyof CoingeckoEnvironment> = {
  calls_per_month: 10_000,
  pages: 1,
  timeout_ms: 10_000,
  random: Math.random,
};

type CoingeckoEnvironment = Pick<CoingeckoOptions, "demo_key" | "pro_key" | "base_url">;

const BASE_URL = { demo: "https://api.coingecko.com/api/v3", pro: "https://pro-api.coingecko.com/api/v3" };

const BACKOFF = {
  base_ms: 2_000,
  /** Polls are about four minutes apart; a longer backoff would lose more data than it saves requests. */
  cap_ms: 300_000,
  /** Upper bound for the source's Retry-After, which is two minutes at most. */
  retry_after_cap_ms: 600_000,
};

/** Minimum silence: polls are at least a minute apart, and two failed polls are not silence yet. */
const SHORTEST_SILENCE_MS = 180_000;

/** The source's own limit. */
const COINS_PER_PAGE = 250;

const ATTRIBUTION = "Data provided by CoinGecko (https://www.coingecko.com)";

/**
 * Options from COINGECKO_API_KEY, COINGECKO_PRO_API_KEY and COINGECKO_BASE_URL; empty means unset.
 */
export function coingeckoEnvironment(env: NodeJS.ProcessEnv): CoingeckoEnvironment {
  const read = (name: string): string | null => env[name]?.trim() || null;
  return {
    demo_key: read("COINGECKO_API_KEY"),
    pro_key: read("COINGECKO_PRO_API_KEY"),
    base_url: read("COINGECKO_BASE_URL"),
  };
}

/**
 * Polls CoinGecko's /coins/markets within a budget of credits; a record is the unmodified body of one page. Keys and
 * address default to the environment. Throws INVALID_API_KEY or INVALID_BASE_URL for options that allow no request.
 */
export function coingecko(options: Partial<CoingeckoOptions> = {}): Producer {
  const complete = { ...DEFAULTS, ...coingeckoEnvironment(process.env), ...options };
  for (const name of ["calls_per_month", "pages", "timeout_ms"] as const) {
    if (!(Number.isInteger(complete[name]) && complete[name] > 0))
      throw new RangeError(`${name} must be an integer above 0`);
  }
  return new CoingeckoPoller(complete);
}

class CoingeckoPoller implements Producer {
  readonly id = "coingecko";
  readonly kind = "live";
  readonly #options: CoingeckoOptions;
  readonly #client: Coingecko;
  /** Host for messages: a base URL may contain secrets. */
  readonly #host: string;
  #probes_paid = 0;
  #state: SourceStatus["state"] = "connecting";
  #message: string | null = null;
  #heard_at_us: number | null = null;
  #silent_after_ms = SHORTEST_SILENCE_MS;

  constructor(options: CoingeckoOptions) {
    const base_url = options.base_url ?? BASE_URL[options.pro_key === null ? "demo" : "pro"];
    this.#options = options;
    this.#host = hostOf(base_url);
    this.#client = clientOf(base_url, options);
  }

  /** Throws SOURCE_UNREACHABLE. A rate limit counts as an answer, because polls wait for it. */
  async probe(signal: AbortSignal): Promise<void> {
    const asking = { signal, timeout_ms: this.#options.timeout_ms, now_us: () => Date.now() * 1000 };
    const { body, has_cost, failure } = await ask((request) => this.#client.ping.get(request), asking);
    signal.throwIfAborted();
    if (has_cost) this.#probes_paid += 1;
    if (failure?.code === "RATE_LIMITED") return;
    const problem = failure?.message ?? (isJson(body) ? null : "the server is not CoinGecko: its answer is not JSON");
    if (problem === null) return;
    throw new OperatingError("SOURCE_UNREACHABLE", `CoinGecko (${this.#host}): ${problem}`, {
      next_step: "Check the network, or start with --source simulated.",
    });
  }

  async *batches(context: ProducerContext): AsyncGenerator<Batch> {
    const { clock, signal, report } = context;
    const backoff = new Backoff(BACKOFF, this.#options.random);
    let credits = creditsOf(context.position, clock.now_us());
    this.#heard_at_us = credits.polled_at_us;
    report({ level: "info", code: "ATTRIBUTION", message: ATTRIBUTION });
    try {
      while (!signal.aborted) {
        credits = renewed({ ...credits, used: credits.used + this.#probes_paid }, clock.now_us());
        this.#probes_paid = 0;
        const due_us = nextPollAt_us(credits, this.#options, clock.now_us());
        const due = statusOf(credits, this.#options, due_us);
        report(due);
        if (due.level === "warning") this.#message = due.message;
        // Two missed polls are silence.
        this.#silent_after_ms = Math.max(SHORTEST_SILENCE_MS, (2 * (due_us - (credits.polled_at_us ?? due_us))) / 1000);
        if (!(await waitUntil(clock, due_us, signal))) break;
        credits = renewed(credits, clock.now_us());
        for (let page = 1; page <= this.#options.pages && !signal.aborted; page += 1) {
          credits = yield* this.#page(page, credits, backoff, context);
        }
      }
    } finally {
      this.#state = "ended";
    }
  }

  status(): SourceStatus {
    return {
      source: this.id,
      state: this.#state,
      message: this.#message,
      heard_at_us: this.#heard_at_us,
      silent_after_ms: this.#silent_after_ms,
      reconnects: 0,
      missed: { open: 0, filled: 0, lost: 0 },
      gaps: [],
    };
  }

  /** Requests a page until it is complete or the credits are used up. Returns the remaining credits. */
  async *#page(
    page: number,
    before: Credits,
    backoff: Backoff,
    context: ProducerContext,
  ): AsyncGenerator<Batch, Credits> {
    const { clock, signal, report } = context;
    const { timeout_ms } = this.#options;
    let credits = before;
    while (creditsLeft(credits, this.#options) > 0) {
      const {
        body,
        has_cost,
        failure: broken,
      } = await ask((request) => this.#client.coins.markets.get(query(page), request), {
        signal,
        timeout_ms,
        now_us: () => clock.now_us(),
      });
      const received_at_us = clock.now_us();
      const failure = broken ?? (body === null ? null : pageFailure(body, page));
      if (has_cost) credits = { ...credits, used: credits.used + 1, polled_at_us: received_at_us };
      if (body !== null) {
        if (failure === null) this.#heard_at_us = received_at_us;
        const record = { key: "coingecko", source: "coingecko", payload: body, ingested_at_us: received_at_us };
        yield { records: [record], position: JSON.stringify(credits) };
      }
      if (signal.aborted) break;
      if (failure === null) {
        if (backoff.failures > 0)
          report({
            level: "info",
            code: "RECOVERED",
            message: `CoinGecko answers again after ${backoff.failures} failures.`,
          });
        backoff.reset();
        this.#state = "live";
        this.#message = null;
        break;
      }
      const delay_ms = backoff.next_ms(failure.retry_after_ms);
      const failing = failed(failure, this.#host, delay_ms);
      report(failing);
      this.#state = "failed";
      this.#message = failing.message;
      if (!(await waitUntil(clock, received_at_us + delay_ms * 1000, signal))) break;
      credits = renewed(credits, clock.now_us());
    }
    return credits;
  }
}

function query(page: number): Coingecko.Coins.MarketGetParams {
  return {
    vs_currency: "usd",
    order: "market_cap_desc",
    per_page: COINS_PER_PAGE,
    page,
    price_change_percentage: "1h,24h",
  };
}

function clientOf(base_url: string, { demo_key, pro_key }: CoingeckoOptions): Coingecko {
  for (const key of [demo_key, pro_key]) {
    // Keys are checked here, because the error of an invalid header value would quote the key.
    if (key === null || /^[\x21-\x7e]+$/.test(key)) continue;
    throw new OperatingError("INVALID_API_KEY", "Invalid CoinGecko key: it contains characters that keys cannot have", {
      next_step: "Copy the key again into COINGECKO_API_KEY (demo plan) or COINGECKO_PRO_API_KEY.",
    });
  }
  return new Coingecko({
    baseURL: base_url,
    proAPIKey: pro_key,
    demoAPIKey: pro_key === null ? demo_key : null,
    // Null omits the header: without a key the client would reject the request.
    defaultHeaders: demo_key === null && pro_key === null ? { "x-cg-demo-api-key": null } : {},
    maxRetries: 0,
    // The client's debug level would print headers, including the key.
    logLevel: "off",
    // A redirect would send the key to another server.
    fetchOptions: { redirect: "manual" },
  });
}

function hostOf(base_url: string): string {
  const url = URL.canParse(base_url) ? new URL(base_url) : null;
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "") return url.host;
  throw new OperatingError("INVALID_BASE_URL", "Invalid COINGECKO_BASE_URL: it must be a plain http or https address", {
    next_step: "Unset COINGECKO_BASE_URL, or give it the form https://host/path.",
  });
}

function statusOf(credits: Credits, budget: Budget, due_us: number): SourceReport {
  const left = creditsLeft(credits, budget);
  const is_spent = left < budget.pages;
  const figures = `${credits.used} of ${budget.calls_per_month} credits of ${credits.month} used, ${left} left`;
  const message = `CoinGecko: ${figures}; next poll at ${isoFromMicros(due_us).slice(0, 19)}Z.`;
  return is_spent ? { level: "warning", code: "BUDGET_SPENT", message } : { level: "info", code: "BUDGET", message };
}

function failed({ level, code, message }: Failure, host: string, delay_ms: number): SourceReport {
  return { level, code, message: `CoinGecko (${host}): ${message}. Retrying in ${Math.ceil(delay_ms / 1000)} s.` };
}

function isJson(body: Uint8Array | null): boolean {
  try {
    JSON.parse(Buffer.from(body ?? []).toString("utf8"));
    return true;
  } catch {
    return false;
  }
}
