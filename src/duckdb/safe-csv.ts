import { quoteText } from "./sql.ts";

/**
 * CSV that a spreadsheet opens as data: text that begins as a formula does is written behind an apostrophe. Numbers stay numbers, those
 * in text too: -5.2 is no formula.
 */

const FORMULA = "^[=+\\-@\\t\\r\\n＝＋－＠]";
const NUMBER = "[+-]?(\\d+(\\.\\d*)?|\\.\\d+)([eE][+-]?\\d+)?";
/** Types whose text is never a formula. Anything else may hold text of strangers. */
const SAFE_TYPES =
  /^(?:U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|BOOLEAN|DOUBLE|FLOAT|DECIMAL\(\d+,\d+\)|DATE|TIME|TIMESTAMP(?:_S|_MS|_NS)?|TIME WITH TIME ZONE|TIMESTAMP WITH TIME ZONE|UUID|STRUCT\(.*\)|MAP\(.*\)|.*\[\d*\])$/s;

export interface CsvColumn {
  name: string;
  type: string;
}

/** Pure: how a text or a header is written. */
export function neutral(text: string): string {
  return new RegExp(FORMULA).test(text) && !new RegExp(`^${NUMBER}$`).test(text) ? `'${text}` : text;
}

/** Pure: how a value is written, as DuckDB prints it. The same rule as in `safeSelect`. */
export function csvValue(text: string, type: string): string {
  return SAFE_TYPES.test(type) ? text : neutral(text);
}

/** A query over `query(…)` of the same rows, in which no header and no text is a formula. The query is a literal. */
export function safeSelect(sql: string, columns: readonly CsvColumn[]): string {
  const names = columns.map((_, index) => `c${index}`);
  const chosen = columns.map(({ name, type }, index) => `${valueOf(`c${index}`, type)} AS ${quoteName(neutral(name))}`);
  return `SELECT ${chosen.join(", ")} FROM (FROM query(${quoteText(sql)})) AS t(${names.join(", ")})`;
}

function valueOf(column: string, type: string): string {
  if (SAFE_TYPES.test(type)) return column;
  const text = `CAST(${column} AS VARCHAR)`;
  const is_formula = `regexp_matches(${text}, ${quoteText(FORMULA)}) AND NOT regexp_full_match(${text}, ${quoteText(NUMBER)})`;
  return `CASE WHEN ${is_formula} THEN '''' || ${text} ELSE ${text} END`;
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
