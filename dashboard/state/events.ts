import { signal } from "@preact/signals";
import type { EventName, EVENTS, GapEvent } from "../../src/serve/schemas/events.ts";
import type { z } from "zod";

type EventOf<N extends EventName> = z.infer<(typeof EVENTS)[N]>;
type Listener<N extends EventName> = (event: EventOf<N>) => void;

/** The state of the event stream. */
export type StreamState =
  | { is: "opening" }
  | { is: "open" }
  /** Interrupted; the next attempt is at `retry_at_ms`, local time. */
  | { is: "cut"; since_ms: number; retry_at_ms: number };

export const stream = signal<StreamState>({ is: "opening" });
/** The last gap of lost events, until the viewer dismisses the note. */
export const missed = signal<(GapEvent & { noticed_at_ms: number }) | null>(null);

export const NAMES: readonly EventName[] = ["hello", "ticks", "alert", "commit", "source", "status", "gap"];

const listeners = new Map<EventName, Set<(event: never) => void>>();
let last_id = "";

/** Id of the last event that this tab handled; "" before the first. */
export function lastEventId(): string {
  return last_id;
}

/** Subscribes to events by name, in order; returns a function that unsubscribes. */
export function onEvent<N extends EventName>(name: N, listener: Listener<N>): () => void {
  const set = listeners.get(name) ?? new Set();
  listeners.set(name, set.add(listener));
  return () => set.delete(listener);
}

/** Dispatches an event from this tab's connection or another's; an event that was already handled is ignored. */
export function dispatchEvent(name: EventName, data: string, id: string): void {
  if (id !== "") {
    if (isKnown(id, last_id)) return;
    last_id = id;
  }
  const event = JSON.parse(data) as never;
  if (name === "gap") missed.value = { ...(event as GapEvent), noticed_at_ms: Date.now() };
  for (const listener of listeners.get(name) ?? []) listener(event);
}

/** Whether an event was already handled. Ids are `<boot>-<number>`; numbers increase while the server runs. */
function isKnown(id: string, last: string): boolean {
  const [boot, number] = partsOf(id);
  const [last_boot, last_number] = partsOf(last);
  return boot === last_boot && number <= last_number;
}

function partsOf(id: string): [boot: string, number: number] {
  const at = id.lastIndexOf("-");
  return [id.slice(0, at), Number(id.slice(at + 1))];
}
