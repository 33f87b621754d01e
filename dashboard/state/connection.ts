import { backoffDelay_ms } from "../../src/base/backoff.ts";
import type { EventName } from "../../src/serve/schemas/events.ts";
import { lastEventId, NAMES, type StreamState } from "./events.ts";

const BACKOFF = { base_ms: 1_200, cap_ms: 18_000 };
/** A status comes every second; without an event for this long the connection is dead even if nobody closed it. */
export const SILENCE_MS = 10_000;

export interface ConnectionListener {
  heard(name: EventName, data: string, id: string): void;
  changed(state: StreamState): void;
}

/**
 * A connection to the event stream that is kept open and resumes after the last event heard. The browser would reconnect by itself,
 * but says neither when nor with what; so each EventSource is used once and the next one names the event to resume after.
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
      last_id === "" ? "/api/events" : `/api/events?last_event_id=${encodeURIComponent(last_id)}`,
    );
    this.#source = current;
    current.addEventListener("open", () => {
      this.#failures = 0;
      this.#cut_since_ms = null;
      this.#listener.changed({ is: "open" });
      this.#watchSilence();
    });
    current.addEventListener("error", () => this.#cut());
    for (const name of NAMES) {
      current.addEventListener(name, (message: MessageEvent<string>) => {
        this.#watchSilence();
        this.#listener.heard(name, message.data, message.lastEventId);
      });
    }
  }

  /** Timers of hidden tabs run late: a tab in view may ask for a retry that is due. */
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
    // Many pages that lost one server must not reconnect in step.
    const wait_ms = backoffDelay_ms(this.#failures, BACKOFF, { share: 1 / 3 });
    this.#retry_at_ms = Date.now() + wait_ms;
    this.#retry = setTimeout(() => this.open(), wait_ms);
    this.#listener.changed({ is: "cut", since_ms: this.#cut_since_ms, retry_at_ms: this.#retry_at_ms });
  }
}
