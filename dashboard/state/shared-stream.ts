import { effect } from "@preact/signals";
import type { EventName } from "../../src/serve/schemas/events.ts";
import { Connection, SILENCE_MS } from "./connection.ts";
import { hear, stream, type StreamState } from "./events.ts";

/**
 * One event stream for all tabs of the dashboard: a browser opens six connections to a server, and a stream in each of six tabs would
 * leave none for anything else. The tab that holds the lock has the connection and passes every event on; when it closes, the lock goes
 * to another tab, which resumes after the last event that it handled.
 */

type Message =
  /** A tab that has just opened asks for the state. */
  | { kind: "ask" }
  /** A tab in view asks for a retry that is due. */
  | { kind: "retry" }
  | { kind: "state"; state: StreamState }
  | { kind: "event"; name: EventName; data: string; id: string };

const NAME = "coinlake.events";
/** A hidden tab's timers may be a second late. */
const RETRY_GRACE_MS = 1_500;

export function startStream(): void {
  // Without a secure context there are no locks: then each tab has its own connection.
  const start = typeof BroadcastChannel === "function" && navigator.locks !== undefined ? share : connectAlone;
  let stop = start();
  // Browsers keep a page that is left, with its connection and its lock, for who goes back.
  addEventListener("pagehide", () => stop());
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) stop = start();
  });
}

function connectAlone(): () => void {
  const connection = new Connection({ heard: hear, changed: (state) => (stream.value = state) });
  connection.open();
  return () => connection.close();
}

function share(): () => void {
  const channel = new BroadcastChannel(NAME);
  const stopping = new AbortController();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel is of one origin by itself
  const post = (message: Message): void => channel.postMessage(message);
  const follower = new Follower(post);
  let leading: Connection | null = null;
  channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
    if (leading === null) follower.heard(data);
    else if (data.kind === "ask") post({ kind: "state", state: stream.peek() });
    else if (data.kind === "retry") leading.retryIfDue();
  });
  const lead = (): Promise<void> => {
    follower.stop();
    leading = new Connection({
      heard(name, data, id) {
        hear(name, data, id);
        post({ kind: "event", name, data, id });
      },
      changed(state) {
        stream.value = state;
        post({ kind: "state", state });
      },
    });
    leading.open();
    return new Promise((resolve) => stopping.signal.addEventListener("abort", () => resolve()));
  };
  follower.start();
  navigator.locks.request(NAME, { signal: stopping.signal }, lead).catch((error: unknown) => {
    // Stopped while it waited for its turn.
    if (!stopping.signal.aborted) throw error;
  });
  return () => {
    follower.stop();
    leading?.close();
    channel.close();
    stopping.abort();
  };
}

/** A tab that hears of events by another one's connection; where that falls silent, by its own until the other is back. */
class Follower {
  readonly #post: (message: Message) => void;
  #silence: ReturnType<typeof setTimeout> | null = null;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #alone: (() => void) | null = null;
  #stopWatching: (() => void) | null = null;

  constructor(post: (message: Message) => void) {
    this.#post = post;
  }

  start(): void {
    this.#post({ kind: "ask" });
    this.#watchSilence();
    this.#stopWatching = effect(() => this.#retryWhenDue(stream.value));
  }

  heard(message: Message): void {
    if (message.kind !== "event" && message.kind !== "state") return;
    this.#watchSilence();
    if (this.#alone !== null) {
      this.#alone();
      this.#alone = null;
    }
    if (message.kind === "state") {
      stream.value = message.state;
      return;
    }
    if (stream.peek().is !== "open") stream.value = { is: "open" };
    hear(message.name, message.data, message.id);
  }

  stop(): void {
    this.#stopWatching?.();
    this.#alone?.();
    this.#alone = null;
    for (const timer of [this.#silence, this.#retry]) if (timer !== null) clearTimeout(timer);
  }

  #watchSilence(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    // Later than the other tab itself would notice a dead connection.
    this.#silence = setTimeout(() => this.#fallBack(), SILENCE_MS * 2);
  }

  /** The tab with the connection is frozen, or its browser does not let it speak. */
  #fallBack(): void {
    const state = stream.peek();
    // A connection that is cut is silent, and tried again by its own tab.
    if (state.is === "cut" && Date.now() < state.retry_at_ms + SILENCE_MS) this.#watchSilence();
    else this.#alone ??= connectAlone();
  }

  #retryWhenDue(state: StreamState): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (state.is !== "cut" || this.#alone !== null) return;
    const wait_ms = Math.max(0, state.retry_at_ms - Date.now()) + RETRY_GRACE_MS;
    this.#retry = setTimeout(() => this.#post({ kind: "retry" }), wait_ms);
  }
}
