import type { LogOffsets } from "../../log/offsets.ts";
import { setTimeout as wait } from "node:timers/promises";
import type { DatabaseSync } from "node:sqlite";
import { OperatingError } from "../../base/errors.ts";
import { BUSY_RETRY_MS, isBusy, openSqliteFile, sqliteFailure, transact } from "../../base/sqlite.ts";
import type { Alert, AlertEvent, Delivery } from "../alert.ts";
import { isAbout, evaluateReport, type JobReport } from "../evaluate/job-report.ts";
import type { SubjectState } from "../evaluate/states.ts";
import type { AlertQuery } from "../facade.ts";
import type { Rule, StoredRule } from "../rule.ts";
import { PAGE_SINK, type Sink } from "../sink.ts";
import { ALERTS_FORMAT } from "./file.ts";
import { alertOf, deliveryOf, pendingOf, ruleOf, stateOf, type Pending } from "./rows.ts";
import { prepareStatements, type Statements } from "./statements.ts";

const BUSY_TIMEOUT_MS = 5_000;

/**
 * Number of alerts kept beside the active ones: about 60 MB with their deliveries, or hours of a rule that fires every
 * second.
 */
export const KEPT_ALERTS = 20_000;
const PRUNE_EVERY = 1_000;

/** One commit of the engine. */
export interface Progress {
  events: readonly AlertEvent[];
  states: Iterable<{ rule: StoredRule; subject: string; state: SubjectState }>;
  /** Evaluated offsets: the next one by `<topic>/<partition>`. */
  next: LogOffsets;
  now_us: number;
}

/** The end of one attempt to deliver. */
export interface DeliveryEnd {
  state: Delivery["state"];
  /** Null where no attempt follows. */
  next_attempt_at_us: number | null;
  sent_at_us: number | null;
  last_error: string | null;
}

/**
 * Rules, sinks, alerts, the outbox and the engine's progress, in one SQLite file per lake (WAL, synchronous=FULL).
 * Every change is one transaction, which is durable when the method resolves. Any number of processes may have the file
 * open. Throws ALERTS_LOCKED, ALERTS_DISK_FULL ...
 */
export class AlertStore {
  readonly #file: string;
  readonly #database: DatabaseSync;
  readonly #sql: Statements;

  constructor(file: string) {
    this.#file = file;
    this.#database = openSqliteFile(file, ALERTS_FORMAT, { busy_timeout_ms: BUSY_TIMEOUT_MS });
    this.#sql = prepareStatements(this.#database);
  }

