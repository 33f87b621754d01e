import assert from "node:assert/strict";
import { test } from "node:test";
import { pipelines } from "../../pipelines/all.ts";
import { ecommerce } from "../../pipelines/ecommerce.ts";
import { OperatingError } from "../../src/base/errors.ts";
import { checkPipeline } from "../../src/pipeline/check.ts";
import type { Pipeline } from "../../src/pipeline/definition.ts";

const [question] = ecommerce.questions;
const [chart] = ecommerce.charts;
assert.ok(question !== undefined && chart !== undefined);

test("the pipelines of this repository have correct definitions", () => {
  for (const pipeline of pipelines) checkPipeline(pipeline);
});

/** Definitions as a person types them, with the start of the message that each must get. */
const WRONG: readonly [text: string, fields: object][] = [
  ["name: use lower-case letters", { name: "Weather" }],
  ['default_source: no producer has the name "coingeko"', { default_source: "coingeko" }],
  ["topic: Invalid input", { topic: undefined }],
  ["bronze.table: use `layer.table` in lower case", { bronze: { ...ecommerce.bronze, table: "weather" } }],
  [
    "bronze.commit.interval_ms: Too small",
    { bronze: { ...ecommerce.bronze, commit: { ...ecommerce.bronze.commit, interval_ms: 10, first_interval_ms: 10 } } },
  ],
  [
    "transform.increment.first_interval_ms: use at most interval_ms",
    {
      transform: {
        ...ecommerce.transform,
        increment: { ...ecommerce.transform.increment, first_interval_ms: 3_600_001 },
      },
    },
  ],
  ["transform.increment_max_share: Too big", { transform: { ...ecommerce.transform, increment_max_share: 50 } }],
  [
    'reconciliation.tables["gold.x"].key: Too small',
    { reconciliation: { ...ecommerce.reconciliation, tables: { "gold.x": { key: [] } } } },
  ],
  [
    "questions[0].parts[0].columns[0].kind: Invalid option",
    { questions: [{ ...question, parts: [{ columns: [{ name: "a", header: "a", kind: "number" }] }] }] },
  ],
  ["questions: the number 1 is used twice", { questions: [question, question] }],
  [
    "reconciliation.tables.x: use `layer.table`",
    { reconciliation: { ...ecommerce.reconciliation, tables: { x: { key: ["a"] } } } },
  ],
  ["charts[0].intervals[0]: Invalid option", { charts: [{ ...chart, intervals: ["2m"] }] }],
  [`charts: the name ${chart.name} is used twice`, { charts: [chart, chart] }],
  ["dashboard.start_page: Invalid option", { dashboard: { ...ecommerce.dashboard, start_page: "weather" } }],
];

for (const [text, fields] of WRONG) {
  test(`an error names the field: ${text}`, () => {
    assert.throws(
      () => checkPipeline({ ...ecommerce, ...fields } as Pipeline),
      (error) =>
        error instanceof OperatingError &&
        error.code === "INVALID_PIPELINE" &&
        error.message.includes(`has errors: ${text}`),
    );
  });
}

test("a source may have an argument, and several sources may be listed", () => {
  const [first = ""] = Object.keys(ecommerce.producers);
  checkPipeline({ ...ecommerce, default_source: `${first}:a,b:c`, fallback_source: `${first}, ${first}` });
});

test("an error names every invalid field", () => {
  const wrong = { ...ecommerce, questions: {}, dashboard: { ...ecommerce.dashboard, start_page: "weather" } };
  assert.throws(() => checkPipeline(wrong as Pipeline), /questions: .*; dashboard\.start_page: /);
});
