import { onAbort } from "../base/abortable.ts";
import { setImmediate } from "node:timers/promises";
import { isoFromMicros, type Clock } from "../base/clock.ts";
import type { OperatingError } from "../base/errors.ts";
import { MAX_CONSECUTIVE_FAILURES, withRetry, pause } from "../base/retry.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { SourceReport } from "../producer/producer.ts";
import { ActiveRules } from "./active-rules.ts";
import type { AlertEvent } from "./alert.ts";
import { backTest } from "./back-test.ts";
import { StoredBook } from "./book.ts";
import { Deliverer, type DeliveryLimits } from "./deliver/deliverer.ts";
import { AlertEvaluator } from "./evaluate/evaluator.ts";
import type { RuleEvaluator } from "./evaluate/rule-evaluator.ts";
import type { AlertFacade, AlertState, BackTest, BackTestRange, HealthView, TickBatch } from "./facade.ts";
import type { LogOffsets } from "../log/offsets.ts";
import { windowPages, type TickHistory } from "./history.ts";
import { JobAlerts } from "./job-alerts.ts";
import { openAlertStore } from "./open.ts";
import { EvaluationProgress } from "./progress.ts";
import type { AlertStore } from "./sqlite/store.ts";
import { TickQueue } from "./tick-queue.ts";

/** The live tail as a source of ticks. Its history holds every tick before the offsets that its state reports. */
export interface TickSource {
  onAbsorbed(listener: (batch: TickBatch) => void): () => void;
  state(): { next: LogOffsets };
}

export interface AlertEngineOptions {
  /** The lake's folder, which holds `alerts.db`. */
  folder: string;
  pipeline: Pick<Pipeline, "topic" | "alerts">;
  clock: Clock;
  source: TickSource;
  history: TickHistory;
  report(report: SourceReport): void;
  delivery?: Partial<DeliveryLimits>;
  /** Consecutive failures after which the engine gives up; by default about an hour of them. */
  max_failures?: number;
}

/** Rules that another process writes take effect within this time. */
const RULES_POLL_MS = 250;
/** Interval of the checks whether the tail has reached the evaluated offsets after a restart. */
const TAIL_POLL_MS = 20;
/** Evaluation yields to timers and sockets after this many ticks: about 10 ms. */
const SLICE_TICKS = 2_000;

/**
 * Evaluates every rule on every accepted tick, once, in log order, and commits the resulting alerts together with the
 * evaluated offsets. After a crash it resumes at its last commit: it fills the windows from the lake's history and
 * evaluates the later ticks again, which gives the same alerts under the same ids.
 *
 * The engine schedules; `TickQueue` receives ticks, `ActiveRules` holds the evaluators, `EvaluationProgress` commits,
 * and `Deliverer` sends.
 */
export class AlertEngine extends StoredBook implements AlertFacade {
  readonly #options: AlertEngineOptions;
  readonly #deliverer: Deliverer;
  readonly #listeners = new Set<(event: AlertEvent) => void>();
  readonly #unsubscribe: () => void;
  readonly #queue: TickQueue;
  readonly #progress: EvaluationProgress;
  readonly #rules: ActiveRules;
  readonly #jobs: JobAlerts;
  #health: HealthView | null = null;
  /** Version of the store from which the rules in use were read. */
  #data_version = -1;
  #are_rules_stale = true;
  #judged_ticks = 0;
  #historic_ticks = 0;
  #wake: (() => void) | null = null;
  #idle: (() => void)[] = [];
  #has_ended = false;