  /** Changes whenever another process has changed the file. */
  dataVersion(): number {
    return Number(this.#sql.data_version.get()?.["data_version"]);
  }

  rules(): StoredRule[] {
    return this.#read(() => this.#sql.list_rules.all().map(ruleOf));
  }

  rule(id: string): StoredRule | null {
    const row = this.#read(() => this.#sql.get_rule.get(id));
    return row === undefined ? null : ruleOf(row);
  }

  /** Writes the default rules once in the life of the file, so that a deleted default stays deleted. */
  async writeDefaults(rules: readonly Rule[], now: string): Promise<void> {
    await this.transact("write the first rules of", () => {
      if (this.#sql.get_setting.get("defaults_written") !== undefined) return;
      for (const rule of rules) this.#sql.insert_rule.run(rule.id, 1, now, now, JSON.stringify(rule));
      this.#sql.put_setting.run("defaults_written", now);
    });
  }

  /** Records once the offsets at which evaluation starts. */
  async begin(next: LogOffsets, now: string): Promise<void> {
    await this.transact("write to", () => {
      if (this.#sql.get_setting.get("begun") !== undefined) return;
      for (const [partition, offset] of Object.entries(next)) this.#sql.put_progress.run(partition, offset);
      this.#sql.put_setting.run("begun", now);
    });
  }

  /** Checks in the same transaction that the rule's sinks exist. */
  insertRule(rule: Rule, now: string): Promise<"inserted" | "exists" | { missing_sink: string }> {
    return this.transact("write a rule to", () => {
      const missing_sink = this.#missingSink(rule);
      if (missing_sink !== null) return { missing_sink };
      if (this.#sql.get_rule.get(rule.id) !== undefined) return "exists";
      this.#sql.insert_rule.run(rule.id, 1, now, now, JSON.stringify(rule));
      return "inserted";
    });
  }

  /** Ends the open alerts of the old rule and deletes its states. */
  updateRule(rule: Rule, now: string): Promise<"updated" | "missing" | { missing_sink: string }> {
    return this.transact("change a rule in", () => {
      const missing_sink = this.#missingSink(rule);
      if (missing_sink !== null) return { missing_sink };
      if (this.#sql.get_rule.get(rule.id) === undefined) return "missing";
      this.#sql.update_rule.run(now, JSON.stringify(rule), rule.id);
      this.#endEpisodes(rule.id, "rule_changed", now);
      return "updated";
    });
  }

  deleteRule(id: string, now: string): Promise<"deleted" | "missing"> {
    return this.transact("delete a rule from", () => {
      if (this.#sql.get_rule.get(id) === undefined) return "missing";
      this.#sql.delete_rule.run(id);
      this.#endEpisodes(id, "rule_deleted", now);
      return "deleted";
    });
  }

  #endEpisodes(rule_id: string, ended_by: "rule_changed" | "rule_deleted", now: string): void {
    const ended = this.#sql.active_of_rule
      .all(rule_id)
      .map((row) => ({ ...alertOf(row), state: "recovered", ended_by, ended_at: now }) satisfies Alert);
    for (const alert of ended) this.#sql.update_alert.run(0, JSON.stringify(alert), alert.id);
    this.#sql.delete_states.run(rule_id);
  }

  #missingSink({ sinks }: Rule): string | null {
    return sinks.find((id) => id !== PAGE_SINK && this.#sql.get_sink.get(id) === undefined) ?? null;
  }

  sinks(): Sink[] {
    return this.#read(() => this.#sql.list_sinks.all().map((row) => JSON.parse(String(row["body"])) as Sink));
  }

  sink(id: string): Sink | null {
    const row = this.#read(() => this.#sql.get_sink.get(id));
    return row === undefined ? null : (JSON.parse(String(row["body"])) as Sink);
  }

  insertSink(sink: Sink): Promise<"inserted" | "exists"> {
    return this.transact("write a sink to", () => {
      if (this.#sql.get_sink.get(sink.id) !== undefined) return "exists";
      this.#sql.insert_sink.run(sink.id, JSON.stringify(sink));
      return "inserted";
    });
  }

  /** Marks the deliveries that wait for the sink as given up. */
  deleteSink(id: string): Promise<"deleted" | "missing" | { used_by: string }> {
    return this.transact("delete a sink from", () => {
      if (this.#sql.get_sink.get(id) === undefined) return "missing";
      const user = this.#sql.list_rules
        .all()
        .map(ruleOf)
        .find(({ sinks }) => sinks.includes(id));
      if (user !== undefined) return { used_by: user.id };
      this.#sql.delete_sink.run(id);
      this.#sql.fail_deliveries_of_sink.run("the sink was deleted", id);
      return "deleted";
    });
  }

  /** Newest first, below the sequence number given. */
  alerts({ rule, subject, state }: AlertQuery, before_seq: number, limit: number): { seq: number; alert: Alert }[] {
    const conditions = ["alert_seq < ?"];
    const values: (string | number)[] = [before_seq];
    const demand = (sql: string, value: string | undefined) => {
      if (value === undefined) return;
      conditions.push(sql);
      values.push(value);
    };
    demand("rule_id = ?", rule);
    demand("subject = ?", subject);
    if (state !== undefined) conditions.push(`is_active = ${state === "active" ? 1 : 0}`);
    const sql = `SELECT * FROM alert WHERE ${conditions.join(" AND ")} ORDER BY alert_seq DESC LIMIT ?`;
    return this.#read(() => this.#database.prepare(sql).all(...values, limit)).map((row) => ({
      seq: Number(row["alert_seq"]),
      alert: alertOf(row),
    }));
  }

  alert(id: string): Alert | null {
    const row = this.#read(() => this.#sql.get_alert.get(id));
    return row === undefined ? null : alertOf(row);
  }

  deliveriesOf(alert_id: string): Delivery[] {
    return this.#read(() => this.#sql.deliveries_of.all(alert_id).map(deliveryOf));
  }

  counts(): { alerts: number; active: number; deliveries: { waiting: number; failed: number } } {
    return this.#read(() => {
      const [alerts, deliveries] = [this.#sql.count_alerts.get(), this.#sql.count_deliveries.get()];
      return {
        alerts: Number(alerts?.["alerts"]),
        active: Number(alerts?.["active"]),
        deliveries: { waiting: Number(deliveries?.["waiting"]), failed: Number(deliveries?.["failed"]) },
      };
    });
  }

  states(rule_id: string): [subject: string, state: SubjectState][] {
    return this.#read(() => this.#sql.list_states.all(rule_id).map((row) => [String(row["subject"]), stateOf(row)]));
  }

  progress(): LogOffsets {
    const rows = this.#read(() => this.#sql.list_progress.all());
    return Object.fromEntries(rows.map((row) => [String(row["partition"]), Number(row["next_offset"])]));
  }

  /**
   * Commits the progress and returns the accepted events. Events of a rule that another process has changed or deleted
   * meanwhile are left out, since its episodes have ended with it.
   */
  commit({ events, states, next, now_us }: Progress): Promise<AlertEvent[]> {
    return this.transact("write to", () => {
      const standing = new Map<string, StoredRule | null>();
      const ruleFor = (id: string): StoredRule | null => {
        let rule = standing.get(id);
        if (rule === undefined) {
          const row = this.#sql.get_rule.get(id);
          standing.set(id, (rule = row === undefined ? null : ruleOf(row)));
        }
        return rule;
      };
      // An event does not name the revision of its rule; the state committed with it does.
      const changed = new Set<string>();
      const kept_states = [...states].filter(({ rule }) => {
        const now = ruleFor(rule.id);
        const is_same = now !== null && now.revision === rule.revision && now.created_at === rule.created_at;
        if (!is_same) changed.add(rule.id);
        return is_same;
      });
      const kept = events.filter(({ alert }) => !changed.has(alert.rule_id));
      for (const event of kept) this.#writeEvent(event, ruleFor(event.alert.rule_id), now_us);
      for (const { rule, subject, state } of kept_states) this.#putState(rule, subject, state);
      for (const [partition, offset] of Object.entries(next)) this.#sql.put_progress.run(partition, offset);
      return kept;
    });
  }

  /**
   * Evaluates a job's report by every enabled rule on jobs, in one transaction: no other method changes the states of
   * these rules. Returns the events; null where no enabled rule covers the job.
   */
  evaluateReport(report: JobReport, now_us: number): Promise<AlertEvent[] | null> {
    return this.transact("write to", () => {
      const rules = this.#sql.list_rules
        .all()
        .map(ruleOf)
        .filter((rule) => rule.is_enabled && isAbout(rule, report));
      const events: AlertEvent[] = [];
      for (const rule of rules) {
        const row = this.#sql.list_states.all(rule.id).find((found) => found["subject"] === report.job);
        const { event, state } = evaluateReport(rule, row === undefined ? null : stateOf(row), report, now_us);
        if (event !== null) {
          this.#writeEvent(event, rule, now_us);
          events.push(event);
        }
        this.#putState(rule, report.job, state);
      }
      return rules.length === 0 ? null : events;
    });
  }

  #putState(
    rule: StoredRule,
    subject: string,
    { active, ended_at_us, opened_at_us, evaluator_state }: SubjectState,
  ): void {
    this.#sql.put_state.run(
      rule.id,
      subject,
      active?.id ?? null,
      ended_at_us,
      opened_at_us,
      JSON.stringify(evaluator_state),
    );
    if (active !== null) this.#sql.update_alert.run(1, JSON.stringify(active), active.id);
  }

  #writeEvent({ event, alert }: AlertEvent, rule: StoredRule | null, now_us: number): void {
    const body = JSON.stringify(alert);
    if (event === "fired") {
      const { changes, lastInsertRowid } = this.#sql.insert_alert.run(alert.id, alert.rule_id, alert.subject, body);
      if (changes > 0 && Number(lastInsertRowid) % PRUNE_EVERY === 0) this.#prune(Number(lastInsertRowid));
    } else this.#sql.update_alert.run(0, body, alert.id);
    if (event === "recovered" && !rule?.is_recovery_notified) return;
    for (const sink of rule?.sinks ?? []) {
      if (sink !== PAGE_SINK) this.#sql.insert_delivery.run(alert.id, event, sink, body, now_us, now_us);
    }
  }

