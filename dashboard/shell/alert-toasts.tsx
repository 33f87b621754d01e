import { signal } from "@preact/signals";
import { hrefOf } from "../base.ts";
import type { Alert } from "../../src/serve/schemas/alerts.ts";
import { Moment } from "../components/time.tsx";
import { onEvent } from "../state/events.ts";
import { loadSubjects, nameOfSubject } from "../state/subjects.ts";

/** Alerts that fired while the dashboard was open, newest first; dismissed by the viewer or after STAYS_MS. */
const fired = signal<readonly Alert[]>([]);
const SHOWN = 3;
const STAYS_MS = 30_000;

export function watchAlerts(): void {
  onEvent("alert", ({ event, alert }) => {
    if (event !== "fired") {
      dismiss(alert.id);
      return;
    }
    void loadSubjects();
    fired.value = [alert, ...fired.peek()].slice(0, SHOWN);
    setTimeout(() => dismiss(alert.id), STAYS_MS);
  });
}

function dismiss(id: string): void {
  if (fired.peek().some((alert) => alert.id === id)) fired.value = fired.peek().filter((alert) => alert.id !== id);
}

/** Shows alerts as they fire, on every page. */
export function AlertToasts() {
  return (
    <section class="alert-toasts" aria-label="Alerts that just fired" aria-live="assertive">
      {fired.value.map((alert) => (
        <div key={alert.id} class={`alert-toast ${alert.severity}`}>
          <p>
            <strong>{alert.rule_name}</strong>
          </p>
          <p>
            {alert.message.startsWith(alert.subject)
              ? `${nameOfSubject(alert.subject)}${alert.message.slice(alert.subject.length)}`
              : alert.message}
          </p>
          <p class="alert-toast-foot">
            <Moment at={alert.opened_at} with_zone /> <a href={hrefOf("/alerts")}>All alerts</a>
            <button type="button" class="button small" onClick={() => dismiss(alert.id)}>
              Dismiss
            </button>
          </p>
        </div>
      ))}
    </section>
  );
}
