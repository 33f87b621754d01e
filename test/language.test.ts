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

/** Findings as `file:line text`. */
function findingsIn(files: readonly string[], find: (text: string) => { line: number; text: string }[]): string[] {
  return files.flatMap((file) => find(readFileSync(file, "utf8")).map(({ line, text }) => `${file}:${line} ${text}`));
}

test("documents, help texts, messages and comments contain no banned word", () => {
  const pattern = new RegExp(`\\b(?:${BANNED.join("|").replaceAll(" ", "\\s+(?:(?:\\*|//|--|#)\\s+)?")})\\b`, "gi");
  const find = (text: string) =>
    [...text.matchAll(pattern)].map((match) => ({
      line: text.slice(0, match.index).split("\n").length,
      text: match[0].replaceAll(/\s+/g, " "),
    }));
  assert.ok(FILES.length > 500, `${FILES.length} files`);
  assert.deepEqual(findingsIn(FILES, find), [], "use the standard term of docs/glossary.md");
});

test("no source line is longer than 120 characters", () => {
  const sources = FILES.filter((file) => /\.(ts|tsx|js|css)$/.test(file));
  const find = (text: string) =>
    text
      .split("\n")
      .flatMap((line, index) =>
        line.length > LONGEST_LINE ? [{ line: index + 1, text: `${line.length} characters` }] : [],
      );
  assert.deepEqual(findingsIn(sources, find), [], "wrap the line");
});
