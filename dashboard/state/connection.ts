import { backoffDelay_ms } from "../../src/base/backoff.ts";
import type { EventName } from "../../src/serve/schemas/events.ts";
import { hrefOf } from "../base.ts";
import { lastEventId, NAMES, type StreamState } from "./events.ts";

const BACKOFF = { base_ms: 1_200, cap_ms: 18_000 };
/** Time without an event after which the connection counts as dead; the server sends a status every second. */
export const SILENCE_MS = 10_000;

export interface ConnectionListener {
  onEvent(name: EventName, data: string, id: string): void;
  onState(state: StreamState): void;
}

/**
 * Connection to the event stream that reconnects with backoff and resumes after the last event. EventSource reconnects
 * too, but does not tell when, nor from which event; so each EventSource is used once, and the next one names the event
 * to resume after.
 */
export class Connection {
  readonly #listener: ConnectionListener;
  #source: EventSource | null = null;
  #failures = 0;
  #cut_since_ms: number | null = null;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #retry_at_ms = 0;
  #silence: ReturnType<typeof setTimeout> | null = null;

  constructor(listener: ConnectionListener) {
    this.#listener = listener;
  }

  open(): void {
    this.#stopTimers();
    this.#source?.close();
    const last_id = lastEventId();
    const current = new EventSource(
      hrefOf(last_id === "" ? "/api/events" : `/api/events?last_event_id=${encodeURIComponent(last_id)}`),
    );
    this.#source = current;
    current.addEventListener("open", () => {
      this.#failures = 0;
      this.#cut_since_ms = null;
      this.#listener.onState({ is: "open" });
      this.#watchSilence();
    });
    current.addEventListener("error", () => this.#cut());
    for (const name of NAMES) {
      current.addEventListener(name, (message: MessageEvent<string>) => {
        this.#watchSilence();
        this.#listener.onEvent(name, message.data, message.lastEventId);
      });
    }
  }

  /** Retries at once if a retry is due: timers of hidden tabs run late. */
  retryIfDue(): void {
    if (this.#retry !== null && Date.now() >= this.#retry_at_ms) this.open();
  }

  close(): void {
    this.#stopTimers();
    this.#source?.close();
    this.#source = null;
  }

  #watchSilence(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#cut(), SILENCE_MS);
  }

  #stopTimers(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#silence = null;
    this.#retry = null;
  }

  #cut(): void {
    this.close();
    this.#cut_since_ms ??= Date.now();
    this.#failures += 1;
    // Jitter keeps clients that lost the same server from reconnecting at the same time.
    const wait_ms = backoffDelay_ms(this.#failures, BACKOFF, { share: 1 / 3 });
    this.#retry_at_ms = Date.now() + wait_ms;
    this.#retry = setTimeout(() => this.open(), wait_ms);
    this.#listener.onState({ is: "cut", since_ms: this.#cut_since_ms, retry_at_ms: this.#retry_at_ms });
  }
}
