import { onAbort } from "../base/abortable.ts";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { isoFromMicros, type Clock } from "../base/clock.ts";
import { hasPassed } from "../base/pacing.ts";
import { OperatingError } from "../base/errors.ts";
import type { Log } from "../log/log.ts";
import { MAX_CONSECUTIVE_FAILURES, withRetry, pause } from "../base/retry.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { SourceReport } from "../producer/producer.ts";
import type { Alert, AlertEvent } from "./alert.ts";
import { backTest } from "./back-test.ts";
import { StoredBook } from "./book.ts";
import { Deliverer, type DeliveryLimits } from "./deliver/deliverer.ts";
import { HealthWatch } from "./evaluate/health-evaluator.ts";
import { Judge } from "./evaluate/evaluator.ts";
import { Watch } from "./evaluate/rule-evaluator.ts";
import type { AlertFacade, AlertState, BackTest, BackTestRange, HealthView, TickBatch } from "./facade.ts";
import { windowPages, type TickHistory } from "./history.ts";
import { coversOffsets, type LogOffsets } from "../log/offsets.ts";
import { parseRule, type StoredRule } from "./rule.ts";
import { AlertStore } from "./sqlite/store.ts";

/** Where ticks come from: the live tail. Its history holds whatever its state says it has come to. */
export interface TickSource {
  onAbsorbed(listener: (batch: TickBatch) => void): () => void;
  state(): { next: LogOffsets };
}

export interface AlertEngineOptions {
  /** The lake's: `alerts.db` lies in it. */
  folder: string;
  pipeline: Pick<Pipeline, "topic" | "alerts">;
  clock: Clock;
  source: TickSource;
  history: TickHistory;
  report(report: SourceReport): void;
  delivery?: Partial<DeliveryLimits>;
  /** Failures in a row after which it gives up; by default about an hour of them. */
  max_failures?: number;
}

/** Without an alert, progress is made durable at this pace; a restart judges anew what came after. */
const PROGRESS_MS = 1_000;
/** Rules that another process has written are taken up within this. */
const LOOK_MS = 250;
/** How often the tail is looked at while it comes to where it was; it takes a moment, once. */
const REACHED_LOOK_MS = 20;
/** Judging pauses for timers and sockets after so many ticks: about 10 ms. */
const SLICE_TICKS = 2_000;
/** What waits beyond this is forgotten, and read again from the lake when its turn comes. */
const MAX_WAITING_TICKS = 500_000;
const MOST_OPEN_JOBS = 1_000;

export function alertsFile(folder: string): string {
  return join(folder, "alerts.db");
}

/** Rules, sinks and alerts of a lake, without an engine; the pipeline's default rules are there from the first opening on. */
export async function openAlertBook(
  folder: string,
  pipeline: Pick<Pipeline, "alerts">,
  clock: Clock,
): Promise<StoredBook> {
  return new StoredBook(await openStore(folder, pipeline, clock), clock);
}

/**
 * Notes, once in the life of a lake, where judging begins: at the place that its tables have come to. To be done before the first
 * source is asked: the engine is ready only seconds later, and what comes in between is to be judged as well. Throws
 * ALERTS_AHEAD_OF_LOG, which nobody can tell any more once the log has given its offsets out again.
 */
export async function beginAlerts(
  folder: string,
  pipeline: Pick<Pipeline, "alerts" | "topic">,
  clock: Clock,
  log: Pick<Log, "bounds">,
  next: LogOffsets,
): Promise<void> {
  const store = await openStore(folder, pipeline, clock);
  try {
    const judged = store.progress();
    for (const { partition, end } of await log.bounds(pipeline.topic.name)) {
      const place = `${pipeline.topic.name}/${partition}`;
      if ((judged[place] ?? 0) > end)
        throw aheadOfLog(alertsFile(folder), `${place} ends at offset ${end}, but is judged up to ${judged[place]}`);
    }
    await store.begin(next, isoFromMicros(clock.now_us()));
  } finally {
    store.close();
  }
}

