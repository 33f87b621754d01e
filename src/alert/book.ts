import { isoFromMicros, type Clock } from "../base/clock.ts";
import { OperatingError } from "../base/errors.ts";
import type { Alert, AlertEvent, Delivery } from "./alert.ts";
import type { JobReport } from "./evaluate/job-report.ts";
import type { AlertBook, AlertPage, AlertQuery } from "./facade.ts";
import { badRule, parseNewRule, parseRule, slugOf, type Rule, type StoredRule } from "./rule.ts";
import { PAGE_SINK, parseSink, viewOfSink, type SinkView } from "./sink.ts";
import type { AlertStore } from "./sqlite/store.ts";

const PAGE_LIMITS = { default: 100, most: 1_000 };

/** The rules, sinks and alerts in the store. Any number of processes may open it. */
export class StoredBook implements AlertBook {
  protected readonly store: AlertStore;
  protected readonly clock: Clock;

  constructor(store: AlertStore, clock: Clock) {
    this.store = store;
    this.clock = clock;
  }

  listRules(): StoredRule[] {
    return this.store.rules();
  }

  getRule(id: string): StoredRule {
    return (
      this.store.rule(id) ??
      missing("RULE", `rule "${id}"`, "List those there are with `npm run -s coinlake -- rules list`.")
    );
  }

  async createRule(json: unknown): Promise<StoredRule> {
    const parsed = parseNewRule(json);
    const rule: Rule = { ...parsed, id: parsed.id ?? this.#freeId(slugOf(parsed.name)) };
    const outcome = await this.store.insertRule(rule, this.#now());
    if (typeof outcome === "object") throw noSuchSink(outcome.missing_sink);
    if (outcome === "exists") {
      throw new OperatingError("RULE_EXISTS", `There is a rule "${rule.id}" already`, {
        next_step: "Edit that one, or give the new one another id.",
      });
    }
    this.rulesChanged();
    return this.getRule(rule.id);
  }

  async replaceRule(id: string, json: unknown): Promise<StoredRule> {
    const rule = parseRule(typeof json === "object" && json !== null ? { id, ...withoutRecords(json) } : json);
    if (rule.id !== id) throw badRule(`id: a rule keeps its id, which is "${id}"`);
    const outcome = await this.store.updateRule(rule, this.#now());
    if (outcome === "missing") return this.getRule(id);
    if (typeof outcome === "object") throw noSuchSink(outcome.missing_sink);
    this.rulesChanged();
    return this.getRule(id);
  }

  async deleteRule(id: string): Promise<void> {
    const outcome = await this.store.deleteRule(id, this.#now());
    if (outcome === "missing") this.getRule(id);
    else this.rulesChanged();
  }

  listSinks(): SinkView[] {
    return [
      { id: PAGE_SINK, kind: "page", target: "the list of alerts and the event stream" },
      ...this.store.sinks().map(viewOfSink),
    ];
  }

  async createSink(json: unknown): Promise<{ sink: SinkView; secret: string | null }> {
    const sink = parseSink(json);
    if ((await this.store.insertSink(sink)) === "exists") {
      throw new OperatingError("SINK_EXISTS", `There is a sink "${sink.id}" already`, {
        next_step: "Delete that one first, or give the new one another id.",
      });
    }
    return { sink: viewOfSink(sink), secret: sink.kind === "webhook" ? sink.secret : null };
  }

  async deleteSink(id: string): Promise<void> {
    const outcome = await this.store.deleteSink(id);
    if (outcome === "missing")
      missing("SINK", `sink "${id}"`, "List those there are with `npm run -s coinlake -- rules sinks list`.");
    if (typeof outcome === "object") {
      throw new OperatingError("SINK_IN_USE", `The rule "${outcome.used_by}" sends to the sink "${id}"`, {
        next_step: "Take it out of that rule first.",
      });
    }
  }

  listAlerts(query: AlertQuery = {}): AlertPage {
    const limit = Math.max(1, Math.min(PAGE_LIMITS.most, Math.floor(query.limit ?? PAGE_LIMITS.default)));
    const found = this.store.alerts(
      query,
      query.cursor === undefined ? Number.MAX_SAFE_INTEGER : seqOf(query.cursor),
      limit + 1,
    );
    const page = found.slice(0, limit);
    const last = page.at(-1);
    return { items: page.map(({ alert }) => alert), next: found.length > limit && last ? cursorOf(last.seq) : null };
  }

  getAlert(id: string): Alert & { deliveries: Delivery[] } {
    const alert =
      this.store.alert(id) ??
      missing("ALERT", `alert "${id}"`, "List those there are with `npm run -s coinlake -- alerts`.");
    return { ...alert, deliveries: this.store.deliveriesOf(id) };
  }

  async reportJob(report: JobReport): Promise<AlertEvent[]> {
    const events = await this.store.evaluateReport(report, this.clock.now_us());
    if (events !== null) {
      this.rulesChanged();
      return events;
    }
    throw new OperatingError("JOB_RULE_NOT_FOUND", `No rule that is enabled tells of the job "${report.job}"`, {
      next_step:
        "Enable one, or make one: npm run -s coinlake -- rules add " +
        `'{"name":"A job failed","condition":{"kind":"failed","job":"all"}}'.`,
    });
  }

  async close(): Promise<void> {
    this.store.close();
  }

  /** Called after this process changed the rules or a job reported, so that a running engine reloads at once. */
  protected rulesChanged(): void {}

  #now(): string {
    return isoFromMicros(this.clock.now_us());
  }

  #freeId(wanted: string): string {
    let id = wanted;
    for (let count = 2; this.store.rule(id) !== null; count += 1) id = `${wanted}-${count}`;
    return id;
  }
}

/** Removes the fields that the store adds, so that a client can edit and write back a rule that it has read. */
function withoutRecords(json: object): object {
  const {
    revision: _revision,
    created_at: _created_at,
    updated_at: _updated_at,
    ...rule
  } = json as Partial<StoredRule>;
  return rule;
}

function missing(kind: "RULE" | "SINK" | "ALERT", what: string, next_step: string): never {
  throw new OperatingError(`${kind}_NOT_FOUND`, `There is no ${what}`, { next_step });
}

function noSuchSink(id: string): OperatingError {
  return badRule(`sinks: there is no sink "${id}"; make it with \`rules sinks add\``);
}

function cursorOf(seq: number): string {
  return Buffer.from(String(seq)).toString("base64url");
}

function seqOf(cursor: string): number {
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new OperatingError("INVALID_CURSOR", "Unknown or expired cursor", {
    next_step: "Start again without a cursor.",
  });
}
