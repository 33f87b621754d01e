import { effect, signal } from "@preact/signals";
import type { CommitEvent } from "../../src/serve/schemas/events.ts";
import type { Status } from "../../src/serve/schemas/status.ts";
import { ApiError, get } from "./api.ts";
import { hearTime, now_ms } from "./clock.ts";
import { onEvent, stream } from "./events.ts";

/** The last that was heard of the server's state, and when, by the viewer's clock. */
export const status = signal<Status | null>(null);
export const status_error = signal<ApiError | null>(null);
export const last_commit = signal<CommitEvent | null>(null);
let heard_at_ms = 0;

const POLL_MS = 2_000;
/** Figures older than this are shown as stale. */
const STALE_MS = 8_000;

/** Since when nothing was heard; null while figures are fresh. */
export const stale_since_ms = signal<number | null>(null);

async function load(): Promise<void> {
  try {
    hearStatus(await get<Status>("/api/status"));
    status_error.value = null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    status_error.value = error;
  }
}

function hearStatus(next: Status): void {
  hearTime(next.now);
  heard_at_ms = Date.now();
  stale_since_ms.value = null;
  status.value = next;
}

/** The whole status once, then its changes by events; while the stream is cut, by asking. */
export function watchStatus(): void {
  void load();
  onEvent("status", (freshness) => {
    const known = status.peek();
    if (known === null) void load();
    else hearStatus({ ...known, ...freshness });
  });
  onEvent("source", (source) => {
    const known = status.peek();
    if (known === null) return;
    const sources = known.sources.filter(({ source: name }) => name !== source.source).concat(source);
    status.value = { ...known, sources: sources.sort((a, b) => a.source.localeCompare(b.source)) };
  });
  onEvent("commit", (commit) => {
    last_commit.value = commit;
  });
  setInterval(() => {
    if (document.hidden) return;
    if (stream.peek().is !== "open" || Date.now() - heard_at_ms > STALE_MS) void load();
  }, POLL_MS);
  effect(() => {
    void now_ms.value;
    stale_since_ms.value = heard_at_ms > 0 && Date.now() - heard_at_ms > STALE_MS ? heard_at_ms : null;
  });
  // A server that came back may be another one: version, lake and start are asked for again.
  let was_open = false;
  effect(() => {
    const is_open = stream.value.is === "open";
    if (is_open && !was_open && status.peek() !== null) void load();
    was_open = is_open;
  });
}
