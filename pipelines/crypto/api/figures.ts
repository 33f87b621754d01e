import { trimDecimal } from "../../../src/pipeline/decimal-text.ts";

/** Converts DuckDB's decimal text to the API's. */

export function decimalOrNull(text: string | null | undefined): string | null {
  return text == null ? null : trimDecimal(text);
}

export function numberOrNull(text: string | null | undefined): number | null {
  return text == null ? null : Number(text);
}

/** `2023-03-14 02:10:00.123+00` → `2023-03-14T02:10:00.123Z`. */
export function time(text: string): string {
  return `${text.slice(0, 19).replace(" ", "T")}${text.slice(19).replace(/\+00(:00)?$|Z$/, "")}Z`;
}

export function timeOrNull(text: string | null | undefined): string | null {
  return text == null ? null : time(text);
}

/** Whether `a` is before `b` by value. Decimals are compared as text, so no value is rounded. */
export function compareDecimals(a: string, b: string): number {
  const [left, right] = [unscaled(a), unscaled(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Maximum decimal places of a column. */
const SCALE = 24;

function unscaled(text: string): bigint {
  const [whole = "0", fraction = ""] = text.replace("-", "").split(".");
  const digits = BigInt(whole + fraction.slice(0, SCALE).padEnd(SCALE, "0"));
  return text.startsWith("-") ? -digits : digits;
}

export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
