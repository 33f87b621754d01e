import { onAbort } from "../../base/abortable.ts";
import { backoffDelay_ms } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { OperatingError } from "../../base/errors.ts";
import { withRetry } from "../../base/retry.ts";
import type { Sink } from "../sink.ts";
import type { Pending } from "../sqlite/rows.ts";
import type { AlertStore, DeliveryEnd } from "../sqlite/store.ts";
import { runCommand } from "./command.ts";
import { appendToFile } from "./file.ts";
import { sendSlack, sendWebhook } from "./http.ts";
import { DeliveryFailed, messageOf, type Attempt } from "./message.ts";

export interface DeliveryLimits {
  /** The first backoff after a failure; each further failure doubles it. */
  base_ms: number;
  cap_ms: number;
  /** Deliveries older than this are given up. */
  give_up_after_ms: number;
  /** Limit for an HTTP answer; commands have their own timeout. */
  timeout_ms: number;
}

export const DELIVERY_LIMITS: DeliveryLimits = {
  base_ms: 2_000,
  cap_ms: 3_600_000,
  give_up_after_ms: 86_400_000,
  timeout_ms: 10_000,
};

/**
 * Concurrent attempts for each sink, so that a slow sink delays only its own deliveries. Files and commands take one at
 * a time.
 */
const AT_ONCE: Record<Sink["kind"], number> = { webhook: 4, slack: 1, command: 1, file: 1 };

/** Interval of the checks for sinks that another process created, and for a changed clock. */
const LOOK_MS = 1_000;

export interface DelivererOptions {
  store: AlertStore;
  clock: Clock;
  limits?: Partial<DeliveryLimits> | undefined;
  random?: (() => number) | undefined;
  /** Called when a delivery is given up. */
  gaveUp(sink: string, message: string): void;
  /** Called when the outbox could not be written, which is retried without sending again. */
  failed(error: OperatingError): void;
}

/**
 * Delivers from the outbox to the sinks at least once: a delivery is marked sent after the sink has accepted it.
 * Receivers detect a repeat by the message's id; a file never gets one twice.
 */
