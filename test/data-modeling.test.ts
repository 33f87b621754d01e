import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readColumns, readTables } from "../data-modeling/columns.ts";
import { parseDiagram } from "../data-modeling/diagrams/draw.ts";
import { crypto } from "../pipelines/crypto.ts";
import { projectFolder } from "../src/lake/tools.ts";

const modeling = join(projectFolder(), "data-modeling");
const models = join(projectFolder(), "dbt_crypto", "models");
const seeds = join(projectFolder(), "dbt_crypto", "seeds");

const described = readTables(join(projectFolder(), "dbt_crypto"));

test("a seed's YAML describes the columns of its file", () => {
  for (const file of readdirSync(seeds).filter((name) => name.endsWith(".csv"))) {
    const [table, columns] = readColumns(join(seeds, file.replace(".csv", ".yml")));
    assert.equal(`${table}.csv`, file);
    const [header = ""] = readFileSync(join(seeds, file), "utf8").split("\n");
    assert.deepEqual(
      columns.map(({ name }) => name),
      header.split(","),
    );
  }
});

test("a conflict is decided by the same values in SQL and in the pipeline's definition", () => {
  const sql = readFileSync(join(models, "silver", "crypto_price_duplicates.sql"), "utf8");
  const values = [...(/set values = \[(.*?)\]/.exec(sql)?.[1] ?? "").matchAll(/'(\w+)'/g)].map(([, value]) => value);
  assert.deepEqual([...crypto.reconciliation.compared].sort(), ["price_at", ...values].sort());
});

test("every model has its YAML beside it", () => {
  for (const layer of ["staging", "silver", "gold"]) {
    const files = readdirSync(join(models, layer));
    for (const file of files.filter((name) => name.endsWith(".sql")))
      assert.ok(files.includes(file.replace(".sql", ".yml")), `${layer}/${file}`);
  }
});

test("schema-design.md lists the rejection reasons of the YAML in its order, and the SQL gives each of them", () => {
  const sql = readFileSync(join(models, "staging", "stg_crypto__elements.sql"), "utf8");
  const judged = [...sql.matchAll(/(?:then|else) '(\w+)'/g)].map(([, reason]) => reason);
  const yaml = readFileSync(join(models, "silver", "crypto_prices_rejected.yml"), "utf8");
  const accepted = [...(yaml.split("  values:\n")[1]?.split("- name:")[0] ?? "").matchAll(/- (\w+)$/gm)].map(
    ([, reason]) => reason,
  );
  const text = readFileSync(join(modeling, "schema-design.md"), "utf8");
  const listed = [
    ...(text.split("### Rejection reasons")[1]?.split("\n## ")[0] ?? "").matchAll(/^\| `(\w+)` \|/gm),
  ].map(([, reason]) => reason);
  assert.deepEqual(listed, accepted);
  assert.deepEqual([...new Set(judged)].filter((reason) => accepted.includes(reason)).sort(), [...accepted].sort());
});

test("the diagram shows the lake's tables with their columns", () => {
  const { columns } = parseDiagram(readFileSync(join(modeling, "diagrams", "erd.mmd"), "utf8"));
  const drawn = new Map(
    columns.flatMap(({ entities }) => entities).map((entity) => [entity.name, entity.columns.map(({ name }) => name)]),
  );
  const expected = new Map(
    [...described]
      .filter(([table]) => table !== "stg_crypto__elements")
      .map(([table, list]) => [table, list.map(({ name }) => name)]),
  );
  assert.deepEqual(drawn, expected);
});
