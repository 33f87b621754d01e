import { signal } from "@preact/signals";
import type { Alert } from "../../src/serve/schemas/alerts.ts";
import { Moment } from "../components/time.tsx";
import { nameOfCoin } from "../state/coins.ts";
import { onEvent } from "../state/events.ts";

/** Fired while the page was open, newest first; put away by the viewer, or by time. */
const fired = signal<readonly Alert[]>([]);
const SHOWN = 3;
const STAYS_MS = 30_000;

export function watchAlerts(): void {
  onEvent("alert", ({ event, alert }) => {
    if (event !== "fired") {
      putAway(alert.id);
      return;
    }
    fired.value = [alert, ...fired.peek()].slice(0, SHOWN);
    setTimeout(() => putAway(alert.id), STAYS_MS);
  });
}

function putAway(id: string): void {
  if (fired.peek().some((alert) => alert.id === id)) fired.value = fired.peek().filter((alert) => alert.id !== id);
}

/** Alerts as they fire, whichever page is open. */
export function AlertNotes() {
  return (
    <section class="alert-notes" aria-label="Alerts that just fired" aria-live="assertive">
      {fired.value.map((alert) => (
        <div key={alert.id} class={`alert-note ${alert.severity}`}>
          <p>
            <strong>{alert.rule_name}</strong>
          </p>
          <p>
            {alert.message.startsWith(alert.subject)
              ? `${nameOfCoin(alert.subject)}${alert.message.slice(alert.subject.length)}`
              : alert.message}
          </p>
          <p class="alert-note-foot">
            <Moment at={alert.opened_at} with_zone /> <a href="/alerts">All alerts</a>
            <button type="button" class="button small" onClick={() => putAway(alert.id)}>
              Dismiss
            </button>
          </p>
        </div>
      ))}
    </section>
  );
}
