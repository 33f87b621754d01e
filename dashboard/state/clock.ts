import { signal } from "@preact/signals";

/** The server's clock as far as it is known: ages are told by one clock, and the viewer's may be wrong. */
export const now_ms = signal(Date.now());

let ahead_ms = 0;

function tick(): void {
  now_ms.value = Date.now() + ahead_ms;
}

/** Takes the server's word for the time. Small differences are the way of the message, not the clock. */
export function hearTime(server_now: string): void {
  const difference_ms = Date.parse(server_now) - Date.now();
  if (Number.isNaN(difference_ms) || Math.abs(difference_ms - ahead_ms) < 750) return;
  ahead_ms = difference_ms;
  tick();
}

setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
