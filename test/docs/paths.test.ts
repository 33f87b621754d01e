import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { test } from "node:test";

const PAGES = globSync(["*.md", "{data-modeling,docs,examples,quality,requirements}/**/*.md"]).filter(
  (page) => page !== "CHANGELOG.md",
);
const FOLDERS =
  "airflow|bench|bin|dashboard|data-modeling|dbt_crypto|docker|docs|examples|" +
  "pipelines|producers|quality|requirements|src|streaming|test";

test("every path of the repository that a page names exists", () => {
  const named = PAGES.flatMap((page) =>
    [...readFileSync(page, "utf8").matchAll(new RegExp(`\`((?:${FOLDERS})/[\\w./-]*)\``, "g"))].map(
      ([, path = ""]) => ({ page, path }),
    ),
  );
  assert.ok(named.length > 100, `${named.length} paths on ${PAGES.length} pages`);
  const missing = named.filter(({ path }) => !existsSync(path)).map(({ page, path }) => `${page}: ${path}`);
  assert.deepEqual(missing, []);
});

test("the list of decisions has every record, and each record has its four sections", () => {
  const list = readFileSync("docs/decisions/README.md", "utf8");
  const records = globSync("docs/decisions/[0-9]*.md").map((file) => file.replaceAll("\\", "/"));
  assert.ok(records.length > 20);
  for (const record of records) {
    const text = readFileSync(record, "utf8");
    const title = /^# \d{4}\. (.+)$/m.exec(text)?.[1] ?? assert.fail(`${record} has no title`);
    assert.ok(list.includes(`](${record.split("/").at(-1)}) | ${title} |`), `${record} is not in the list`);
    const parts = [...text.matchAll(/^## (.+)$/gm)].map(([, part]) => part);
    assert.deepEqual(parts, ["Context", "Decision", "Consequences", "Code"], record);
  }
});
