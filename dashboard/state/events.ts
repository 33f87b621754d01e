import { signal } from "@preact/signals";
import type { EventName, EVENTS, GapEvent } from "../../src/serve/schemas/events.ts";
import type { z } from "zod";

type EventOf<N extends EventName> = z.infer<(typeof EVENTS)[N]>;
type Listener<N extends EventName> = (event: EventOf<N>) => void;

/** How the stream of events stands. */
export type StreamState =
  | { is: "opening" }
  | { is: "open" }
  /** Cut off; tried again by itself at `retry_at_ms`, local time. */
  | { is: "cut"; since_ms: number; retry_at_ms: number };

export const stream = signal<StreamState>({ is: "opening" });
/** The last stretch of events that could not be had any more, until the viewer puts the note away. */
export const missed = signal<(GapEvent & { noticed_at_ms: number }) | null>(null);

const NAMES: readonly EventName[] = ["hello", "ticks", "alert", "commit", "source", "status", "gap"];
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 15_000;
/** A status comes every second; without a word for this long the connection is dead even if nobody closed it. */
const SILENCE_MS = 10_000;

const listeners = new Map<EventName, Set<(event: never) => void>>();

/** Hears events of one kind, in order; returns how to stop. */
export function onEvent<N extends EventName>(name: N, listener: Listener<N>): () => void {
  const set = listeners.get(name) ?? new Set();
  listeners.set(name, set.add(listener));
  return () => set.delete(listener);
}

let source: EventSource | null = null;
let last_id = "";
let failures = 0;
let cut_since_ms: number | null = null;
let retry: ReturnType<typeof setTimeout> | null = null;
let silence: ReturnType<typeof setTimeout> | null = null;

/** From now on; not while the page is left: browsers keep it, for who goes back, with its connection, and have six for a server. */
export function startStream(): void {
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) openStream();
  });
  openStream();
}

/**
 * Opens the stream and keeps it open, resuming after the last event heard. The browser would reconnect by itself, but says
 * neither when nor with what; so each connection is used once and the next one names the event to go on after.
 */
function openStream(): void {
  if (retry !== null) clearTimeout(retry);
  retry = null;
  source?.close();
  const current = new EventSource(last_id === "" ? "/api/events" : `/api/events?last_event_id=${encodeURIComponent(last_id)}`);
  source = current;
  current.addEventListener("open", () => {
    failures = 0;
    cut_since_ms = null;
    stream.value = { is: "open" };
    watchSilence();
  });
  current.addEventListener("error", cut);
  for (const name of NAMES) {
    current.addEventListener(name, (message: MessageEvent<string>) => {
      if (message.lastEventId !== "") last_id = message.lastEventId;
      watchSilence();
      hear(name, JSON.parse(message.data) as never);
    });
  }
}

function hear(name: EventName, event: never): void {
  if (name === "gap") missed.value = { ...(event as GapEvent), noticed_at_ms: Date.now() };
  for (const listener of listeners.get(name) ?? []) listener(event);
}

function watchSilence(): void {
  if (silence !== null) clearTimeout(silence);
  silence = setTimeout(cut, SILENCE_MS);
}

function cut(): void {
  source?.close();
  source = null;
  if (silence !== null) clearTimeout(silence);
  if (retry !== null) clearTimeout(retry);
  cut_since_ms ??= Date.now();
  // Many pages that lost one server must not come back in step.
  const wait_ms = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures) * (0.8 + Math.random() * 0.4);
  failures += 1;
  stream.value = { is: "cut", since_ms: cut_since_ms, retry_at_ms: Date.now() + wait_ms };
  retry = setTimeout(openStream, wait_ms);
}
