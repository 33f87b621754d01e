import { trimDecimal } from "../pipeline/decimal-text.ts";
import type { Column } from "../pipeline/definition.ts";

export const MISSING = "–";

const INTEGER_GROUPS = /\B(?=(\d{3})+(?!\d))/g;

/**
 * Formats a number printed by DuckDB: thousands separators, no trailing zeros, no exponent, rounded to `decimals` where
 * given. Works on the text, so that no price passes through floating point.
 */
export function formatDecimal(text: string, decimals: number | null = null): string {
  const plain = /e/i.test(text) ? Number(text).toFixed(12) : text;
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(plain);
  if (!match) return text;
  const [, sign = "", whole = "", fraction = ""] = match;
  if (decimals !== null && fraction.length > decimals) {
    const scaled = BigInt(whole + fraction.slice(0, decimals)) + (Number(fraction[decimals]) >= 5 ? 1n : 0n);
    const digits = String(scaled).padStart(decimals + 1, "0");
    const cut = digits.length - decimals;
    return formatDecimal(`${sign}${digits.slice(0, cut)}${decimals > 0 ? `.${digits.slice(cut)}` : ""}`);
  }
  const tail = fraction.replace(/0+$/, "");
  const shown_sign = /[1-9]/.test(whole + tail) ? sign : "";
  return `${shown_sign}${whole.replace(INTEGER_GROUPS, ",")}${tail ? `.${tail}` : ""}`;
}

/**
 * `2023-03-14 02:10:00.123Z` from DuckDB's `2023-03-14 02:10:00.123+00` or from ISO 8601; the fraction only where there
 * is one.
 */
export function formatTime(text: string): string {
  return text
    .replace("T", " ")
    .replace(/\+00(:00)?$|Z$/, "")
    .replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "")
    .concat("Z");
}

export function formatCell(value: string | null, kind: Column["kind"]): string {
  if (value === null) return MISSING;
  switch (kind) {
    case "price":
    case "count":
      return formatDecimal(value);
    case "amount":
      return formatDecimal(value, 0);
    case "figure":
      return formatDecimal(value, 4);
    case "percent": {
      const figure = formatDecimal(value, 2);
      if (figure === "0") return figure;
      return figure.startsWith("-") ? `▼ ${figure}` : `▲ +${figure}`;
    }
    case "time":
      return formatTime(value);
    case "decimal":
      return trimDecimal(value);
    case "plain":
      return value;
    case "text":
      return escapeControls(value);
  }
}

/** An age in its two largest units: 12 s, 3 min, 2 h 5 min, 3 d 4 h. */
export function formatAge(age_ms: number): string {
  const minutes = Math.floor(age_ms / 60_000);
  if (minutes < 1) return `${Math.max(0, Math.floor(age_ms / 1000))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24).toLocaleString("en")} d ${hours % 24} h`;
}

// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Replaces control characters, which a payload may contain, by their codes. */
export function escapeControls(text: string): string {
  return text.replace(CONTROLS, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Aligned columns without a box, for tables that must fit a narrow terminal: numbers right, text left. */
export function alignColumns(rows: readonly (readonly string[])[], kinds: readonly Column["kind"][]): string[] {
  const widths = kinds.map((_, column) => rows.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), 0));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        isText(kinds[column]) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

export function isText(kind: Column["kind"] | undefined): boolean {
  return kind === "text" || kind === "time";
}

/** Column definitions for the result of any query: numbers align right and keep all significant digits. */
export function columnsOf(columns: readonly { name: string; type: string }[]): Column[] {
  return columns.map(({ name, type }) => ({ name, header: name, kind: kindOf(type) }));
}

function kindOf(type: string): Column["kind"] {
  if (type.startsWith("DECIMAL")) return "decimal";
  if (/^(DOUBLE|FLOAT|U?(TINY|SMALL|BIG|HUGE)?INT)/.test(type)) return "plain";
  if (type.startsWith("TIMESTAMP WITH")) return "time";
  return "text";
}
