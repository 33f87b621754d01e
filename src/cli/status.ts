import { systemClock } from "../clock.ts";
import type { OperatingError } from "../errors.ts";
import type { Producer, SourceReport } from "../source/producer.ts";
import type { CommandResult } from "../transform/worker.ts";
import { progressBar, style, type Output } from "./output.ts";

/** Says what a running pipeline does: a progress bar where the end is known, else one line per event worth a line. */
export class Status {
  readonly #output: Output;
  readonly #producers: readonly Producer[];
  readonly #bar = progressBar("source → log");
  #records = 0;
  #records_told = 0;
  /** The tests' last run over the whole lake; null before the first. */
  tests: { ran_at_us: number; result: CommandResult } | null = null;
  /** What failed last, by its code, until an increment succeeds. */
  readonly #failures = new Map<string, string>();
  /** What keeps sources and ingest waiting, by their names, until they go on. */
  readonly #stalled = new Map<string, OperatingError>();
  readonly #maintenance_told = new Set<string>();

  constructor(output: Output, producers: readonly Producer[]) {
    this.#output = output;
    this.#producers = producers;
  }

  reported = (report: SourceReport): void => {
    this.#bar.end();
    const text = report.message;
    if (report.level === "info") this.#output.say(`${time()} ${text}`);
    else this.#output.warn(`${text} ${style("dim", `[${report.code}]`)}`);
  };

  appended = (records: number): void => {
    if (this.#records === 0) this.#output.say(`${time()} first records are in the log; dbt is getting ready to carry them to gold`);
    this.#records += records;
    // Only a recording knows its end, and recordings run alone.
    const progress = this.#producers[0]?.progress?.();
    if (progress?.total) this.#bar.update(progress.done, progress.total);
  };

  failures(): { code: string; message: string }[] {
    const stalled = new Map([...this.#stalled.values()].map(({ code, message }) => [code, message]));
    return [...new Map([...stalled, ...this.#failures])].map(([code, message]) => ({ code, message }));
  }

  /** What is said of it is a report of its own. */
  stalled = (name: string, error: OperatingError | null): void => {
    const was_stalled = error === null && this.#stalled.delete(name);
    if (error !== null) this.#stalled.set(name, error);
    else if (was_stalled) this.#output.say(`${time()} ${name} goes on`);
  };

  caughtUp = (seconds: number): void => {
    this.#failures.clear();
    if (this.#records === this.#records_told) return;
    this.#bar.end();
    const records = (this.#records - this.#records_told).toLocaleString("en");
    this.#records_told = this.#records;
    this.#output.say(`${time()} gold is up to date: ${records} new records, dbt took ${seconds.toFixed(1)} s`);
  };

  tested = (result: CommandResult): void => {
    this.tests = { ran_at_us: systemClock.now_us(), result };
    this.#bar.end();
    const failed = result.nodes.filter(({ status }) => status === "fail" || status === "error");
    if (failed.length === 0) this.#output.say(`${time()} ${result.nodes.length} tests passed in ${result.seconds.toFixed(1)} s`);
    else this.#output.warn(`${failed.length} of ${result.nodes.length} tests failed: ${failed.map(({ name }) => name).join(", ")}`);
  };

  failed = (error: OperatingError): void => {
    this.#failures.set(error.code, error.message);
    this.#bar.end();
    this.#output.warn(`${error.message} ${error.next_step}`);
  };

  /** Once for each table and kind of failure: the pipeline goes on, and the next pass tries again. */
  maintenanceFailed(table: string, error: OperatingError): void {
    const key = `${table} ${error.code}`;
    if (this.#maintenance_told.has(key)) return;
    this.#maintenance_told.add(key);
    this.#bar.end();
    this.#output.warn(`${table} was not maintained: ${error.message}. ${error.next_step} ${style("dim", `[${error.code}]`)}`);
  }

  end(): void {
    this.#bar.end();
  }
}

function time(): string {
  return style("dim", `${new Date().toISOString().slice(11, 19)}Z`);
}