function aheadOfLog(file: string, message: string): OperatingError {
  return new OperatingError(
    "ALERTS_AHEAD_OF_LOG",
    `The alerts in ${file} are newer than the log: ${message}. What comes under those offsets would not be judged.`,
    {
      next_step:
        "Bring back the copy of that file that belongs to the log; or move it away with its -wal and -shm: rules, sinks and the list of alerts then begin anew.",
    },
  );
}

async function openStore(folder: string, { alerts }: Pick<Pipeline, "alerts">, clock: Clock): Promise<AlertStore> {
  const store = new AlertStore(alertsFile(folder));
  await store.writeDefaults(alerts.default_rules.map(parseRule), isoFromMicros(clock.now_us()));
  return store;
}

/**
 * Judges every accepted tick by every rule, once, in the order of the log, and makes what follows from it durable together with
 * the offsets that it holds for. Killed anywhere, it goes on at its last commit: the windows are made again from the lake's
 * history, the ticks after it are judged again, and come to the same alerts, under the same ids.
 */
export class AlertEngine extends StoredBook implements AlertFacade {
  readonly #options: AlertEngineOptions;
  readonly #deliverer: Deliverer;
  readonly #listeners = new Set<(event: AlertEvent) => void>();
  readonly #unsubscribe: () => void;
  readonly #started_us: number;
  /** All before it is judged, in memory; what is durable may be a second behind. */
  #next: Record<string, number>;
  #judge = new Judge([]);
  #watches: readonly (Watch | HealthWatch)[] = [];
  #queue: TickBatch[] = [];
  #waiting_ticks = 0;
  /** What was given so far reaches to here. */
  #given: LogOffsets;
  /** Something was not given, or forgotten: the lake has it. */
  #is_behind = true;
  #health: HealthView | null = null;
  /** Judged and not durable yet. */
  #events: AlertEvent[] = [];
  #committed_us = -Infinity;
  #is_dirty = false;
  #data_version = -1;
  #are_rules_stale = true;
  /** Alerts about jobs that are open: those who report write them. */
  #reported: ReadonlyMap<string, Alert> = new Map();
  #judged_ticks = 0;
  #historic_ticks = 0;
  #wake: (() => void) | null = null;
  #idle: (() => void)[] = [];
  #has_ended = false;

