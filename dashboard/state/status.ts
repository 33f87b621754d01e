import { effect, signal } from "@preact/signals";
import type { CommitEvent } from "../../src/serve/schemas/events.ts";
import type { Status } from "../../src/serve/schemas/status.ts";
import { ApiError, get } from "./api.ts";
import { syncClock, now_ms } from "./clock.ts";
import { onEvent, stream } from "./events.ts";

/** The server's last status; `updated_at_ms` is its time by the viewer's clock. */
export const status = signal<Status | null>(null);
export const status_error = signal<ApiError | null>(null);
export const last_commit = signal<CommitEvent | null>(null);
let updated_at_ms = 0;

const POLL_MS = 2_000;
/** Age after which the status is shown as stale. */
const STALE_MS = 8_000;

/** Local time of the last status if it is stale; null while it is fresh. */
export const stale_since_ms = signal<number | null>(null);

async function load(): Promise<void> {
  try {
    applyStatus(await get<Status>("/api/status"));
    status_error.value = null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    status_error.value = error;
  }
}

function applyStatus(next: Status): void {
  syncClock(next.now);
  updated_at_ms = Date.now();
  stale_since_ms.value = null;
  status.value = next;
}

/** Loads the status, then follows its events; polls while the stream is interrupted. */
export function watchStatus(): void {
  void load();
  onEvent("status", (freshness) => {
    const known = status.peek();
    if (known === null) void load();
    else applyStatus({ ...known, ...freshness });
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
    if (stream.peek().is !== "open" || Date.now() - updated_at_ms > STALE_MS) void load();
  }, POLL_MS);
  effect(() => {
    void now_ms.value;
    stale_since_ms.value = updated_at_ms > 0 && Date.now() - updated_at_ms > STALE_MS ? updated_at_ms : null;
  });
  // After a reconnect the server may be a different one, so the complete status is loaded.
  let was_open = false;
  effect(() => {
    const is_open = stream.value.is === "open";
    if (is_open && !was_open && status.peek() !== null) void load();
    was_open = is_open;
  });
}
