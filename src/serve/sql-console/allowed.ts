import type { ErrorCode } from "../../base/error-codes.ts";
import { OperatingError } from "../../base/errors.ts";

/**
 * Checks which statements the SQL console runs. DuckDB serialises the statement's syntax tree (json_serialize_sql),
 * which it can do for queries only: statements that modify, attach, copy, set or load have none. In the tree, every
 * table must belong to the lake and every table function must be on a list; some other functions are forbidden. The
 * engine's own lock is a second barrier.
 */
const SCHEMAS = new Set(["bronze", "silver", "gold", "live", "information_schema"]);

const TABLE_FUNCTIONS = new Set([
  "range",
  "generate_series",
  "unnest",
  "repeat",
  "repeat_row",
  "json_each",
  "json_tree",
  "histogram",
  "histogram_values",
  "summary",
  "duckdb_tables",
  "duckdb_columns",
  "duckdb_functions",
  "duckdb_types",
  "duckdb_keywords",
  "pg_timezone_names",
  "icu_calendar_names",
]);

/** Functions that reveal the machine, keep state, wait, or run unchecked SQL. */
const FORBIDDEN_FUNCTIONS = new Set([
  "getenv",
  "current_setting",
  "getvariable",
  "set_config",
  "nextval",
  "currval",
  "setseed",
  "sleep_ms",
  "pg_sleep",
  "write_log",
  "json_execute_serialized_sql",
  "json_serialize_plan",
  "query",
  "query_table",
  "pg_read_file",
  "parse_duckdb_log_message",
]);

/** Names in the tree of `show tables` and `show all tables`. */
const SHOWN = new Set(["", '"tables"', "__show_tables_expanded"]);

type Tree = Readonly<Record<string, unknown>>;

/** The result of json_serialize_sql. */
export interface ParsedSql {
  error: boolean;
  error_type?: string;
  error_message?: string;
  position?: string;
  statements?: Tree[];
}

export class StatementError extends OperatingError {
  /** Byte offset in the statement; null if unknown. */
  readonly byte_position: number | null;

  constructor(message: string, byte_position: number | null, code: ErrorCode = "SQL_NOT_ALLOWED") {
    super(code, message, {
      next_step:
        "Write one SELECT (or EXPLAIN, DESCRIBE, SUMMARIZE, SHOW TABLES) over bronze, silver, gold or live; " +
        "GET /api/sql/schema lists their tables.",
    });
    this.byte_position = byte_position;
  }
}

/** Nested comments and unusual line endings do not match: the whole statement is then parsed without a split. */
const EXPLAIN = /^(?:\s|--[^\r\n]*[\r\n]|\/\*(?:(?!\/\*|\*\/)[\s\S])*\*\/)*explain\s+(analyze\s+)?/i;

/**
 * Splits off `EXPLAIN [ANALYZE]` with the comments before it: the parser serialises no tree for it, so only the rest is
 * checked. Only `explain` and `query` are run, never `prefix`, because the engine may parse the prefix differently.
 */
export function withoutExplain(sql: string): {
  query: string;
  prefix: string;
  explain: "" | "EXPLAIN " | "EXPLAIN ANALYZE ";
} {
  const [prefix, analyze] = EXPLAIN.exec(sql) ?? [""];
  return {
    query: sql.slice(prefix.length),
    prefix,
    explain: prefix === "" ? "" : analyze === undefined ? "EXPLAIN " : "EXPLAIN ANALYZE ",
  };
}

/** Throws SQL_NOT_ALLOWED, or INVALID_SQL if the statement does not parse. Pure. */
export function checkParsed(parsed: ParsedSql): void {
  if (parsed.error) {
    const position = parsed.position === undefined ? null : Number(parsed.position);
    if (parsed.error_type === "parser")
      throw new StatementError(parsed.error_message ?? "The statement does not parse", position, "INVALID_SQL");
    throw new StatementError("Only queries are allowed: the console is read-only", null);
  }
  const [statement, ...others] = parsed.statements ?? [];
  if (statement === undefined) throw new StatementError("The query is empty", null, "INVALID_SQL");
  if (others.length > 0)
    throw new StatementError(`Only one statement per query is allowed; got ${others.length + 1}`, null);
  const names = new Set<string>();
  visit(statement, (node) => collectNames(node, names));
  visit(statement, (node) => checkNode(node, names));
}

/** Visits all nodes; iterative, because a statement may be nested deeper than JavaScript's stack. */
function visit(root: Tree, look: (node: Tree) => void): void {
  const waiting: unknown[] = [root];
  while (waiting.length > 0) {
    const node = waiting.pop();
    if (typeof node !== "object" || node === null) continue;
    if (!Array.isArray(node)) look(node as Tree);
    waiting.push(...Object.values(node));
  }
}

/** Collects the names defined by `with` anywhere in the statement; they may be used as tables. */
function collectNames(node: Tree, names: Set<string>): void {
  const map = (node["cte_map"] as { map?: unknown } | undefined)?.map;
  if (!Array.isArray(map)) return;
  for (const { key } of map as { key?: unknown }[]) if (typeof key === "string") names.add(key.toLowerCase());
}

function checkNode(node: Tree, names: ReadonlySet<string>): void {
  const { type, table_name, function_name } = node;
  if (type === "SHOW_REF") {
    if (!SHOWN.has(String(table_name)))
      throw new StatementError(`SHOW ${String(table_name)} is not allowed in the console`, positionOf(node));
  } else if (typeof table_name === "string" && table_name !== "") checkTable(node, table_name, names);
  if (type === "TABLE_FUNCTION") checkTableFunction(node);
  if (typeof function_name === "string" && FORBIDDEN_FUNCTIONS.has(function_name.toLowerCase())) {
    throw new StatementError(`The function ${function_name} is not allowed in the console`, positionOf(node));
  }
}

function checkTable(node: Tree, table: string, names: ReadonlySet<string>): void {
  const schema = String(node["schema_name"] ?? "").toLowerCase();
  const catalog = String(node["catalog_name"] ?? "");
  if (catalog !== "")
    throw new StatementError(`Unknown catalog ${catalog}: tables are named layer.table`, positionOf(node));
  const is_known = schema === "" ? names.has(table.toLowerCase()) : SCHEMAS.has(schema);
  if (is_known) return;
  const name = schema === "" ? table : `${schema}.${table}`;
  throw new StatementError(
    `There is no table ${name}: tables are named layer.table, with the layers bronze, silver, gold and live`,
    positionOf(node),
  );
}

function checkTableFunction(node: Tree): void {
  const called = node["function"] as Tree | undefined;
  const name = String(called?.["function_name"] ?? "").toLowerCase();
  if (!TABLE_FUNCTIONS.has(name))
    throw new StatementError(`The table function ${name} is not allowed in the console`, positionOf(node));
}

/** The parser uses the highest number for an unknown position. */
function positionOf(node: Tree): number | null {
  const location = node["query_location"];
  return typeof location === "number" && location < 1e9 ? location : null;
}
