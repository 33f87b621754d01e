import { signal } from "@preact/signals";
import type { EventName, EVENTS, GapEvent } from "../../src/serve/schemas/events.ts";
import type { z } from "zod";

type EventOf<N extends EventName> = z.infer<(typeof EVENTS)[N]>;
type Listener<N extends EventName> = (event: EventOf<N>) => void;

/** The state of the event stream. */
export type StreamState =
  | { is: "opening" }
  | { is: "open" }
  /** Cut off; tried again by itself at `retry_at_ms`, local time. */
  | { is: "cut"; since_ms: number; retry_at_ms: number };

export const stream = signal<StreamState>({ is: "opening" });
/** The last stretch of events that are lost for good, until the viewer puts the note away. */
export const missed = signal<(GapEvent & { noticed_at_ms: number }) | null>(null);

export const NAMES: readonly EventName[] = ["hello", "ticks", "alert", "commit", "source", "status", "gap"];

const listeners = new Map<EventName, Set<(event: never) => void>>();
let last_id = "";

/** Id of the last event that this tab handled; "" before the first. */
export function lastEventId(): string {
  return last_id;
}

/** Hears events of one kind, in order; returns how to stop. */
export function onEvent<N extends EventName>(name: N, listener: Listener<N>): () => void {
  const set = listeners.get(name) ?? new Set();
  listeners.set(name, set.add(listener));
  return () => set.delete(listener);
}

/** An event as it came over the wire, from this tab's connection or another's. Each is handled once, from any tab. */
export function hear(name: EventName, data: string, id: string): void {
  if (id !== "") {
    if (isKnown(id, last_id)) return;
    last_id = id;
  }
  const event = JSON.parse(data) as never;
  if (name === "gap") missed.value = { ...(event as GapEvent), noticed_at_ms: Date.now() };
  for (const listener of listeners.get(name) ?? []) listener(event);
}

/** Ids are `<boot>-<number>`; numbers rise while the server runs. */
function isKnown(id: string, last: string): boolean {
  const [boot, number] = partsOf(id);
  const [last_boot, last_number] = partsOf(last);
  return boot === last_boot && number <= last_number;
}

function partsOf(id: string): [boot: string, number: number] {
  const at = id.lastIndexOf("-");
  return [id.slice(0, at), Number(id.slice(at + 1))];
}
