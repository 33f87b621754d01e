import { setImmediate } from "node:timers/promises";
import type { TickBatch } from "../../src/alert/facade.ts";
import type { TickHistory } from "../../src/alert/history.ts";
import { AlertEngine, type AlertEngineOptions, type TickSource } from "../../src/alert/engine.ts";
import type { AlertEvent } from "../../src/alert/alert.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Tick } from "../../src/pipeline/definition.ts";
import type { SourceReport } from "../../src/producer/producer.ts";

export const TOPIC = "t";
export const PIPELINE = {
  topic: { name: TOPIC, partitions: 1, retention_ms: 0 },
  alerts: { default_rules: [], lateness_s: 300 },
};
const PARTITION = `${TOPIC}/0`;

const PAGE_TICKS = 7_000;

/** A log with one tick per record, and its live tail, without the lake: absorbed ticks are in the history at once. */
export class Tape implements TickSource {
  readonly #ticks: readonly Tick[];
  readonly #listeners = new Set<(batch: TickBatch) => void>();
  #position: number;

  /** Ticks up to `position` are already absorbed, as in a tail that begins at the tables' committed offsets. */
  constructor(ticks: readonly Tick[], position = 0) {
    this.#ticks = ticks;
    this.#position = position;
  }

  readonly history: TickHistory = {
    pages: ({ from, before, since_us = -Infinity, until_us = Infinity }) =>
      this.#between(from?.[PARTITION] ?? 0, before?.[PARTITION] ?? (before ? 0 : Infinity), since_us, until_us),
    newest_us: async (before) => {
      const times = this.#ticks.slice(0, Math.min(this.#position, before[PARTITION] ?? 0)).map(({ at_us }) => at_us);
      return times.length === 0 ? null : Math.max(...times);
    },
  };

  async *#between(from: number, before: number, since_us: number, until_us: number): AsyncIterable<readonly Tick[]> {
    await setImmediate();
    const end = Math.min(before, this.#position);
    for (let start = from; start < end; start += PAGE_TICKS) {
      const page = this.#ticks
        .slice(start, Math.min(end, start + PAGE_TICKS))
        .filter(({ at_us }) => at_us >= since_us && at_us < until_us);
      if (page.length > 0) yield page;
    }
  }

  onAbsorbed(listener: (batch: TickBatch) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  state(): { next: Record<string, number> } {
    return { next: { [PARTITION]: this.#position } };
  }

  get is_at_end(): boolean {
    return this.#position >= this.#ticks.length;
  }

  /** Makes the next ticks visible, as one batch. */
  absorb(count: number): void {
    const ticks = this.#ticks.slice(this.#position, this.#position + count);
    this.#position += ticks.length;
    for (const listener of this.#listeners)
      listener({ ticks, records: ticks.length, next: { [PARTITION]: this.#position } });
  }

  /** The tables get the next ticks before the tail: the tail continues after them and yields none of them. */
  skip(count: number): void {
    this.#position = Math.min(this.#ticks.length, this.#position + count);
  }

  /** The tail leaves the next ticks to the tables and says so, as after a backlog. */
  leave(count: number): void {
    this.skip(count);
    for (const listener of this.#listeners) listener({ ticks: [], records: 0, next: { [PARTITION]: this.#position } });
  }

  absorbAll(): void {
    this.absorb(this.#ticks.length);
  }
}

export interface Running {
  engine: AlertEngine;
  events: AlertEvent[];
  reports: SourceReport[];
  /** Ends without an error. */
  stop(): Promise<void>;
}

export async function runEngine(
  folder: string,
  tape: Tape,
  options: Partial<AlertEngineOptions> & { rules?: readonly object[] } = {},
): Promise<Running> {
  const events: AlertEvent[] = [];
  const reports: SourceReport[] = [];
  const engine = await AlertEngine.open({
    folder,
    pipeline: { ...PIPELINE, alerts: { ...PIPELINE.alerts, default_rules: options.rules ?? [] } },
    clock: systemClock,
    source: tape,
    history: tape.history,
    report: (report) => reports.push(report),
    ...options,
  });
  engine.onAlert((event) => events.push(event));
  const stopping = new AbortController();
  const end = engine.run(stopping.signal);
  return {
    engine,
    events,
    reports,
    async stop() {
      stopping.abort();
      await end;
      await engine.close();
    },
  };
}
