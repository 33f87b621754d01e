import type { LogOffsets } from "../log/offsets.ts";
import type { Tick } from "../pipeline/definition.ts";
import type { SourceStatus } from "../producer/producer.ts";
import type { Alert, AlertEvent, Delivery } from "./alert.ts";
import type { JobReport } from "./evaluate/job-report.ts";
import type { Rule, StoredRule } from "./rule.ts";
import type { SinkView } from "./sink.ts";

/** A batch of accepted ticks from the live tail in log order, and the offsets consumed with it. */
export interface TickBatch {
  ticks: readonly Tick[];
  /** Number of log records in the batch. Where `next` advances by more, the tail left records to the tables. */
  records: number;
  /** Next offset by `<topic>/<partition>`. */
  next: LogOffsets;
}

/** The input of rules on silence and lag. */
export interface HealthView {
  sources: readonly Pick<SourceStatus, "source" | "state" | "heard_at_us">[];
  /** Lag of a layer behind the log in seconds; null where it is unknown. */
  layers: readonly { layer: string; seconds_behind: number | null }[];
}

export interface AlertQuery {
  rule?: string;
  subject?: string;
  state?: "active" | "recovered";
  /** 1 to 1,000; 100 by default. */
  limit?: number;
  /** `next` of the page before. Throws INVALID_CURSOR. */
  cursor?: string;
}

export interface AlertPage {
  /** Newest first. */
  items: Alert[];
  next: string | null;
}

export interface AlertState {
  rules: number;
  rules_enabled: number;
  active: number;
  /** Stored alerts, ended ones included. */
  alerts: number;
  /** Evaluated offsets: the next one by `<topic>/<partition>`. */
  next: Record<string, number>;
  /** Ticks received and not yet evaluated. */
  waiting_ticks: number;
  judged_ticks: number;
  /** Ticks that were later than the pipeline's limit (`alerts.lateness_s`): rules ignore them. */
  historic_ticks: number;
  deliveries: { waiting: number; failed: number };
}

export interface BackTest {
  rule: Rule;
  /** Event times, ISO 8601; null where the history has no tick. */
  from: string | null;
  to: string | null;
  ticks: number;
  subjects: number;
  /** Number of alerts that would have fired; `alerts` lists the first of them. */
  fired: number;
  alerts: Alert[];
}

/** Bounds in event time, ISO 8601, `from` inclusive, `to` exclusive; by default all ticks of the lake. */
export interface BackTestRange {
  from?: string | undefined;
  to?: string | undefined;
  /** Maximum number of alerts to list; 1,000 by default. */
  limit?: number;
}

/** Rules, sinks and alerts of a lake, with or without a running pipeline. */
export interface AlertBook {
  listRules(): StoredRule[];
  /** Throws RULE_NOT_FOUND. */
  getRule(id: string): StoredRule;
  /** Throws INVALID_RULE, RULE_EXISTS. */
  createRule(json: unknown): Promise<StoredRule>;
  /** Replaces the whole rule: its episodes end, and its state is reset. Throws INVALID_RULE, RULE_NOT_FOUND. */
  replaceRule(id: string, json: unknown): Promise<StoredRule>;
  /** Its episodes end; its alerts stay. Throws RULE_NOT_FOUND. */
  deleteRule(id: string): Promise<void>;
  listSinks(): SinkView[];
  /** Returns a generated secret, which is shown only this once. Throws INVALID_SINK, SINK_EXISTS. */
  createSink(json: unknown): Promise<{ sink: SinkView; secret: string | null }>;
  /** Throws SINK_NOT_FOUND, SINK_IN_USE. */
  deleteSink(id: string): Promise<void>;
  listAlerts(query?: AlertQuery): AlertPage;
  /** Evaluates a job's report at once; returns the resulting events. Throws JOB_RULE_NOT_FOUND. */
  reportJob(report: JobReport): Promise<AlertEvent[]>;
  /** Throws ALERT_NOT_FOUND. */
  getAlert(id: string): Alert & { deliveries: Delivery[] };
  close(): Promise<void>;
}

/** The running engine as the HTTP server uses it. */
export interface AlertFacade extends AlertBook {
  state(): AlertState;
  /** The listener receives each event once it is durable, in order. Returns the function that removes it. */
  onAlert(listener: (event: AlertEvent) => void): () => void;
  /**
   * A stored rule by id, or a rule as JSON, over the lake's history. Throws RULE_NOT_FOUND, INVALID_RULE, INVALID_TIME,
   * NOT_TESTABLE.
   */
  testRule(rule: string | object, range?: BackTestRange): Promise<BackTest>;
}