  private constructor(store: AlertStore, options: AlertEngineOptions) {
    super(store, options.clock);
    this.#options = options;
    this.#queue = new TickQueue(options.source.state().next);
    this.#progress = new EvaluationProgress(store.progress());
    this.#rules = new ActiveRules(store, {
      started_us: options.clock.now_us(),
      lateness_s: options.pipeline.alerts.lateness_s,
    });
    this.#jobs = new JobAlerts(store);
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
    this.#unsubscribe = options.source.onAbsorbed((batch) => {
      this.#queue.add(batch);
      this.#wake?.();
    });
  }

  /**
   * Evaluation starts at the committed offsets; in a lake that never had alerts, at those that `beginAlerts` recorded,
   * else at those of the live tail: rules do not fire over the past.
   */
  static async open(options: AlertEngineOptions): Promise<AlertEngine> {
    const store = await openAlertStore(options.folder, options.pipeline, options.clock);
    try {
      await store.begin(options.source.state().next, isoFromMicros(options.clock.now_us()));
      return new AlertEngine(store, options);
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** Evaluates and delivers until the signal aborts, then commits the rest. Rejects when it cannot continue. */
  async run(signal: AbortSignal): Promise<void> {
    const own = new AbortController();
    const both = AbortSignal.any([signal, own.signal]);
    onAbort(both, () => this.#wake?.());
    const loops = [this.#evaluateUntil(both), this.#deliverer.run(both)];
    try {
      await Promise.all(loops);
    } finally {
      own.abort();
      await Promise.allSettled(loops);
      this.#has_ended = true;
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  /** Evaluates the rules on silent sources and lagging layers. The caller does this about once a second. */
  look(view: HealthView): void {
    this.#health = view;
    this.#wake?.();
  }

  /**
   * Resolves when all received ticks are evaluated and committed and rule changes have taken effect, or `run` has
   * ended.
   */
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
      next: { ...this.#progress.offsets },
      waiting_ticks: this.#queue.waiting_ticks,
      judged_ticks: this.#judged_ticks,
      historic_ticks: this.#historic_ticks,
    };
  }

  async testRule(rule: string | object, range: BackTestRange = {}): Promise<BackTest> {
    const tested = typeof rule === "string" ? this.getRule(rule) : rule;
    return backTest(this.#options.history, tested, {
      ...range,
      lateness_s: this.#options.pipeline.alerts.lateness_s,
      now_us: this.clock.now_us(),
    });
  }

  override async close(): Promise<void> {
    this.#unsubscribe();
    await super.close();
  }

  protected override rulesChanged(): void {
    this.#are_rules_stale = true;
    this.#wake?.();
  }

  async #evaluateUntil(signal: AbortSignal): Promise<void> {
    await this.#awaitTail(signal);
    while (!signal.aborted) {
      await this.#reloadRules(signal);
      // The tail may also reach the tables' offsets without delivering the ticks before them.
      if (this.#queue.is_empty && !this.#progress.covers(this.#options.source.state().next)) this.#queue.has_gap = true;
      // The tail may leave a further gap while one is read; the batches after it must not be evaluated before it.
      while (this.#queue.has_gap && !signal.aborted) await this.#retry(signal, () => this.#catchUp(signal));
      // After a stop while windows were loading or a gap was read, no later tick may be evaluated.
      if (signal.aborted) break;
      const batch = this.#queue.take();
      if (batch !== undefined) {
        await this.#evaluateBatch(batch);
        this.#queue.done();
      }
      this.#evaluateHealth();
      await this.#commitIfDue(signal);
      if (batch !== undefined) continue;
      // Rules that changed during the reload come first.
      if (this.#idle.length > 0 && !this.#has_other_work) await this.#resolveIdle(signal);
      await this.#pause();
    }
    if (this.#progress.has_changes) await this.#commit(signal);
  }

  /**
   * The tail starts at the tables' offsets, which may be behind the evaluated ones: its history is complete only from
   * there on.
   */
  async #awaitTail(signal: AbortSignal): Promise<void> {
    const evaluated = Object.entries(this.#progress.offsets);
    const hasReached = () => evaluated.every(([name, next]) => (this.#options.source.state().next[name] ?? 0) >= next);
    while (!signal.aborted && !hasReached()) await pause(this.clock, TAIL_POLL_MS, signal);
  }

  /** Evaluates the ticks that the queue lacks, from the lake's history. */
  async #catchUp(signal: AbortSignal): Promise<void> {
    // Read in one turn of the event loop: the history has all batches so far, and later ones begin at `target`.
    const target = { ...this.#options.source.state().next };
    this.#queue.clear();
    this.#queue.has_gap = false;
    try {
      if (this.#progress.covers(target)) return;
      for await (const ticks of this.#options.history.pages({ from: this.#progress.offsets, before: target })) {
        const last = ticks.at(-1);
        if (last !== undefined)
          await this.#evaluateBatch({ ticks, next: { [this.#partition(last.partition)]: last.offset + 1 } });
        await this.#commitIfDue(signal);
        if (signal.aborted) return;
      }
      await this.#evaluateBatch({ ticks: [], next: target });
    } catch (error) {
      this.#queue.has_gap = true;
      throw error;
    }
  }

  async #evaluateBatch({ ticks, next }: Pick<TickBatch, "ticks" | "next">): Promise<void> {
    const { offsets } = this.#progress;
    for (let start = 0; start < ticks.length; start += SLICE_TICKS) {
      const now_us = this.clock.now_us();
      for (const tick of ticks.slice(start, start + SLICE_TICKS)) {
        if (tick.offset < (offsets[this.#partition(tick.partition)] ?? 0)) continue;
        const { events, is_historic } = this.#rules.alert_evaluator.evaluate(tick, now_us);
        this.#judged_ticks += 1;
        if (is_historic) this.#historic_ticks += 1;
        this.#progress.addEvents(events);
      }
      await setImmediate();
    }
    this.#progress.advanceTo(next);
  }

  #evaluateHealth(): void {
    if (this.#health === null) return;
    const view = this.#health;
    this.#health = null;
    const now_us = this.clock.now_us();
    for (const evaluator of this.#rules.health_evaluators) {
      this.#progress.addEvents(evaluator.evaluate(view, now_us));
      if (evaluator.states.has_changes) this.#progress.markStatesChanged();
    }
  }

  /** Applies the changes that this or another process has made to the store since the last call. */
  async #reloadRules(signal: AbortSignal): Promise<void> {
    const data_version = this.store.dataVersion();
    if (!this.#are_rules_stale && data_version === this.#data_version) return;
    this.#are_rules_stale = false;
    this.#data_version = data_version;
    this.#notify(this.#jobs.newEvents());
    if (this.#rules.isCurrent()) return;
    // Ticks that the old rules have evaluated must not be evaluated by the new ones.
    if (this.#progress.has_changes) await this.#commit(signal);
    this.#notify(await this.#rules.reload((evaluators) => this.#loadWindows(evaluators, signal)));
  }

  #loadWindows(evaluators: readonly RuleEvaluator[], signal: AbortSignal): Promise<AlertEvaluator | null> {
    return this.#retry(signal, async () => {
      const evaluator = new AlertEvaluator(evaluators, this.#options.pipeline.alerts.lateness_s);
      const { history } = this.#options;
      for await (const page of windowPages(history, this.#progress.offsets, evaluator.history_us)) {
        for (const tick of page) evaluator.learn(tick);
        await setImmediate();
        if (signal.aborted) return null;
      }
      return evaluator;
    });
  }

  async #commitIfDue(signal: AbortSignal): Promise<void> {
    if (this.#progress.isCommitDue(this.clock.now_us())) await this.#commit(signal);
  }

  async #commit(signal: AbortSignal): Promise<void> {
    const now_us = this.clock.now_us();
    const events = await this.#retry(signal, () => this.#progress.commit(this.store, this.#rules.evaluators, now_us));
    // Stopped before the write succeeded: the next start evaluates these ticks again.
    if (events === null) return;
    if (events.length > 0) this.#deliverer.wake();
    this.#notify(events);
  }

  #notify(events: readonly AlertEvent[]): void {
    for (const event of events) for (const listener of this.#listeners) listener(event);
  }

  /** Null where the signal aborted. */
  #retry<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | null> {
    const { max_failures = MAX_CONSECUTIVE_FAILURES } = this.#options;
    // An engine without a failure limit also retries damaged files, which a person may repair meanwhile.
    const isRetryable = (error: OperatingError): boolean =>
      max_failures === Infinity || error.is_retryable || error.code === "INVALID_SQL";
    const failed = ({ code, message }: OperatingError): void =>
      this.#options.report({ level: "warning", code, message: `Alerts wait, and try again: ${message}` });
    return withRetry({ clock: this.clock, signal, max_attempts: max_failures, isRetryable, failed }, work);
  }

  async #resolveIdle(signal: AbortSignal): Promise<void> {
    const count = this.#idle.length;
    if (this.#progress.has_changes) await this.#commit(signal);
    for (const resolve of this.#idle.splice(0, count)) resolve();
  }

  /** Whether there is work besides the batches of the queue. */
  get #has_other_work(): boolean {
    return this.#queue.has_gap || this.#are_rules_stale || this.#health !== null;
  }

  /** Waits for work, at most `RULES_POLL_MS`. */
  async #pause(): Promise<void> {
    if (!this.#queue.is_empty || this.#has_other_work) return setImmediate();
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(end, RULES_POLL_MS);
      this.#wake = end;
    });
  }

  #partition(partition: number): string {
    return `${this.#options.pipeline.topic.name}/${partition}`;
  }
}
