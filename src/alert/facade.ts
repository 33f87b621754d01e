import type { LogOffsets } from "../log/offsets.ts";
import type { Tick } from "../pipeline/definition.ts";
import type { SourceStatus } from "../producer/producer.ts";
import type { Alert, AlertEvent, Delivery } from "./alert.ts";
import type { JobReport } from "./evaluate/job-report.ts";
import type { Rule, StoredRule } from "./rule.ts";
import type { SinkView } from "./sink.ts";

/** What the live tail hands on: accepted ticks in log order, and how far the log is absorbed with them. */
export interface TickBatch {
  ticks: readonly Tick[];
  /** How many records of the log it covers; where `next` moves by more, the tail left some to the tables. */
  records: number;
  /** Next offset by `<topic>/<partition>`. */
  next: LogOffsets;
}

/** What silent and lag rules are judged by. */
export interface HealthView {
  sources: readonly Pick<SourceStatus, "source" | "state" | "heard_at_us">[];
  /** Seconds that a layer is behind the log; null where that is not known. */
  layers: readonly { layer: string; seconds_behind: number | null }[];
}

export interface AlertQuery {
  rule?: string;
  subject?: string;
  state?: "active" | "recovered";
  /** 1 to 1,000; 100 without. */
  limit?: number;
  /** `next` of the page before. Throws BAD_CURSOR. */
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
  /** Alerts kept, ended ones included. */
  alerts: number;
  /** Next offset by `<topic>/<partition>`: all before it is judged. */
  next: Record<string, number>;
  /** Ticks given and not yet judged. */
  waiting_ticks: number;
  judged_ticks: number;
  /** Ticks older than the newest of their subject by more than five minutes: not judged. */
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
  /** How many would have fired in all; `alerts` has the first of them. */
  fired: number;
  alerts: Alert[];
}

/** Bounds in event time, ISO 8601, from included, to excluded; without, all that the lake holds. */
export interface BackTestRange {
  from?: string | undefined;
  to?: string | undefined;
  /** How many alerts to list; 1,000 without. */
  limit?: number;
}

/** Rules, sinks and alerts of a lake: what the command line needs, with or without a running pipeline. */
export interface AlertBook {
  listRules(): StoredRule[];
  /** Throws NO_SUCH_RULE. */
  getRule(id: string): StoredRule;
  /** Throws BAD_RULE, RULE_EXISTS. */
  createRule(json: unknown): Promise<StoredRule>;
  /** The whole rule anew; its episodes end, its state is as new. Throws BAD_RULE, NO_SUCH_RULE. */
  replaceRule(id: string, json: unknown): Promise<StoredRule>;
  /** Its episodes end; its alerts stay. Throws NO_SUCH_RULE. */
  deleteRule(id: string): Promise<void>;
  listSinks(): SinkView[];
  /** Throws BAD_SINK, SINK_EXISTS. Answers with the secret it made, which is shown this once. */
  createSink(json: unknown): Promise<{ sink: SinkView; secret: string | null }>;
  /** Throws NO_SUCH_SINK, SINK_IN_USE. */
  deleteSink(id: string): Promise<void>;
  listAlerts(query?: AlertQuery): AlertPage;
  /** What a job says of how it went, judged at once; answers with what followed. Throws NO_RULE_ABOUT_JOBS. */
  reportJob(report: JobReport): Promise<AlertEvent[]>;
  /** Throws NO_SUCH_ALERT. */
  getAlert(id: string): Alert & { deliveries: Delivery[] };
  close(): Promise<void>;
}

/** What the HTTP server uses of the running engine. */
export interface AlertFacade extends AlertBook {
  state(): AlertState;
  /** Told after the event is durable, in order. Returns what ends it. */
  onAlert(listener: (event: AlertEvent) => void): () => void;
  /** A stored rule by id, or a rule as JSON, over the lake's history. Throws NO_SUCH_RULE, BAD_RULE, BAD_TIME, NOT_TESTABLE. */
  testRule(rule: string | object, range?: BackTestRange): Promise<BackTest>;
}
