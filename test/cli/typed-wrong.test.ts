import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openOrCreateLake, rememberAsCurrent } from "../../src/lake/lake.ts";
import { coinlake, temporaryFolder } from "../support/coinlake.ts";
import { warmCoinlake } from "../support/warm-coinlake.ts";

const folder = temporaryFolder();
const inFolder = (name: string): string => join(folder.path, name);

/** Each case has a command line, its exit code and its message, for wrong input and for wrong states of a lake. */
const CASES: readonly [typed: readonly string[], code: number, said: RegExp][] = [
  [["--version"], 0, /^\d+\.\d+\.\d+$/m],
  [["rules"], 2, /Usage: coinlake rules/],
  [["rules", "nonsense"], 2, /error unknown command 'nonsense' \[USAGE\]\n  next:.*coinlake -- rules --help/],
  [
    ["rules", "sinks", "--bogus"],
    2,
    /error unknown option '--bogus' \[USAGE\]\n  next:.*coinlake -- rules sinks --help/,
  ],
  [["ask", "9"], 2, /unknown question "9": use one of/],
  [["ask", "1", "--percent", "3"], 2, /option --percent does not apply to question 1/],
  [["ask", "--as-of", "2026-02-31"], 2, /'2026-02-31' is invalid. Use ISO 8601 with a zone, such as/],
  [["rules", "test", "x", "--from", "yesterday"], 2, /'yesterday' is invalid. Use ISO 8601 with a zone, such as/],
  [["dbt"], 2, /missing required argument/],
  [["query", "select 1; select 2"], 1, /NOT_ONE_STATEMENT.*\n.*next:/],
  [["query"], 1, /NO_SQL.*\n.*next:.*-f FILE/],
  [["query", "-f", "/no/such.sql"], 1, /FILE_NOT_READABLE.*\n.*next:/],
  [["query", "select 1", "-f", "x.sql"], 2, /as an argument or with --file, not both/],
  [["query", "select 1", "--csv", "--json"], 2, /'--csv' cannot be used with option '--json'/],
  [["query", ""], 1, /NOT_ONE_STATEMENT.*\n.*next:/],
  [["rules", "test", "fall-5-percent-10-minutes"], 1, /LAKE_EMPTY.*\n.*next:.*npm start/],
  [["maintain", "check"], 1, /MAINTENANCE_NEEDS_CLUSTER.*\n.*next:.*verify/],
  [["maintain", "compact", "--target-size-mb", "0"], 2, /'0' is invalid.*above 0/],
  [["maintain", "expire", "--older-than", "soon"], 2, /'soon' is invalid/],
  [["maintain", "expire", "--snapshot", "5"], 2, /--snapshot requires --table/],
  [["maintain", "orphans", "--older-than", "0"], 2, /at least 0\.042 days \(one hour\)/],
  [["maintain", "--dry-run", "expire", "--older-than", "0"], 2, /write --dry-run after "expire"/],
  [["alerts", "--active", "report"], 2, /write --active after "report"/],
  [["maintain", "--table", "gold.none"], 1, /TABLE_NOT_FOUND.*\n.*next:/],
  [["streams", "check", "--max-lag", "-1"], 2, /'-1' is invalid/],
  [["transform", "--layer", "bronze"], 2, /'bronze' is invalid/],
  [["rules", "add", "-"], 1, /INVALID_JSON.*\n.*next:/],
  [["verify", "--data", inFolder("a file")], 1, /FOLDER_NOT_READABLE.*\n.*next:.*--data/],
  [
    ["start", "--source", "simulated", "--host", "0.0.0.0", "--data", inFolder("never made")],
    1,
    /TOKEN_REQUIRED_FOR_HOST.*\n.*next:.*--token/,
  ],
];

/**
 * Commands that run in separate processes: one that succeeds, usage errors, failures, and one that reads standard
 * input.
 */
const OWN_PROCESS: ReadonlySet<string> = new Set([
  "--version",
  "rules nonsense",
  "ask 9",
  "query",
  "rules add",
  "start --source",
]);

describe("What was typed wrong is told in words, and by the exit code", () => {
  before(() => {
    writeFileSync(inFolder("a file"), "");
    rememberAsCurrent(
      inFolder("lakes"),
      openOrCreateLake(inFolder("lakes"), { name: "simulated", kind: "simulated", pipeline: "crypto" }),
    );
  });
  after(() => folder.remove());

  for (const [typed, code, said] of CASES) {
    test(`coinlake ${typed.slice(0, 4).join(" ")}`, async () => {
      const needs_lake = !typed.includes("--data") && /^(ask|query|maintain|rules (test|add))/.test(typed.join(" "));
      const args = [...typed, ...(needs_lake ? ["--data", inFolder("lakes")] : [])];
      const run = OWN_PROCESS.has(typed.slice(0, 2).join(" ")) ? coinlake : warmCoinlake;
      const finished = await run(args, { COINLAKE_TOKEN: "" });
      assert.match(finished.stdout + finished.stderr, said);
      assert.equal(finished.code, code, finished.stderr);
      assert.doesNotMatch(finished.stderr, /bug in Coinlake/);
      assert.ok(!existsSync(inFolder("never made")));
    });
  }
});
