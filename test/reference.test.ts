import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { referencePages } from "../docs/generate.ts";
import { SETTINGS, SOURCE_SETTINGS } from "../src/base/settings.ts";

const DECLARATION = "src/base/settings.ts";
const CODE = ["src/**/*.ts", "producers/**/*.ts", "pipelines/**/*.ts", "streaming/**/*.ts", "bench/**/*.ts"];
const OTHERS = [".env.example", "docker-compose.yml", "airflow/**/*.py", "dbt_crypto/**/*.{yml,sql}", "src/**/*.xml"];

test("the generated reference pages are up to date: npm run -s docs", () => {
  for (const [path, text] of Object.entries(referencePages())) assert.equal(readFileSync(path, "utf8"), text, path);
});

test("only src/base/settings.ts reads COINLAKE_ variables from an environment", () => {
  const read =
    /\benv(?:ironment)?\s*(?:\?\.|\.|\[\s*["'`])COINLAKE_|\bCOINLAKE_\w+\s*(?::\s*\w+)?[^"'`{}\n]*\}\s*=\s*\S*env/i;
  const files = globSync(CODE).filter((file) => file.replaceAll("\\", "/") !== DECLARATION);
  assert.ok(files.length > 400);
  assert.deepEqual(
    files.filter((file) => read.test(readFileSync(file, "utf8"))),
    [],
  );
});

test("every COINLAKE_ variable that a file names is declared", () => {
  const source = new RegExp(`^COINLAKE_[A-Z]+_(?:${Object.keys(SOURCE_SETTINGS).join("|")})$`);
  const named = new Set(
    globSync([...CODE, ...OTHERS]).flatMap((file) => [
      ...new Set(readFileSync(file, "utf8").match(/\bCOINLAKE_[A-Z0-9_]*[A-Z0-9]\b(?!_)/g)),
    ]),
  );
  assert.ok(named.size > 30);
  assert.deepEqual(
    [...named].filter((name) => !Object.hasOwn(SETTINGS, name) && !source.test(name)),
    [],
  );
});
