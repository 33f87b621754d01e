import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { QuerySession } from "../../src/duckdb/session.ts";
import { pythonExecutable, toolsFolder } from "../../src/lake/tools.ts";

/** A table at its current snapshot or at a given one. */
export type Place = readonly [table: string, snapshot_id: string | null];

/** A reader's result for a table; columns as [name, type], with DuckDB's type names. */
export interface Found {
  columns: [string, string][];
  rows: number;
  /** Checksum of all values of all rows, in any order; read_tables.py defines it. */
  checksum: string;
}

const SCRIPT = fileURLToPath(new URL("read_tables.py", import.meta.url));

/** DuckDB's names of Iceberg's types, except decimals. */
const DUCKDB_TYPES: Readonly<Record<string, string>> = {
  string: "VARCHAR",
  int: "INTEGER",
  long: "BIGINT",
  boolean: "BOOLEAN",
  date: "DATE",
  timestamptz: "TIMESTAMP WITH TIME ZONE",
  binary: "BLOB",
};

/**
 * Asserts that PyIceberg, DuckDB in Python and Coinlake's session read the same columns, types and values at each
 * snapshot. Returns them.
 */
export async function assertReadersAgree(
  session: QuerySession,
  url: string,
  places: readonly Place[],
): Promise<Found[]> {
  const stdout = await python([SCRIPT, url, join(toolsFolder(), "duckdb")], JSON.stringify(places));
  const reports = JSON.parse(stdout) as { pyiceberg: Found; duckdb: Found }[];
  const found: Found[] = [];
  for (const [index, [table, snapshot_id]] of places.entries()) {
    const ours = await read(session, table, snapshot_id);
    const report = reports[index];
    const pyiceberg = report && {
      ...report.pyiceberg,
      columns: report.pyiceberg.columns.map(([name, type]) => [name, inDuckDBsWords(type)]),
    };
    assert.deepEqual(pyiceberg, ours, `PyIceberg on ${table} at ${snapshot_id ?? "head"}`);
    assert.deepEqual(report?.duckdb, ours, `DuckDB in Python on ${table} at ${snapshot_id ?? "head"}`);
    found.push(ours);
  }
  return found;
}

function inDuckDBsWords(iceberg_type: string): string {
  return DUCKDB_TYPES[iceberg_type] ?? iceberg_type.replace(", ", ",").toUpperCase();
}

/** Columns, rows and checksum read by Coinlake's session. */
export async function read(session: QuerySession, table: string, snapshot_id: string | null): Promise<Found> {
  const from = `lake.${table}${snapshot_id === null ? "" : ` at (version => ${snapshot_id})`}`;
  const { columns } = await session.query(`select * from ${from} limit 0`);
  const texts = columns.map(({ name, type }) => {
    if (type === "TIMESTAMP WITH TIME ZONE") return `epoch_us("${name}")::varchar`;
    return type === "BLOB" ? `lower(hex("${name}"))` : `"${name}"::varchar`;
  });
  const { rows } = await session.query(`select ${texts.join(", ")} from ${from}`);
  const digests = rows.map((row) => sha256(JSON.stringify(row))).sort();
  return {
    columns: columns.map(({ name, type }) => [name, type]),
    rows: rows.length,
    checksum: sha256(digests.join("")),
  };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Standard output of a Python program; rejects with its error output if it fails. */
export async function python(args: readonly string[], input = ""): Promise<string> {
  const child = spawn(pythonExecutable(), args, { stdio: ["pipe", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.end(input);
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`Python ended with ${String(code)}:\n${stderr}`);
  return stdout;
}
