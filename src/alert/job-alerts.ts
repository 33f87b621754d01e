import type { Alert, AlertEvent } from "./alert.ts";
import type { AlertStore } from "./sqlite/store.ts";

/** Active alerts read for one rule. */
const MAX_ACTIVE_ALERTS = 1_000;

/**
 * Detects the alerts about external jobs that other processes opened or ended: the process that reports a job writes
 * them to the store.
 */
export class JobAlerts {
  readonly #store: AlertStore;
  /** By alert id; null before the first check. */
  #active: ReadonlyMap<string, Alert> | null = null;

  constructor(store: AlertStore) {
    this.#store = store;
  }

  /** The events since the last call. The first call returns none: alerts that are active at the start are not new. */
  newEvents(): AlertEvent[] {
    const rules = this.#store.rules().filter(({ condition }) => condition.kind === "failed");
    const alerts = rules.flatMap(({ id }) =>
      this.#store.alerts({ rule: id, state: "active" }, Number.MAX_SAFE_INTEGER, MAX_ACTIVE_ALERTS),
    );
    const before = this.#active;
    const active = new Map(alerts.map(({ alert }) => [alert.id, alert]));
    this.#active = active;
    if (before === null) return [];
    const fired = [...active.values()].filter(({ id }) => !before.has(id));
    const ended = [...before.keys()].filter((id) => !active.has(id)).map((id) => this.#store.alert(id));
    return [
      ...fired.map((alert): AlertEvent => ({ event: "fired", alert })),
      ...ended
        .filter((alert) => alert !== null)
        .map((alert): AlertEvent => ({ event: alert.ended_by === "recovery" ? "recovered" : "ended", alert })),
    ];
  }
}
