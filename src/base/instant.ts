import { OperatingError } from "./errors.ts";

/**
 * Times that people, clients and recordings write: ISO 8601. People may leave out the zone (UTC) and the time of day.
 */

/** What to write instead of an invalid time, as one imperative sentence. */
export const INSTANT_FORM = "Use ISO 8601, such as 2026-01-31T12:00:00Z; without a zone it is UTC.";

const SHOWN_CHARACTERS = 50;

/** Milliseconds since 1970 of a written time; microseconds are dropped. Throws INVALID_TIME. */
export function parseInstant_ms(text: string): number {
  return Math.floor(parseInstant_us(text) / 1000);
}

/** Microseconds since 1970 of a written time. Throws INVALID_TIME. */
export function parseInstant_us(text: string): number {
  const at_us = microsFromWritten(text);
  if (at_us !== null) return at_us;
  throw new OperatingError("INVALID_TIME", `Invalid time "${text.slice(0, SHOWN_CHARACTERS)}"`, {
    next_step: INSTANT_FORM,
  });
}

/** The same, or null: `2026-01-31`, `2026-01-31 12:00` and `2026-01-31T12:00:00` are UTC. */
export function microsFromWritten(text: string): number | null {
  const [date = "", time = "00:00"] = text.trim().split(/[T ]/, 2);
  return microsFromIso(`${date}T${/(?:Z|[+-]\d\d:\d\d)$/.test(time) ? time : `${time}Z`}`);
}

/**
 * Microseconds since 1970 of an ISO 8601 time with a zone, or null. Seconds may be absent, and have at most six
 * decimals. A day that its month does not have is rejected, not moved to the next month.
 */
export function microsFromIso(text: string): number | null {
  const parts = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?:(:\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (parts === null) return null;
  const [, date = "", minute = "", second = "", decimals = "", zone = ""] = parts;
  const second_ms = Date.parse(`${date}T${minute}${second}${zone}`);
  if (Number.isNaN(second_ms) || !isDate(date)) return null;
  return second_ms * 1000 + Number(decimals.padEnd(6, "0"));
}

/** Whether the text is a day of the calendar, `2026-01-31`. `Date.parse` takes 31 February for a day in March. */
export function isDate(text: string): boolean {
  const at_ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return !Number.isNaN(at_ms) && new Date(at_ms).toISOString().startsWith(text);
}