  private constructor(store: AlertStore, options: AlertEngineOptions) {
    super(store, options.clock);
    this.#options = options;
    this.#started_us = options.clock.now_us();
    this.#next = store.progress();
    this.#given = options.source.state().next;
    this.#deliverer = new Deliverer({
      store,
      clock: options.clock,
      limits: options.delivery,
      gaveUp: (sink, message) =>
        options.report({
          level: "warning",
          code: "ALERT_NOT_DELIVERED",
          message: `An alert could not be delivered to the sink "${sink}": ${message}.`,
        }),
      failed: (error) => options.report({ level: "warning", code: error.code, message: error.message }),
    });
    this.#unsubscribe = options.source.onAbsorbed((batch) => this.#take(batch));
  }

  /**
   * Judging begins where the last commit stands; in a lake that never had alerts, where `beginAlerts` noted, or else where its
   * live tail stands now: rules do not fire over the past.
   */
  static async open(options: AlertEngineOptions): Promise<AlertEngine> {
    const store = await openStore(options.folder, options.pipeline, options.clock);
    try {
      await store.begin(options.source.state().next, isoFromMicros(options.clock.now_us()));
      return new AlertEngine(store, options);
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** Judges and delivers until the signal aborts, then makes the rest durable. Rejects when it cannot go on. */
  async run(signal: AbortSignal): Promise<void> {
    const own = new AbortController();
    const both = AbortSignal.any([signal, own.signal]);
    onAbort(both, () => this.#wake?.());
    const loops = [this.#follow(both), this.#deliverer.run(both)];
    try {
      await Promise.all(loops);
    } finally {
      own.abort();
      await Promise.allSettled(loops);
      this.#has_ended = true;
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  /** Looks at silent sources and lagging layers; call it about once a second. */
  look(view: HealthView): void {
    this.#health = view;
    this.#wake?.();
  }

  /** Resolves when all that was given so far is judged and durable and the rules are taken up, or when `run` has ended. Only beside `run`. */
  idle(): Promise<void> {
    if (this.#has_ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#wake?.();
    });
  }

  onAlert(listener: (event: AlertEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  state(): AlertState {
    const rules = this.listRules();
    return {
      ...this.store.counts(),
      rules: rules.length,
      rules_enabled: rules.filter(({ is_enabled }) => is_enabled).length,
      next: { ...this.#next },
      waiting_ticks: this.#waiting_ticks,
      judged_ticks: this.#judged_ticks,
      historic_ticks: this.#historic_ticks,
    };
  }

  async testRule(rule: string | object, range: BackTestRange = {}): Promise<BackTest> {
    const tested = typeof rule === "string" ? this.getRule(rule) : rule;
    return backTest(this.#options.history, tested, { ...range, now_us: this.clock.now_us() });
  }

  override async close(): Promise<void> {
    this.#unsubscribe();
    await super.close();
  }

  protected override rulesChanged(): void {
    this.#are_rules_stale = true;
    this.#wake?.();
  }

  #take(batch: TickBatch): void {
    this.#queue.push(batch);
    this.#waiting_ticks += batch.ticks.length;
    const advance = Object.entries(batch.next).reduce((sum, [name, next]) => sum + next - (this.#given[name] ?? 0), 0);
    this.#given = { ...batch.next };
    if (advance > batch.records || this.#waiting_ticks > MAX_WAITING_TICKS) {
      this.#is_behind = true;
      this.#forgetQueue();
    }
    this.#wake?.();
  }

  #forgetQueue(): void {
    this.#queue = [];
    this.#waiting_ticks = 0;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    await this.#reached(this.#next, signal);
    while (!signal.aborted) {
      await this.#takeUpRules(signal);
      // A tail may also come to where the tables are without giving what lies between.
      if (this.#queue.length === 0 && !this.#has(this.#options.source.state().next)) this.#is_behind = true;
      if (this.#is_behind && !signal.aborted) await this.#withRetry(signal, () => this.#catchUp(signal));
      // Told to stop while windows were being filled, or what is missing was read: nothing may be judged past that.
      if (signal.aborted) break;
      const batch = this.#queue.shift();
      if (batch !== undefined) {
        await this.#judgeBatch(batch);
        this.#waiting_ticks -= batch.ticks.length;
      }
      this.#judgeHealth();
      await this.#commitIfDue(signal);
      // Rules that changed while others were taken up come first.
      if (batch === undefined && this.#idle.length > 0 && !this.#are_rules_stale && this.#health === null) {
        const count = this.#idle.length;
        if (this.#is_dirty) await this.#commit(signal);
        for (const resolve of this.#idle.splice(0, count)) resolve();
      }
      if (batch === undefined) await this.#pause();
    }
    if (this.#is_dirty) await this.#commit(signal);
  }

  /** The tail begins where the tables stand, which may be before what was judged: its history is whole only past that. */
  async #reached(offsets: LogOffsets, signal: AbortSignal): Promise<void> {
    const hasReached = () => coversOffsets(this.#options.source.state().next, offsets);
    while (!signal.aborted && !hasReached()) await pause(this.clock, REACHED_LOOK_MS, signal);
  }

  /** Judges from the lake's history what was not given, or given and forgotten. */
  async #catchUp(signal: AbortSignal): Promise<void> {
    // Both at one moment: what was given so far is in the history, what is given from now on is past `target`.
    const target = { ...this.#options.source.state().next };
    this.#forgetQueue();
    this.#is_behind = false;
    try {
      if (this.#has(target)) return;
      for await (const ticks of this.#options.history.pages({ from: this.#next, before: target })) {
        const last = ticks.at(-1);
        if (last !== undefined)
          await this.#judgeBatch({ ticks, next: { [this.#partition(last.partition)]: last.offset + 1 } });
        await this.#commitIfDue(signal);
        if (signal.aborted) return;
      }
      await this.#judgeBatch({ ticks: [], next: target });
    } catch (error) {
      this.#is_behind = true;
      throw error;
    }
  }

  async #judgeBatch({ ticks, next }: Pick<TickBatch, "ticks" | "next">): Promise<void> {
    for (let start = 0; start < ticks.length; start += SLICE_TICKS) {
      const now_us = this.clock.now_us();
      for (const tick of ticks.slice(start, start + SLICE_TICKS)) {
        if (tick.offset < (this.#next[this.#partition(tick.partition)] ?? 0)) continue;
        const { events, is_historic } = this.#judge.judge(tick, now_us);
        this.#judged_ticks += 1;
        if (is_historic) this.#historic_ticks += 1;
        if (events.length > 0) this.#events.push(...events);
      }
      await setImmediate();
    }
    for (const [name, offset] of Object.entries(next)) {
      if (offset <= (this.#next[name] ?? 0)) continue;
      this.#next[name] = offset;
      this.#is_dirty = true;
    }
  }

  #judgeHealth(): void {
    if (this.#health === null) return;
    const view = this.#health;
    this.#health = null;
    const now_us = this.clock.now_us();
    for (const watch of this.#watches) {
      if (!(watch instanceof HealthWatch)) continue;
      this.#events.push(...watch.judge(view, now_us));
      if (watch.states.has_changes) this.#is_dirty = true;
    }
  }

  /** Takes up what this or another process has written. A rule that is new, or changed, begins with the next tick. */
  async #takeUpRules(signal: AbortSignal): Promise<void> {
    const data_version = this.store.dataVersion();
    if (!this.#are_rules_stale && data_version === this.#data_version) return;
    const is_first = this.#data_version === -1;
    this.#are_rules_stale = false;
    this.#data_version = data_version;
    this.#tellReported(is_first);
    const rules = this.store.rules().filter(({ is_enabled }) => is_enabled);
    const known = new Map(this.#watches.map((watch) => [keyOf(watch.rule), watch]));
    if (!is_first && rules.length === known.size && rules.every((rule) => known.has(keyOf(rule)))) return;
    // What was judged by the rules as they were must not be judged again by those that are new.
    if (this.#is_dirty) await this.#commit(signal);
    const watches = rules.map((rule) => known.get(keyOf(rule)) ?? this.#watchFor(rule));
    const judging = watches.filter((watch) => watch instanceof Watch);
    const is_held = !is_first && this.#judge.holds(judging.map(({ rule }) => rule));
    const judge = is_held ? new Judge(judging, this.#judge) : await this.#primed(judging, signal);
    if (judge === null) return;
    this.#judge = judge;
    const replaced = this.#watches.filter((watch) => !watches.includes(watch));
    this.#watches = watches;
    for (const watch of replaced) this.#tellEnded(watch);
  }

  #watchFor(rule: StoredRule): Watch | HealthWatch {
    const states = rule.condition.kind === "failed" ? [] : this.store.states(rule.id);
    return Watch.over(rule, states) ?? new HealthWatch(rule, this.#started_us, states);
  }

  /** A judge that knows what lies in its windows; null where it was told to stop. */
  #primed(watches: readonly Watch[], signal: AbortSignal): Promise<Judge | null> {
    return this.#withRetry(signal, async () => {
      const judge = new Judge(watches);
      for await (const page of windowPages(this.#options.history, this.#next, judge.history_us)) {
        for (const tick of page) judge.learn(tick);
        await setImmediate();
        if (signal.aborted) return null;
      }
      return judge;
    });
  }

  /** What other processes have reported of jobs since; what was open at the start is no news. */
  #tellReported(is_first: boolean): void {
    const rules = this.store.rules().filter(({ condition }) => condition.kind === "failed");
    const open = rules.flatMap(({ id }) =>
      this.store.alerts({ rule: id, state: "active" }, Number.MAX_SAFE_INTEGER, MOST_OPEN_JOBS),
    );
    const before = this.#reported;
    this.#reported = new Map(open.map(({ alert }) => [alert.id, alert]));
    if (is_first) return;
    for (const [id, alert] of this.#reported) if (!before.has(id)) this.#tell({ event: "fired", alert });
    for (const id of before.keys()) {
      const alert = this.#reported.has(id) ? null : this.store.alert(id);
      if (alert !== null) this.#tell({ event: alert.ended_by === "recovery" ? "recovered" : "ended", alert });
    }
  }

  /** What was open when its rule was edited or deleted has ended with it, in the same transaction. */
  #tellEnded({ states }: Watch | HealthWatch): void {
    for (const subject of states.subjects()) {
      const { active } = states.get(subject);
      const alert = active === null ? null : this.store.alert(active.id);
      if (alert?.state === "recovered") this.#tell({ event: "ended", alert });
    }
  }

  /** What fired is told of at once; that nothing did can wait. */
  async #commitIfDue(signal: AbortSignal): Promise<void> {
    const is_due = hasPassed(this.clock.now_us() - this.#committed_us, PROGRESS_MS);
    if (this.#events.length > 0 || (this.#is_dirty && is_due)) await this.#commit(signal);
  }

  async #commit(signal: AbortSignal): Promise<void> {
    const now_us = this.clock.now_us();
    const states = this.#watches.flatMap(({ rule, states: own }) =>
      [...own.changes()].map(([subject, state]) => ({ rule, subject, state })),
    );
    const kept = await this.#withRetry(signal, () =>
      this.store.commit({ events: this.#events, states, next: this.#next, now_us }),
    );
    // Told to stop while it could not be written: the next start judges it again.
    if (kept === null) return;
    for (const { states: own } of this.#watches) own.madeDurable();
    this.#events = [];
    this.#is_dirty = false;
    this.#committed_us = now_us;
    if (kept.length > 0) this.#deliverer.wake();
    for (const event of kept) this.#tell(event);
  }

  #tell(event: AlertEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Null where it was told to stop. */
  #withRetry<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | null> {
    const { max_failures = MAX_CONSECUTIVE_FAILURES } = this.#options;
    // Who never gives up waits for a person too, who repairs what is damaged beside the run.
    const isRetryable = (error: OperatingError): boolean =>
      max_failures === Infinity || error.is_retryable || error.code === "BAD_SQL";
    const failed = ({ code, message }: OperatingError): void =>
      this.#options.report({ level: "warning", code, message: `Alerts wait, and try again: ${message}` });
    return withRetry({ clock: this.clock, signal, max_attempts: max_failures, isRetryable, failed }, work);
  }

  /** Until there is something to do, or the time has passed. */
  async #pause(): Promise<void> {
    if (this.#queue.length > 0 || this.#health !== null || this.#are_rules_stale) return setImmediate();
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(end, LOOK_MS);
      this.#wake = end;
    });
  }

  /** Whether every record below these offsets is evaluated. */
  #has(offsets: LogOffsets): boolean {
    return coversOffsets(this.#next, offsets);
  }

  #partition(partition: number): string {
    return `${this.#options.pipeline.topic.name}/${partition}`;
  }
}

function keyOf({ id, revision, created_at }: StoredRule): string {
  return JSON.stringify([id, revision, created_at]);
}
