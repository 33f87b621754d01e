import type { DatabaseSync } from "node:sqlite";

export type Statements = ReturnType<typeof prepareStatements>;

export function prepareStatements(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  return {
    data_version: prepare("PRAGMA data_version"),
    get_setting: prepare("SELECT value FROM setting WHERE name = ?"),
    put_setting: prepare("INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"),

    list_rules: prepare("SELECT * FROM rule ORDER BY rule_seq"),
    get_rule: prepare("SELECT * FROM rule WHERE id = ?"),
    insert_rule: prepare("INSERT INTO rule (id, revision, created_at, updated_at, body) VALUES (?, ?, ?, ?, ?)"),
    update_rule: prepare("UPDATE rule SET revision = revision + 1, updated_at = ?, body = ? WHERE id = ?"),
    delete_rule: prepare("DELETE FROM rule WHERE id = ?"),

    list_sinks: prepare("SELECT * FROM sink ORDER BY id"),
    get_sink: prepare("SELECT * FROM sink WHERE id = ?"),
    insert_sink: prepare("INSERT INTO sink VALUES (?, ?)"),
    delete_sink: prepare("DELETE FROM sink WHERE id = ?"),

    insert_alert: prepare(
      "INSERT INTO alert (id, rule_id, subject, is_active, body) VALUES (?, ?, ?, 1, ?) ON CONFLICT (id) DO NOTHING",
    ),
    update_alert: prepare("UPDATE alert SET is_active = ?, body = ? WHERE id = ?"),
    get_alert: prepare("SELECT * FROM alert WHERE id = ?"),
    active_of_rule: prepare("SELECT * FROM alert WHERE rule_id = ? AND is_active = 1"),
    count_alerts: prepare(
      "SELECT count(*) AS alerts, (SELECT count(*) FROM alert WHERE is_active = 1) AS active FROM alert",
    ),
    prune_alerts: prepare("DELETE FROM alert WHERE is_active = 0 AND alert_seq <= ?"),
    prune_deliveries: prepare(
      "DELETE FROM delivery WHERE state <> 'waiting' AND alert_id NOT IN (SELECT id FROM alert)",
    ),

    list_states: prepare(
      "SELECT s.*, a.body FROM subject_state s LEFT JOIN alert a ON a.id = s.active_alert WHERE s.rule_id = ?",
    ),
    put_state: prepare("INSERT OR REPLACE INTO subject_state VALUES (?, ?, ?, ?, ?, ?)"),
    delete_states: prepare("DELETE FROM subject_state WHERE rule_id = ?"),

    list_progress: prepare("SELECT * FROM progress"),
    put_progress: prepare("INSERT OR REPLACE INTO progress VALUES (?, ?)"),

    ...deliveryStatements(prepare),
  };
}

function deliveryStatements(prepare: DatabaseSync["prepare"]) {
  return {
    insert_delivery: prepare(
      `INSERT INTO delivery (alert_id, event, sink_id, body, state, created_at_us, next_attempt_at_us)
        VALUES (?, ?, ?, ?, 'waiting', ?, ?) ON CONFLICT DO NOTHING`,
    ),
    deliveries_of: prepare("SELECT * FROM delivery WHERE alert_id = ? ORDER BY delivery_seq"),
    // The delivery of an alert's end waits until that of its start was sent or given up.
    due_deliveries: prepare(`
      SELECT * FROM delivery AS due
      WHERE sink_id = ? AND state = 'waiting' AND next_attempt_at_us <= ?
        AND NOT EXISTS (
          SELECT 1 FROM delivery AS before
          WHERE before.alert_id = due.alert_id AND before.sink_id = due.sink_id
            AND before.delivery_seq < due.delivery_seq AND before.state = 'waiting'
        )
      ORDER BY next_attempt_at_us, delivery_seq LIMIT ?`),
    next_delivery: prepare("SELECT min(next_attempt_at_us) AS at_us FROM delivery WHERE state = 'waiting'"),
    begin_delivery: prepare("UPDATE delivery SET resume = ? WHERE delivery_seq = ?"),
    // A failed attempt must not revive a delivery whose sink was deleted meanwhile.
    end_delivery: prepare(
      `UPDATE delivery
        SET state = ?1, attempts = attempts + 1, next_attempt_at_us = ?2, sent_at_us = ?3, last_error = ?4
        WHERE delivery_seq = ?5 AND (state = 'waiting' OR ?1 = 'sent')`,
    ),
    fail_deliveries_of_sink: prepare(
      `UPDATE delivery SET state = 'failed', next_attempt_at_us = NULL, last_error = ?
        WHERE sink_id = ? AND state = 'waiting'`,
    ),
    count_deliveries: prepare(
      `SELECT (SELECT count(*) FROM delivery WHERE state = 'waiting') AS waiting,
        (SELECT count(*) FROM delivery WHERE state = 'failed') AS failed`,
    ),
  };
}
