import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import type { Question, TableNaming } from "../../src/pipeline/definition.ts";

/** What the exposures of models/_exposures.yml depend on, sorted, by their names. */
function exposures(): Map<string, { label: string; models: string[] }> {
  const text = readFileSync(join(projectFolder(), crypto.transform.project, "models", "_exposures.yml"), "utf8");
  return new Map(
    text
      .split(/^ {2}- name: /m)
      .slice(1)
      .map((section) => [
        /^\w+/.exec(section)?.[0] ?? "",
        {
          label: /^ {4}label: (.+)$/m.exec(section)?.[1] ?? "",
          models: [...section.matchAll(/- ref\('(\w+)'\)/g)].map(([, model = ""]) => model).sort(),
        },
      ]),
  );
}

/** Names of tables in text, without their layers. */
function tablesIn(text: string): string[] {
  return [...text.matchAll(/\b(?:silver|gold|live)\.(\w+)/g)].map(([, table = ""]) => table);
}

function modelsReadBy({ options, parts }: Question): string[] {
  const values = Object.fromEntries(
    Object.entries(options).map(([name, option]) => [name, option.default ?? "bitcoin"]),
  );
  const over: TableNaming[] = [(table) => table, (table) => `live.${table.split(".")[1]}`];
  const texts = over.flatMap((table) => parts.map(({ sql }) => sql({ as_of: "now()", table, values })));
  return [...new Set(texts.flatMap(tablesIn))].sort();
}

test("the exposure of each question has its title, and depends on the tables that its SQL reads", () => {
  const documented = [...exposures()].filter(([name]) => name.startsWith("question_"));
  assert.deepEqual(
    documented.map(([name, { label, models }]) => ({ number: Number(name.split("_")[1]), title: label, models })),
    crypto.questions.map((question) => ({
      number: question.number,
      title: question.title,
      models: modelsReadBy(question),
    })),
  );
});

test("the dashboard's exposure depends on the tables that its API reads", () => {
  const api = globSync("pipelines/crypto/{api/*,coin-names}.ts", { cwd: projectFolder() })
    .map((file) => readFileSync(join(projectFolder(), file), "utf8"))
    .flatMap(tablesIn);
  const { accepted, duplicates, rejected } = crypto.reconciliation;
  const models = new Set([
    ...crypto.questions.flatMap(modelsReadBy),
    ...api,
    ...[accepted, duplicates, rejected].flatMap(tablesIn),
  ]);
  assert.deepEqual(exposures().get("dashboard")?.models, [...models].sort());
});