export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #limits: DeliveryLimits;
  readonly #random: () => number;
  /** By delivery_seq. */
  readonly #under_way = new Map<number, { sink: string; end: Promise<void> }>();
  #wake: (() => void) | null = null;
  #has_news = false;
  #failure: unknown = null;

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.#limits = { ...DELIVERY_LIMITS, ...options.limits };
    this.#random = options.random ?? Math.random;
  }

  /** Call it when the outbox may hold new deliveries. */
  wake(): void {
    this.#has_news = true;
    this.#wake?.();
  }

  /** Delivers until the signal aborts. Attempts in flight are then aborted, and repeated at the next start. */
  async run(signal: AbortSignal): Promise<void> {
    const stopListening = onAbort(signal, () => this.wake());
    while (!signal.aborted) {
      if (this.#failure !== null) throw this.#failure;
      this.#has_news = false;
      this.#begin(signal);
      await this.#pause();
    }
    stopListening();
    await Promise.allSettled([...this.#under_way.values()].map(({ end }) => end));
  }

  #begin(signal: AbortSignal): void {
    const { store, clock } = this.#options;
    if (store.nextDelivery_us() === null) return;
    const now_us = clock.now_us();
    for (const sink of store.sinks()) {
      const busy = [...this.#under_way.values()].filter((other) => other.sink === sink.id).length;
      const free = AT_ONCE[sink.kind] - busy;
      if (free <= 0) continue;
      const due = store
        .dueDeliveries(sink.id, now_us, AT_ONCE[sink.kind])
        .filter(({ delivery_seq }) => !this.#under_way.has(delivery_seq));
      for (const pending of due.slice(0, free)) this.#start(sink, pending, signal);
    }
  }

  #start(sink: Sink, pending: Pending, signal: AbortSignal): void {
    const end = this.#attempt(sink, pending, signal)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#under_way.delete(pending.delivery_seq);
        this.wake();
      });
    this.#under_way.set(pending.delivery_seq, { sink: sink.id, end });
  }

  async #attempt(sink: Sink, pending: Pending, signal: AbortSignal): Promise<void> {
    const { store, clock, gaveUp } = this.#options;
    const { delivery_seq, resume } = pending;
    const timeout_ms = sink.kind === "command" ? sink.timeout_ms : this.#limits.timeout_ms;
    const failure = await failureOf(sink, pending, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeout_ms)]),
      now_us: clock.now_us(),
      resume,
      note: async (note) => {
        const is_noted = await this.#write(signal, () => store.beginDelivery(delivery_seq, note));
        if (!is_noted) throw new DeliveryFailed("was stopped");
      },
    });
    // A stop aborted the attempt; the sink did not fail.
    if (failure !== null && signal.aborted) return;
    const end = this.#endOf(pending, failure);
    const is_written = await this.#write(signal, () => store.endDelivery(delivery_seq, end));
    if (is_written && end.state === "failed") gaveUp(sink.id, failure?.message ?? "");
  }

  #endOf({ attempts, created_at_us }: Pending, failure: DeliveryFailed | null): DeliveryEnd {
    const now_us = this.#options.clock.now_us();
    if (failure === null) return { state: "sent", next_attempt_at_us: null, sent_at_us: now_us, last_error: null };
    const { cap_ms, give_up_after_ms } = this.#limits;
    const delay_ms = backoffDelay_ms(attempts + 1, this.#limits, { share: 0.5, random: this.#random });
    const pause_ms = Math.max(delay_ms, Math.min(failure.retry_after_ms ?? 0, cap_ms));
    const next_us = Math.ceil(now_us + pause_ms * 1_000);
    const is_over = failure.is_final || next_us > created_at_us + give_up_after_ms * 1_000;
    return {
      state: is_over ? "failed" : "waiting",
      next_attempt_at_us: is_over ? null : next_us,
      sent_at_us: null,
      last_error: failure.message,
    };
  }

  /** Retries a write to the outbox, because a repeated delivery would reach the sink twice. False after a stop. */
  async #write(signal: AbortSignal, work: () => Promise<void>): Promise<boolean> {
    const { clock, failed } = this.#options;
    const written = await withRetry({ clock, signal, max_attempts: Infinity, failed }, async () => {
      await work();
      return true;
    });
    return written === true;
  }

  #pause(): Promise<void> {
    if (this.#has_news) return Promise.resolve();
    const next_us = this.#options.store.nextDelivery_us();
    const left_ms = next_us === null ? LOOK_MS : (next_us - this.#options.clock.now_us()) / 1_000;
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      // The end of an attempt wakes this loop, so due deliveries that wait for one need no timer.
      const timer = setTimeout(wake, left_ms <= 0 ? LOOK_MS : Math.min(LOOK_MS, Math.ceil(left_ms)));
      this.#wake = wake;
    });
  }
}

/** The failure of an attempt, null if the sink accepted it. Its error must not end other sinks or the evaluation. */
async function failureOf(sink: Sink, pending: Pending, attempt: Attempt): Promise<DeliveryFailed | null> {
  try {
    await send(sink, pending, attempt);
    return null;
  } catch (error) {
    if (error instanceof DeliveryFailed) return error;
    if (error instanceof OperatingError) throw error;
    // The message may contain secrets; the code, or the kind of error, does not.
    const code =
      error instanceof Error && "code" in error ? String(error.code) : error instanceof Error ? error.name : "unknown";
    return new DeliveryFailed(`could not be sent: ${code}`, { cause: error });
  }
}

async function send(sink: Sink, pending: Pending, attempt: Attempt): Promise<void> {
  const message = messageOf(pending);
  switch (sink.kind) {
    case "webhook":
      return sendWebhook(sink, message, attempt);
    case "slack":
      return sendSlack(sink, message, attempt);
    case "command":
      return runCommand(sink, message, attempt);
    case "file":
      return appendToFile(sink, message, attempt);
  }
}
