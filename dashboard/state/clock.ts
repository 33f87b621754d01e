import { signal } from "@preact/signals";

/** The server's current time: ages are computed by the server's clock, because the viewer's may be wrong. */
export const now_ms = signal(Date.now());

let ahead_ms = 0;

function tick(): void {
  now_ms.value = Date.now() + ahead_ms;
}

/** Adjusts to the server's time. Small differences are network delay and are ignored. */
export function syncClock(server_now: string): void {
  const difference_ms = Date.parse(server_now) - Date.now();
  if (Number.isNaN(difference_ms) || Math.abs(difference_ms - ahead_ms) < 750) return;
  ahead_ms = difference_ms;
  tick();
}

setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
