/** Formats times and durations. Times are shown in UTC unless the viewer chooses local time. */

export type Zone = "utc" | "local";

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: Zone, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone}${JSON.stringify(options)}`;
  const known = formats.get(key);
  if (known) return known;
  // The Swedish locale formats dates like ISO 8601: 2026-03-14 02:10:00.
  const made = new Intl.DateTimeFormat("sv-SE", {
    ...options,
    hourCycle: "h23",
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  });
  formats.set(key, made);
  return made;
}

const DATE = { year: "numeric", month: "2-digit", day: "2-digit" } as const;
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit" } as const;

/** Parses DuckDB's `2026-03-14 02:10:00+00` and ISO 8601; NaN for other text. */
export function parseTime(text: string): number {
  return Date.parse(text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00"));
}

const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?))?$/;

/** Parses what a person typed: a date, which means midnight UTC, or ISO 8601 with a zone. NaN for other text. */
export function parseWrittenTime(text: string): number {
  const date = ISO.exec(text)?.[1];
  const is_date = date !== undefined && new Date(`${date}T00:00:00Z`).toJSON()?.startsWith(date);
  if (is_date !== true) return NaN;
  return text === date ? Date.parse(date) : parseTime(text);
}

/** Microseconds since 1970, for comparisons: `Date` has milliseconds only, and several trades may share one. */
export function parseMicros(text: string): number {
  const [, micros = ""] = /\.\d{3}(\d{1,3})/.exec(text) ?? [];
  return parseTime(text) * 1_000 + Number(micros.padEnd(3, "0"));
}

/** "UTC", or the viewer's offset at that time, such as "UTC+2". */
export function zoneName(zone: Zone, at_ms: number): string {
  if (zone === "utc") return "UTC";
  const offset_minutes = -new Date(at_ms).getTimezoneOffset();
  if (offset_minutes === 0) return "UTC+0";
  const hours = Math.trunc(Math.abs(offset_minutes) / 60);
  const minutes = Math.abs(offset_minutes) % 60;
  return `UTC${offset_minutes < 0 ? "−" : "+"}${hours}${minutes === 0 ? "" : `:${String(minutes).padStart(2, "0")}`}`;
}

export function formatClock(at_ms: number, zone: Zone): string {
  return formatOf(zone, TIME).format(at_ms);
}

export function formatMinute(at_ms: number, zone: Zone): string {
  return formatOf(zone, { hour: "2-digit", minute: "2-digit" }).format(at_ms);
}

export function formatDate(at_ms: number, zone: Zone): string {
  return formatOf(zone, DATE).format(at_ms);
}

/** Formats 14 Mar, for axes. */
export function formatDayMonth(at_ms: number, zone: Zone): string {
  return new Intl.DateTimeFormat("en-GB", {
    day: "numeric",
    month: "short",
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  }).format(at_ms);
}

export function formatMoment(at_ms: number, zone: Zone): string {
  return formatOf(zone, { ...DATE, ...TIME }).format(at_ms);
}

/** Formats the time, with the date unless it is today. */
export function formatNear(at_ms: number, now_ms: number, zone: Zone): string {
  return formatDate(at_ms, zone) === formatDate(now_ms, zone) ? formatClock(at_ms, zone) : formatMoment(at_ms, zone);
}

/** Formats an age in its one or two largest units: < 1 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function formatAge(age_ms: number): string {
  const seconds = Math.max(0, age_ms) / 1000;
  if (seconds < 1) return "< 1 s";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return days < 10 ? `${days} d ${hours % 24} h` : `${days} d`;
}

export function formatSeconds(seconds: number): string {
  if (seconds === 0) return "0 s";
  if (seconds < 1) return "< 1 s";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return formatAge(seconds * 1000);
}

/** Formats a duration in its largest whole unit: 30 minutes, 6 hours, 1 day. */
export function formatSpan(span_s: number): string {
  const [unit_s, unit] = (
    [
      [86_400, "day"],
      [3_600, "hour"],
      [60, "minute"],
    ] as const
  ).find(([size_s]) => span_s >= size_s && span_s % size_s === 0) ?? [1, "second"];
  const count = span_s / unit_s;
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

export function formatDuration(elapsed_ms: number): string {
  if (elapsed_ms < 1000) return `${elapsed_ms < 10 ? elapsed_ms.toFixed(1) : elapsed_ms.toFixed(0)} ms`;
  return `${(elapsed_ms / 1000).toFixed(2)} s`;
}
