import { OperatingError } from "../src/base/errors.ts";
import { Backoff } from "../src/base/backoff.ts";
import type { Batch, Producer, ProducerContext, SourceStatus } from "../src/producer/producer.ts";
import { waitUntil } from "../src/producer/wait.ts";

export interface PollOptions {
  url: string;
  /** Name of the source in bronze and in status lines. */
  source: string;
  interval_ms: number;
  /** Jitter of the backoff, in [0, 1). */
  random?(): number;
}

const BACKOFF = { base_ms: 2_000, cap_ms: 300_000, retry_after_cap_ms: 600_000 };
const TIMEOUT_MS = 10_000;
/** A larger answer is an error: dbt would reject it. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Two missed polls are silence. */
const POLLS_UNTIL_SILENT = 3;

/** Polls one URL, and stores each answer with status 200 byte for byte as one record. */
export function pollUrl(options: PollOptions): Producer {
  if (!URL.canParse(options.url))
    throw new OperatingError("INVALID_BASE_URL", `Invalid address of the source ${options.source}: "${options.url}"`, {
      next_step: "Use an address such as https://host/path.",
    });
  return new UrlPoller(options);
}

class UrlPoller implements Producer {
  readonly id: string;
  readonly kind = "live";
  readonly #options: PollOptions;
  #status: Pick<SourceStatus, "state" | "message" | "heard_at_us"> = {
    state: "connecting",
    message: null,
    heard_at_us: null,
  };

  constructor(options: PollOptions) {
    this.#options = options;
    this.id = options.source;
  }

  /** Throws SOURCE_UNREACHABLE. */
  async probe(signal: AbortSignal): Promise<void> {
    await this.#request(signal);
  }

  async *batches({ clock, signal, report }: ProducerContext): AsyncGenerator<Batch> {
    const { source, interval_ms, random = Math.random } = this.#options;
    const backoff = new Backoff(BACKOFF, random);
    while (!signal.aborted) {
      const begun_us = clock.now_us();
      let wait_ms = interval_ms;
      try {
        const payload = await this.#request(signal);
        const received_at_us = clock.now_us();
        backoff.reset();
        this.#status = { state: "live", message: null, heard_at_us: received_at_us };
        yield { records: [{ key: source, source, payload, ingested_at_us: received_at_us }] };
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof OperatingError)) throw error;
        wait_ms = backoff.next_ms(null);
        const message = `${error.message}. Retrying in ${Math.ceil(wait_ms / 1000)} s.`;
        this.#status = { ...this.#status, state: "failed", message };
        report({ level: "warning", code: "POLL_FAILED", message });
      }
      if (!(await waitUntil(clock, begun_us + wait_ms * 1000, signal))) break;
    }
    this.#status = { ...this.#status, state: "ended" };
  }

  status(): SourceStatus {
    return {
      source: this.#options.source,
      ...this.#status,
      silent_after_ms: POLLS_UNTIL_SILENT * this.#options.interval_ms,
      reconnects: 0,
      missed: { open: 0, filled: 0, lost: 0 },
      gaps: [],
    };
  }

  async #request(signal: AbortSignal): Promise<Uint8Array> {
    const { url, source } = this.#options;
    const unreachable = (reason: string) =>
      new OperatingError("SOURCE_UNREACHABLE", `${source} (${new URL(url).host}): ${reason}`, {
        next_step: "Check the address and the network.",
        is_retryable: true,
      });
    let body: Uint8Array;
    let status: number;
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
      status = response.status;
      body = new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      throw unreachable(error instanceof Error ? error.message : String(error));
    }
    if (status !== 200) throw unreachable(`the server answered with status ${status}`);
    if (body.length > MAX_BODY_BYTES) throw unreachable(`the answer has ${body.length} bytes`);
    return body;
  }
}
