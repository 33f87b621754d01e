import { systemClock } from "../base/clock.ts";
import type { OperatingError } from "../base/errors.ts";
import type { Producer, SourceReport } from "../producer/producer.ts";
import { failedOf, testsOf, type TestResults } from "../transform/test-results.ts";
import type { CommandResult } from "../transform/worker.ts";
import type { Increment } from "./build-progress.ts";
import { progressBar, sentence, style, type Output } from "./output.ts";
import { RepeatedWarnings } from "./repeated.ts";

/** Says what a running pipeline does: a progress bar where the end is known, else one line per event worth a line. */
export class Status {
  readonly #output: Output;
  readonly #producers: readonly Producer[];
  readonly #bar = progressBar("source → log");
  readonly #test_results: TestResults | null;
  readonly #source_warnings: RepeatedWarnings;
  readonly #failure_warnings: RepeatedWarnings;
  #records = 0;
  /** The tests' last run by this process; null before the first. */
  tests: CommandResult | null = null;
  /** What failed last, by its code, until an increment succeeds. */
  readonly #failures = new Map<string, string>();
  /** What keeps sources and ingest waiting, by their names, until they go on. */
  readonly #stalled = new Map<string, OperatingError>();
  readonly #maintenance_told = new Set<string>();

  constructor(output: Output, producers: readonly Producer[], test_results: TestResults | null) {
    this.#output = output;
    this.#producers = producers;
    this.#test_results = test_results;
    this.#source_warnings = new RepeatedWarnings(systemClock, output.warn);
    this.#failure_warnings = new RepeatedWarnings(systemClock, output.warn);
  }

  reported = (report: SourceReport): void => {
    this.#bar.end();
    const text = report.message;
    if (report.level === "info") this.#output.say(`${time()} ${text}`);
    else this.#source_warnings.warn(`${report.code} ${causeOf(text)}`, `${text} ${style("dim", `[${report.code}]`)}`);
  };

  appended = (records: number): void => {
    if (this.#records === 0) this.#output.say(`${time()} first records are in the log; starting dbt`);
    this.#records += records;
    // Only a recording knows its end, and recordings run alone.
    const progress = this.#producers[0]?.progress?.();
    if (progress?.total) this.#bar.update(progress.done, progress.total);
  };

  failures(): { code: string; message: string }[] {
    const stalled = new Map([...this.#stalled.values()].map(({ code, message }) => [code, message]));
    return [...new Map([...stalled, ...this.#failures])].map(([code, message]) => ({ code, message }));
  }

  /** What is said of it is a separate report. */
  stalled = (name: string, error: OperatingError | null): void => {
    const was_stalled = error === null && this.#stalled.delete(name);
    if (error !== null) this.#stalled.set(name, error);
    else if (was_stalled) this.#output.say(`${time()} ${name} resumed`);
  };

  /** An increment succeeded: what failed before works again. */
  succeeded = (): void => {
    this.#failures.clear();
    const failures = this.#failure_warnings.endAll();
    if (failures > 0)
      this.#output.say(
        `${time()} recovered after ${failures.toLocaleString("en")} failed ${failures === 1 ? "attempt" : "attempts"}`,
      );
  };

  built = ({ seconds, records, waiting }: Increment): void => {
    if (records === 0) return;
    this.#bar.end();
    const count = (of: number): string => `${of.toLocaleString("en")} ${of === 1 ? "record" : "records"}`;
    const rest = waiting === 0 ? "" : `; ${count(waiting)} still in the log`;
    this.#output.say(
      `${time()} gold updated: ${count(records).replace(" ", " new ")} in ${seconds.toFixed(1)} s${rest}`,
    );
  };

  tested = (result: CommandResult): void => {
    this.tests = result;
    this.#test_results?.record(result, systemClock.now_us());
    this.#bar.end();
    const [count, failed] = [testsOf(result).length, failedOf(result)];
    if (failed.length === 0) this.#output.say(`${time()} ${count} tests passed in ${result.seconds.toFixed(1)} s`);
    else this.#output.warn(`${failed.length} of ${count} tests failed: ${failed.map(({ name }) => name).join(", ")}`);
  };

  failed = (error: OperatingError): void => {
    this.#failures.set(error.code, error.message);
    this.#bar.end();
    this.#failure_warnings.warn(
      error.code,
      `${sentence(error.message)} ${error.next_step} ${style("dim", `[${error.code}]`)}`,
    );
  };

  /** Once for each table and kind of failure: the pipeline goes on, and the next pass tries again. */
  maintenanceFailed(table: string, error: OperatingError): void {
    const key = `${table} ${error.code}`;
    if (this.#maintenance_told.has(key)) return;
    this.#maintenance_told.add(key);
    this.#bar.end();
    this.#output.warn(
      `maintenance of ${table} failed: ${sentence(error.message)} ${error.next_step} ` +
        `${style("dim", `[${error.code}]`)}`,
    );
  }

  end(): void {
    this.#bar.end();
  }
}

/** What a warning is about, without the figures that differ each time. */
function causeOf(text: string): string {
  return text.replace(/\d+(?:[.,:]\d+)*/g, "#");
}

function time(): string {
  return style("dim", `${new Date().toISOString().slice(11, 19)}Z`);
}
