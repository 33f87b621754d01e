import { OperatingError } from "../base/errors.ts";

/**
 * Times that are counts since 1970-01-01 00:00 UTC. Their unit shows in their magnitude: from 2009 to 2255 the counts
 * in seconds, milliseconds, microseconds and nanoseconds have 10, 13, 16 and 19 digits. dbt's `time_since_epoch` draws
 * the same lines.
 */
export type EpochUnit = "seconds" | "milliseconds" | "microseconds" | "nanoseconds";

/**
 * No cryptocurrency had a price before 2009. An earlier time has a wrong unit, or comes from a clock that was never
 * set.
 */
export const FIRST_TIME_US = Date.parse("2009-01-01T00:00:00Z") * 1000;

/** Later times in microseconds are not exact in a double. */
const LAST_TIME_US = Number.MAX_SAFE_INTEGER - 1_000_000;

export interface EpochTime {
  unit: EpochUnit;
  at_us: number;
}

/**
 * Parses a count, with decimals rounded to the microsecond; null for other text, and for times after 2255.
 */
export function epochTime(text: string): EpochTime | null {
  const [, whole, decimals = ""] = /^(\d{1,19})(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (whole === undefined) return null;
  const [unit, shift] = unitOf(whole);
  const digits = whole + decimals.padEnd(9, "0");
  const end = Math.max(0, whole.length + shift);
  const is_up = (digits[end] ?? "0") >= "5" && shift >= 0;
  const at_us = Number(digits.slice(0, end)) + (is_up ? 1 : 0);
  return at_us <= LAST_TIME_US ? { unit, at_us } : null;
}

/** The unit of a count, and the number of digits to add for microseconds. */
function unitOf(whole: string): [unit: EpochUnit, shift: number] {
  const length = whole.replace(/^0+/, "").length;
  if (length <= 11) return ["seconds", 6];
  if (length <= 14) return ["milliseconds", 3];
  return length <= 17 ? ["microseconds", 0] : ["nanoseconds", -3];
}

/** Checks that all times of one file have the same unit, and that none is before 2009. */
export class FileTimes {
  readonly #first = new Map<EpochUnit, { line: number; text: string }>();

  /** Throws TIME_OUT_OF_RANGE. */
  note(line: number, text: string, at_us: number, unit: EpochUnit | null): void {
    if (at_us < FIRST_TIME_US) throw tooEarly(line, text, at_us);
    if (unit !== null && !this.#first.has(unit)) this.#first.set(unit, { line, text });
  }

  /** Must be called after the last line. Throws TIME_UNITS_MIXED. */
  check(): void {
    if (this.#first.size <= 1) return;
    const lines = [...this.#first].map(([unit, { line, text }]) => `line ${line} counts ${unit} (${text})`);
    throw new OperatingError("TIME_UNITS_MIXED", `The file counts time in different units: ${lines.join(", ")}`, {
      next_step: "Convert all times of the file to one unit, such as milliseconds, and replay it again.",
    });
  }
}

function tooEarly(line: number, text: string, at_us: number): OperatingError {
  const day = new Date(at_us / 1000).toISOString().slice(0, 10);
  return new OperatingError(
    "TIME_OUT_OF_RANGE",
    `Line ${line} of the file holds the time "${text}", which is ${day}: no price is from before 2009`,
    {
      next_step:
        "Correct that line: times are counts of seconds, milliseconds, microseconds or nanoseconds since 1970, " +
        "or ISO 8601 where the format says so.",
    },
  );
}
