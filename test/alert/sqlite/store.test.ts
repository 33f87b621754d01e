import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Alert, AlertEvent } from "../../../src/alert/alert.ts";
import { AlertStore, KEPT_ALERTS } from "../../../src/alert/sqlite/store.ts";
import { temporaryFolder } from "../../support/coinlake.ts";

const folder = temporaryFolder();
after(() => folder.remove());

const AT = "2026-01-01T00:00:00.000000Z";

function alertOf(number: number): Alert {
  return {
    id: `alert-${number}`,
    rule_id: "fall",
    rule_name: "A fall of five per cent",
    severity: "warning",
    kind: "change",
    subject: "bitcoin",
    source: "simulated",
    direction: "fall",
    message: "Bitcoin fell by 5.1 % within ten minutes",
    state: "active",
    ended_by: null,
    opened_at: AT,
    ended_at: null,
    fired_at: AT,
    value: "94900",
    reference: "100000",
    measure: 5.1,
    threshold: 5,
    worst_value: "94900",
    worst_measure: 5.1,
    until_at: AT,
    ticks: 1,
    coordinates: { partition: 0, offset: number, element_index: 0 },
  };
}

test("the alert list keeps the newest and every active alert, and its file stops growing", async () => {
  const file = join(folder.path, "alerts.db");
  const store = new AlertStore(file);
  try {
    const commit = (events: AlertEvent[]) => store.commit({ events, states: [], next: {}, now_us: 0 });
    await commit([{ event: "fired", alert: alertOf(0) }]);
    const sizes_bytes: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      const numbers = Array.from(
        { length: KEPT_ALERTS / 2 },
        (_, position) => 1 + round * (KEPT_ALERTS / 2) + position,
      );
      await commit(
        numbers.flatMap((number): AlertEvent[] => [
          { event: "fired", alert: alertOf(number) },
          { event: "recovered", alert: { ...alertOf(number), state: "recovered", ended_by: "recovery", ended_at: AT } },
        ]),
      );
      sizes_bytes.push(statSync(file).size);
    }
    const { alerts, active } = store.counts();
    assert.ok(alerts >= KEPT_ALERTS && alerts <= KEPT_ALERTS * 1.1, `${alerts} alerts`);
    assert.equal(active, 1);
    assert.equal(store.alert("alert-0")?.state, "active");
    assert.equal(store.alert("alert-1"), null);
    assert.ok((sizes_bytes.at(-1) ?? 0) <= (sizes_bytes[3] ?? 0) * 1.1, `${sizes_bytes}`);
  } finally {
    store.close();
  }
});
