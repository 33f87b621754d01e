import { effect } from "@preact/signals";
import type { EventName } from "../../src/serve/schemas/events.ts";
import { ownKey } from "../base.ts";
import { Connection, SILENCE_MS } from "./connection.ts";
import { dispatchEvent, stream, type StreamState } from "./events.ts";

/**
 * Shares one event stream between all tabs: a browser opens at most six connections to a server, and six tabs with a
 * stream each would leave none for requests. The tab that holds the lock has the connection and broadcasts every event;
 * when it closes, another tab gets the lock and resumes after the last event that it handled.
 */

type Message =
  /** A new tab asks for the connection's state. */
  | { kind: "ask" }
  /** A visible tab asks for a retry that is due. */
  | { kind: "retry" }
  | { kind: "state"; state: StreamState }
  | { kind: "event"; name: EventName; data: string; id: string };

/** Each pipeline has a stream. */
const NAME = ownKey("coinlake.events");
/** A hidden tab's timers may be a second late. */
const RETRY_GRACE_MS = 1_500;

export function startStream(): void {
  // Locks need a secure context; without one each tab opens a connection.
  const start = typeof BroadcastChannel === "function" && navigator.locks !== undefined ? share : connectAlone;
  let stop = start();
  // Browsers may keep a page in the back/forward cache; it must release its connection and lock.
  addEventListener("pagehide", () => stop());
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) stop = start();
  });
}

function connectAlone(): () => void {
  const connection = new Connection({ onEvent: dispatchEvent, onState: (state) => (stream.value = state) });
  connection.open();
  return () => connection.close();
}

function share(): () => void {
  const channel = new BroadcastChannel(NAME);
  const stopping = new AbortController();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel never crosses origins
  const post = (message: Message): void => channel.postMessage(message);
  const follower = new Follower(post);
  let leading: Connection | null = null;
  channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
    if (leading === null) follower.onMessage(data);
    else if (data.kind === "ask") post({ kind: "state", state: stream.peek() });
    else if (data.kind === "retry") leading.retryIfDue();
  });
  const lead = (): Promise<void> => {
    follower.stop();
    leading = new Connection({
      onEvent(name, data, id) {
        dispatchEvent(name, data, id);
        post({ kind: "event", name, data, id });
      },
      onState(state) {
        stream.value = state;
        post({ kind: "state", state });
      },
    });
    leading.open();
    return new Promise((resolve) => stopping.signal.addEventListener("abort", () => resolve()));
  };
  follower.start();
  navigator.locks.request(NAME, { signal: stopping.signal }, lead).catch((error: unknown) => {
    // The request was aborted while it waited for the lock.
    if (!stopping.signal.aborted) throw error;
  });
  return () => {
    follower.stop();
    leading?.close();
    channel.close();
    stopping.abort();
  };
}

/**
 * A tab that receives events from the leading tab; if that falls silent, it opens a connection until the leader is
 * back.
 */
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

  onMessage(message: Message): void {
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
    dispatchEvent(message.name, message.data, message.id);
  }

  stop(): void {
    this.#stopWatching?.();
    this.#alone?.();
    this.#alone = null;
    for (const timer of [this.#silence, this.#retry]) if (timer !== null) clearTimeout(timer);
  }

  #watchSilence(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    // Longer than the leading tab needs to notice a dead connection.
    this.#silence = setTimeout(() => this.#fallBack(), SILENCE_MS * 2);
  }

  /** Opens a connection if the leading tab is frozen. */
  #fallBack(): void {
    const state = stream.peek();
    // During an interruption the leading tab is silent and retries by itself.
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
