import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { reasons as ofPrices } from "../../pipelines/crypto/reasons.ts";
import { reasons as ofOrders } from "../../pipelines/ecommerce/reasons.ts";
import { projectFolder } from "../../src/lake/tools.ts";

interface Project {
  folder: string;
  reasons: Readonly<Record<string, string>>;
  /** The model's YAML and the test that lists the reasons. */
  yaml: string;
  test: string;
  /** Variables in the sentences. */
  limits: (limit: (name: string) => number) => [reason: string, limit: string][];
}

const PROJECTS: Project[] = [
  {
    folder: "dbt_crypto",
    reasons: ofPrices,
    yaml: "crypto_prices_rejected.yml",
    test: "crypto_prices_rejected_reasons_are_known",
    limits: (limit) => [
      ["price_out_of_range", `${limit("max_price_usd").toLocaleString("en")} US dollars`],
      ["late_event", `${limit("max_event_skew_s")} seconds`],
    ],
  },
  {
    folder: "dbt_ecommerce",
    reasons: ofOrders,
    yaml: "orders_rejected.yml",
    test: "orders_rejected_have_a_known_reason",
    limits: (limit) => [["amount_out_of_range", `${limit("max_amount").toLocaleString("en")} US dollars`]],
  },
];

for (const { folder, reasons, yaml, test: name, limits } of PROJECTS) {
  describe(folder, () => {
    const project = join(projectFolder(), folder);

    test("the described rejection reasons are those of the quarantine", () => {
      const text = readFileSync(join(project, "models", "silver", yaml), "utf8");
      const list =
        text.slice(text.indexOf(name)).match(/values:\s*(?:\[([^\]]*)\]|((?:\n\s+- \w+$)+))/m) ?? assert.fail();
      const names = [...(list[1] ?? list[2] ?? "").matchAll(/\w+/g)].map(([reason]) => reason);
      assert.ok(names.length > 10);
      assert.deepEqual(Object.keys(reasons).sort(), names.sort());
    });

    test("the limits in the descriptions are those of the dbt project", () => {
      const text = readFileSync(join(project, "dbt_project.yml"), "utf8");
      const limit = (variable: string) => Number(new RegExp(`^  ${variable}: (\\d+)$`, "m").exec(text)?.[1]);
      const times = readFileSync(join(projectFolder(), "dbt_coinlake", "macros", "time.sql"), "utf8");
      const LIMITS: [reason: string, limit: string][] = [
        ["payload_too_large", `${limit("max_payload_bytes") / 1024 ** 2} MiB`],
        ["payload_too_large", `${limit("max_payload_values").toLocaleString("en")} values`],
        ["future_event", `${limit("max_event_skew_s")} seconds`],
        ["time_before_2009", /first_time\(\).*'([\d-]+) /.exec(times)?.[1] ?? "no date"],
        ...limits(limit),
      ];
      for (const [reason, words] of LIMITS)
        assert.ok(reasons[reason]?.includes(words), `${reason}: ${reasons[reason]} has no "${words}"`);
    });
  });
}
