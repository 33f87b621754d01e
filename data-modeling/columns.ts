import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The columns of every table, which the dbt project's YAML documents, and their tables in schema-design.md. */

export interface Column {
  name: string;
  type: string;
  description: string;
  /** The column, field or setting that it is computed from, in words. */
  source: string;
}

const BLOCK = /^<!-- columns of (\w+):.*-->$[^]*?^<!-- end of columns -->$/gm;
const DESCRIPTION = /description: (?:>\n((?: {10,}.+\n)+)|(.+)\n)/;
const COLUMN = new RegExp(
  String.raw`^name: (\w+)\n +data_type: (.+)\n +${DESCRIPTION.source} +config: {meta: {source: "(.+)"}}\n`,
);

/** The columns of all models, sources and seeds of the dbt project, by table. */
export function readTables(dbt_project_folder: string): Map<string, readonly Column[]> {
  const files = globSync(["models/*/*.yml", "seeds/*.yml"], { cwd: dbt_project_folder });
  return new Map(files.sort().map((file) => readColumns(join(dbt_project_folder, file))));
}

/**
 * Reads one file in this project's layout: one table a file, and for each column its name, type, description and
 * source in this order. Throws where a column lacks one of them.
 */
export function readColumns(path: string): [table: string, columns: readonly Column[]] {
  const text = readFileSync(path, "utf8").split("\nunit_tests:")[0] ?? "";
  const table = /(?:models|tables|seeds):\n\s+- name: (\w+)/.exec(text)?.[1] ?? assert.fail(`${path} names no table`);
  const [, indent = "", list = ""] =
    /\n( *)columns:\n((?:(?:\1 .*)?\n)+)$/.exec(`${text}\n`) ?? assert.fail(`${path} has no columns`);
  const columns = list.split(new RegExp(`^${indent}  - `, "m")).slice(1);
  return [table, columns.map((column) => readColumn(path, column))];
}

function readColumn(path: string, text: string): Column {
  const parts = COLUMN.exec(text);
  assert.ok(parts, `${path}: a column needs data_type, description and config.meta.source:\n${text}`);
  const [, name = "", type = "", folded, plain = "", source = ""] = parts;
  return { name, type, description: (folded ?? plain).trim().replaceAll(/\s+/g, " "), source };
}

/** Replaces the column tables of a page. Throws unless it has one for each table, and no others. */
export function withColumns(page: string, tables: ReadonlyMap<string, readonly Column[]>): string {
  const documented: string[] = [];
  const text = page.replaceAll(BLOCK, (_block, table: string) => {
    documented.push(table);
    return columnsBlock(table, tables.get(table) ?? assert.fail(`no YAML describes the table ${table}`));
  });
  assert.deepEqual(documented.toSorted(), [...tables.keys()].toSorted(), "each table has one block of columns");
  return text;
}

function columnsBlock(table: string, columns: readonly Column[]): string {
  return [
    `<!-- columns of ${table}: generated from its YAML in dbt_crypto/ by \`npm run -s docs\` -->`,
    "",
    "| column | type | meaning and unit | source |",
    "| --- | --- | --- | --- |",
    ...columns.map(({ name, type, description, source }) => `| \`${name}\` | ${type} | ${description} | ${source} |`),
    "",
    "<!-- end of columns -->",
  ].join("\n");
}
