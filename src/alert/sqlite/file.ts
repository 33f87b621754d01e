import type { SqliteFormat } from "../../base/sqlite.ts";

/**
 * One file, so that a tick's alert, its deliveries, the state of its rule and the evaluated offsets change in one
 * transaction. `alert.body` is the alert as JSON; the other columns are for searches. `delivery` is the outbox.
 */
const TABLES = `
  CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE rule (
    rule_seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE sink (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE alert (
    alert_seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    rule_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX alert_by_rule ON alert (rule_id, alert_seq);
  CREATE INDEX alert_by_subject ON alert (subject, alert_seq);
  CREATE INDEX alert_active ON alert (alert_seq) WHERE is_active = 1;
  CREATE TABLE subject_state (
    rule_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    active_alert TEXT,
    ended_at_us INTEGER,
    opened_at_us INTEGER,
    memo TEXT NOT NULL,
    PRIMARY KEY (rule_id, subject)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE progress (
    partition TEXT PRIMARY KEY,
    next_offset INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE delivery (
    delivery_seq INTEGER PRIMARY KEY,
    alert_id TEXT NOT NULL,
    event TEXT NOT NULL,
    sink_id TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at_us INTEGER NOT NULL,
    next_attempt_at_us INTEGER,
    sent_at_us INTEGER,
    last_error TEXT,
    resume TEXT,
    UNIQUE (alert_id, event, sink_id)
  ) STRICT;
  CREATE INDEX delivery_due ON delivery (sink_id, next_attempt_at_us) WHERE state = 'waiting';
  CREATE INDEX delivery_next ON delivery (next_attempt_at_us) WHERE state = 'waiting';
  CREATE INDEX delivery_failed ON delivery (delivery_seq) WHERE state = 'failed';
`;

export const ALERTS_FORMAT: SqliteFormat = {
  prefix: "ALERTS",
  name: "the alerts in",
  application_id: 0x436f616c,
  migrations: [TABLES],
  failures: {
    DISK_FULL: "Free disk space; alerts go on where they stood.",
    CORRUPT:
      "Restore the file from a copy, or move it away with its -wal and -shm: " +
      "rules, sinks and the list of alerts then start empty.",
  },
};
