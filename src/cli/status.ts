import { explain, sentence } from "../base/explain.ts";
import { systemClock } from "../base/clock.ts";
import { isDiskFull, isDiskFullCode } from "../base/disk-full.ts";
import type { OperatingError } from "../base/errors.ts";
import type { Producer, SourceReport } from "../producer/producer.ts";
import { failedOf, testsOf } from "../transform/test-results.ts";
import type { CommandResult } from "../transform/worker.ts";
import type { Increment } from "../runtime/build-progress.ts";
import type { PipelineReporter } from "../runtime/reporter.ts";
import { progressBar, style, type Output } from "./output.ts";
import { RepeatedWarnings } from "./repeated.ts";

/**
 * Prints the events of a running pipeline: a progress bar where the end is known, and one line for each event that
 * matters.
 */
export class Status implements PipelineReporter {
  readonly #output: Output;
  readonly #producers: readonly Producer[];
  readonly #onCaughtUp: () => void;
  readonly #bar: ReturnType<typeof progressBar>;
  readonly #source_warnings: RepeatedWarnings;
  readonly #failure_warnings: RepeatedWarnings;
  /** A full disk fails the log, ingest, builds and alerts at once: one cause, so one warning. */
  readonly #disk_warnings: RepeatedWarnings;
  #records = 0;
  /** Names of sources, and "ingest", that are stalled. */
  readonly #stalled = new Set<string>();
  readonly #reported_maintenance = new Set<string>();

  constructor(output: Output, producers: readonly Producer[], onCaughtUp: () => void = () => {}) {
    this.#output = output;
    // Lines of another pipeline would be written into the bar.
    this.#bar = output.name === null ? progressBar("source → log") : { update() {}, end() {} };
    this.#producers = producers;
    this.#onCaughtUp = onCaughtUp;
    this.#source_warnings = new RepeatedWarnings(systemClock, output.warn);
    this.#failure_warnings = new RepeatedWarnings(systemClock, output.warn);
    this.#disk_warnings = new RepeatedWarnings(systemClock, output.warn);
  }

  preparing = (message: string): void => {
    this.#output.say(message);
  };

  serving = (url: string): void => {
    this.#output.say(`  dashboard        ${style("bold", url)}`);
  };

  warned = (message: string): void => {
    this.#output.warn(message);
  };

  reported = (report: SourceReport): void => {
    this.#bar.end();
    const text = report.message;
    if (report.level === "info") this.#output.say(`${time()} ${text}`);
    else if (isDiskFullCode(report.code)) this.#warnOfFullDisk(text, report.code);
    else this.#source_warnings.warn(`${report.code} ${causeOf(text)}`, `${text} ${style("dim", `[${report.code}]`)}`);
  };

  appended = (records: number): void => {
    if (this.#records === 0) this.#output.say(`${time()} first records are in the log; starting dbt`);
    this.#records += records;
    // Only a recording knows its end, and a recording is always the only source.
    const progress = this.#producers[0]?.progress?.();
    if (progress?.total) this.#bar.update(progress.done, progress.total);
  };

  /** The source reports its error separately; only the end of the wait is printed here. */
  stalled = (name: string, error: OperatingError | null): void => {
    if (error !== null) this.#stalled.add(name);
    else if (this.#stalled.delete(name)) {
      this.#output.say(`${time()} ${name} resumed`);
      this.#endFullDisk();
    }
  };

  recovered = (): void => {
    this.#endFullDisk();
    const failures = this.#failure_warnings.endAll();
    if (failures > 0)
      this.#output.say(
        `${time()} recovered after ${failures.toLocaleString("en")} failed ${failures === 1 ? "attempt" : "attempts"}`,
      );
  };

  caughtUp = (): void => {
    this.#onCaughtUp();
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
    this.#bar.end();
    const [count, failed] = [testsOf(result).length, failedOf(result)];
    if (failed.length === 0) this.#output.say(`${time()} ${count} tests passed in ${result.seconds.toFixed(1)} s`);
    else this.#output.warn(`${failed.length} of ${count} tests failed: ${failed.map(({ name }) => name).join(", ")}`);
  };

  failed = (error: OperatingError): void => {
    this.#bar.end();
    if (isDiskFull(error)) this.#warnOfFullDisk(error.message, error.code);
    else this.#failure_warnings.warn(error.code, `${explain(error)} ${style("dim", `[${error.code}]`)}`);
  };

  /** Prints a failure once for each table and error code. */
  maintenanceFailed = (table: string, error: OperatingError): void => {
    const key = `${table} ${error.code}`;
    if (this.#reported_maintenance.has(key)) return;
    this.#reported_maintenance.add(key);
    this.#bar.end();
    this.#output.warn(`maintenance of ${table} failed: ${explain(error)} ${style("dim", `[${error.code}]`)}`);
  };

  #warnOfFullDisk(text: string, code: string): void {
    const first_line = sentence(text.split("\n", 1)[0] ?? text);
    this.#disk_warnings.warn(
      "full disk",
      `the disk is full, so this pipeline waits: ${first_line} ${style("dim", `[${code}]`)}\n` +
        `  ${style("bold", "next:")} free disk space; everything stored is kept, ` +
        "and the pipeline then continues by itself",
    );
  }

  /** The log, ingest and builds recover one after the other. */
  #endFullDisk(): void {
    if (this.#stalled.size > 0) return;
    const failures = this.#disk_warnings.endAll();
    if (failures > 0) this.#output.say(`${time()} the disk has space again: the pipeline continues`);
  }

  end(): void {
    this.#bar.end();
  }
}

/** The text of a warning without its figures, which differ each time. */
function causeOf(text: string): string {
  return text.replace(/\d+(?:[.,:]\d+)*/g, "#");
}

function time(): string {
  return style("dim", `${new Date().toISOString().slice(11, 19)}Z`);
}
