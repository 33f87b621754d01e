import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SENTENCES } from "../../dashboard/pages/quality/reasons.ts";
import { projectFolder } from "../../src/lake/tools.ts";

const project = join(projectFolder(), "dbt_crypto");

test("each reason of the quarantine has its sentence, and no other", () => {
  const text = readFileSync(join(project, "models", "silver", "crypto_prices_rejected.yml"), "utf8");
  const list =
    /crypto_prices_rejected_reasons_are_known\n\s+arguments:\n\s+values:\n((?:\s+- \w+\n)+)/.exec(text)?.[1] ??
    assert.fail();
  assert.deepEqual(Object.keys(SENTENCES).sort(), [...list.matchAll(/- (\w+)/g)].map(([, reason]) => reason).sort());
});

test("the limits in the sentences are those of the project", () => {
  const text = readFileSync(join(project, "dbt_project.yml"), "utf8");
  const limit = (name: string) => Number(new RegExp(`^  ${name}: (\\d+)$`, "m").exec(text)?.[1]);
  const LIMITS: [reason: string, limit: string][] = [
    ["payload_too_large", `${limit("max_payload_bytes") / 1024 ** 2} MiB`],
    ["payload_too_large", `${limit("max_payload_values").toLocaleString("en")} values`],
    ["price_out_of_range", `${limit("max_price_usd").toLocaleString("en")} US dollars`],
    ["late_event", `${limit("max_event_skew_s")} seconds`],
    ["future_event", `${limit("max_event_skew_s")} seconds`],
    [
      "time_before_2009",
      /first_time\(\).*'([\d-]+) /.exec(readFileSync(join(project, "macros", "time.sql"), "utf8"))?.[1] ?? "no date",
    ],
  ];
  for (const [reason, words] of LIMITS)
    assert.ok(SENTENCES[reason]?.includes(words), `${reason}: ${SENTENCES[reason]} has no "${words}"`);
});
