import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";

/**
 * Words that hide who does what, and private metaphors: docs/glossary.md has the standard terms. A space matches any
 * white space, including the start of a comment line.
 */
const BANNED = [
  "anew",
  "as it is",
  "be there",
  "books",
  "carr(?:y|ies|ied|ying) on",
  "(?:go|goes|gone|going) on with",
  "heard",
  "in its turn",
  "is no (?:time|port|seed)",
  "is none that",
  "let it be",
  "mend(?:s|ed|ing)?",
  "of its own",
  "patience",
  "patiently",
  // Not where the system refused a connection, nor for former names in CHANGELOG.md.
  "(?<![`/]|connection (?:was )?)refus(?:e|ed|es|ing)",
  "rooms?",
  "staircases?",
  "stands",
  "told",
  "whatever",
  "whoever",
];

const LONGEST_LINE = 120;

const FILES = globSync([
  "*.{md,yml}",
  "{bin,docs,examples,data-modeling,package}/**/*.{md,js,ts,txt}",
  "{airflow,bench,dashboard,dbt_coinlake,dbt_crypto,dbt_ecommerce,docker,pipelines,producers,quality,requirements,src,streaming,test}/**/*.{ts,tsx,css,html,sql,yml,py,md,sh}",
])
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => !/node_modules|src\/spark\/protocol|\/target\/|__pycache__|^test\/language\.test\.ts$/.test(file));

/** Parts with findings. Remove a part when it is clean; add none. */
const NOT_CLEAN = {
  language: new Set<string>([
    "src/alert",
    "src/duckdb",
    "src/ingest",
    "src/log",
    "src/services",
    "src/spark",
    "src/transform",
    "test",
  ]),
  line_length: new Set<string>([
    "bench",
    "data-modeling",
    "src/alert",
    "src/base",
    "src/catalog",
    "src/cli",
    "src/duckdb",
    "src/iceberg",
    "src/ingest",
    "src/live",
    "src/log",
    "src/producer",
    "src/services",
    "src/spark",
    "src/storage",
    "src/transform",
    "test",
  ]),
};

/** Modules of `src` and `dashboard` are parts; of everything else, folders of the root. */
function partOf(file: string): string {
  const [first = "", second = ""] = file.split("/");
  return (first === "src" || first === "dashboard") && !second.includes(".") ? `${first}/${second}` : first;
}

/** Findings as `file:line text`, by part. */
function findingsByPart(files: readonly string[], find: (text: string) => { line: number; text: string }[]) {
  const parts = new Map<string, string[]>();
  for (const file of files) {
    const part = partOf(file);
    const findings = find(readFileSync(file, "utf8")).map(({ line, text }) => `${file}:${line} ${text}`);
    parts.set(part, [...(parts.get(part) ?? []), ...findings]);
  }
  return parts;
}

function check(parts: Map<string, string[]>, not_clean: ReadonlySet<string>, instruction: string): void {
  const findings = [...parts].flatMap(([part, found]) => (not_clean.has(part) ? [] : found));
  assert.deepEqual(findings, [], instruction);
  const clean = [...not_clean].filter((part) => (parts.get(part) ?? []).length === 0);
  assert.deepEqual(clean, [], "these parts are clean: remove them from NOT_CLEAN");
}

test("documents, help texts, messages and comments contain no banned word", () => {
  const pattern = new RegExp(`\\b(?:${BANNED.join("|").replaceAll(" ", "\\s+(?:(?:\\*|//|--|#)\\s+)?")})\\b`, "gi");
  const find = (text: string) =>
    [...text.matchAll(pattern)].map((match) => ({
      line: text.slice(0, match.index).split("\n").length,
      text: match[0].replaceAll(/\s+/g, " "),
    }));
  assert.ok(FILES.length > 500, `${FILES.length} files`);
  check(findingsByPart(FILES, find), NOT_CLEAN.language, "use the standard term of docs/glossary.md");
});

test("no source line is longer than 120 characters", () => {
  const sources = FILES.filter((file) => /\.(ts|tsx|js|css)$/.test(file));
  const find = (text: string) =>
    text
      .split("\n")
      .flatMap((line, index) =>
        line.length > LONGEST_LINE ? [{ line: index + 1, text: `${line.length} characters` }] : [],
      );
  check(findingsByPart(sources, find), NOT_CLEAN.line_length, "wrap the line");
});