  #prune(newest_seq: number): void {
    const { changes } = this.#sql.prune_alerts.run(newest_seq - KEPT_ALERTS);
    if (changes > 0) this.#sql.prune_deliveries.run();
  }

  /** Deliveries to one sink, the longest due first. */
  dueDeliveries(sink_id: string, now_us: number, limit: number): Pending[] {
    return this.#read(() => this.#sql.due_deliveries.all(sink_id, now_us, limit).map(pendingOf));
  }

  /** Time of the next due delivery; null where none waits. */
  nextDelivery_us(): number | null {
    const at_us = this.#read(() => this.#sql.next_delivery.get()?.["at_us"]);
    return at_us === null || at_us === undefined ? null : Number(at_us);
  }

  /** Stores, before an attempt, the note by which the next attempt detects whether this one succeeded. */
  async beginDelivery(delivery_seq: number, resume: string): Promise<void> {
    await this.transact("write to", () => this.#sql.begin_delivery.run(resume, delivery_seq));
  }

  async endDelivery(delivery_seq: number, end: DeliveryEnd): Promise<void> {
    await this.transact("write to", () =>
      this.#sql.end_delivery.run(end.state, end.next_attempt_at_us, end.sent_at_us, end.last_error, delivery_seq),
    );
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** Runs `work` synchronously inside one write transaction. */
  async transact<T>(verb: string, work: () => T): Promise<T> {
    const deadline_ms = performance.now() + BUSY_TIMEOUT_MS;
    for (;;) {
      if (!this.#database.isOpen) throw closed(this.#file);
      try {
        return transact(this.#database, work);
      } catch (error) {
        if (!isBusy(error) || performance.now() >= deadline_ms)
          throw sqliteFailure(this.#file, ALERTS_FORMAT, verb, error);
      }
      await wait(BUSY_RETRY_MS);
    }
  }

  /** Readers of a WAL never wait for a writer. */
  #read<T>(work: () => T): T {
    if (!this.#database.isOpen) throw closed(this.#file);
    try {
      return work();
    } catch (error) {
      throw sqliteFailure(this.#file, ALERTS_FORMAT, "read", error);
    }
  }
}

function closed(file: string): OperatingError {
  return new OperatingError("ALERTS_CLOSED", `The alerts in ${file} are closed`, { next_step: "Open them again." });
}
