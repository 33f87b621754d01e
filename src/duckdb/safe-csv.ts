import { quoteText } from "./sql.ts";

/**
 * CSV that spreadsheets open as data: text that starts like a formula is prefixed with an apostrophe. Numbers stay
 * unchanged, also in text columns: -5.2 is no formula.
 */

const FORMULA = "^[=+\\-@\\t\\r\\n＝＋－＠]";
const NUMBER = "[+-]?(\\d+(\\.\\d*)?|\\.\\d+)([eE][+-]?\\d+)?";
const NUMBER_TYPE = /U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|DOUBLE|FLOAT|DECIMAL\(\d+,\d+\)/;
const TIME_TYPE = /DATE|TIME|TIMESTAMP(?:_S|_MS|_NS)?|TIME WITH TIME ZONE|TIMESTAMP WITH TIME ZONE/;
const NESTED_TYPE = /STRUCT\(.*\)|MAP\(.*\)|.*\[\d*\]/s;
/** Types whose text is never a formula. All other types may hold untrusted text. */
const SAFE_TYPES = new RegExp(
  `^(?:BOOLEAN|UUID|${NUMBER_TYPE.source}|${TIME_TYPE.source}|${NESTED_TYPE.source})$`,
  "s",
);

export interface CsvColumn {
  name: string;
  type: string;
}

/** The CSV text of a text value or a header. Pure. */
export function neutral(text: string): string {
  return new RegExp(FORMULA).test(text) && !new RegExp(`^${NUMBER}$`).test(text) ? `'${text}` : text;
}

/** The CSV text of a value in DuckDB's text form, by the same rule as `safeSelect`. Pure. */
export function csvValue(text: string, type: string): string {
  return SAFE_TYPES.test(type) ? text : neutral(text);
}

/**
 * A query over `query(…)` with the same rows, in which no header and no text is a formula. The inner query is a
 * literal.
 */
export function safeSelect(sql: string, columns: readonly CsvColumn[]): string {
  const names = columns.map((_, index) => `c${index}`);
  const chosen = columns.map(({ name, type }, index) => `${valueOf(`c${index}`, type)} AS ${quoteName(neutral(name))}`);
  return `SELECT ${chosen.join(", ")} FROM (FROM query(${quoteText(sql)})) AS t(${names.join(", ")})`;
}

function valueOf(column: string, type: string): string {
  if (SAFE_TYPES.test(type)) return column;
  const text = `CAST(${column} AS VARCHAR)`;
  const is_number = `regexp_full_match(${text}, ${quoteText(NUMBER)})`;
  const is_formula = `regexp_matches(${text}, ${quoteText(FORMULA)}) AND NOT ${is_number}`;
  return `CASE WHEN ${is_formula} THEN '''' || ${text} ELSE ${text} END`;
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
