import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Command } from "commander";
import { OperatingError } from "../../src/base/errors.ts";
import { exitCodeOf } from "../../src/cli/exit-code.ts";
import { program } from "../../src/cli/main.ts";
import { openOrCreateLake, rememberAsCurrent } from "../../src/lake/lake.ts";
import { coinlake, temporaryFolder } from "../support/coinlake.ts";
import { warmCoinlake } from "../support/warm-coinlake.ts";

const folder = temporaryFolder();
const inFolder = (name: string): string => join(folder.path, name);

const START = ["start", "--data", inFolder("never made/inner"), "--source"];

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
  [["ask", "--as-of", "2026-02-31"], 2, /'2026-02-31' is invalid. Use ISO 8601, such as/],
  [["rules", "test", "x", "--from", "yesterday"], 2, /'yesterday' is invalid. Use ISO 8601, such as/],
  [["dbt"], 2, /missing required argument/],
  [
    ["dbt", "test", "--lake", "test"],
    2,
    /write --lake before dbt's arguments: dbt --lake test test \[USAGE\]\n {2}next:/,
  ],
  [
    ["dbt", "--data", inFolder("lakes"), "tset"],
    2,
    /No such command 'tset'[^]*error dbt did not run: .*\[DBT_REJECTED\]\n {2}next: .*dbt --help/,
  ],
  [
    ["verify", "--deep", "--scratch", join(import.meta.filename, "below")],
    1,
    /Cannot write to .*below: .*\[FOLDER_NOT_WRITABLE\]\n {2}next:/,
  ],
  [["query", "select 1; select 2"], 2, /NOT_ONE_STATEMENT.*\n.*next:/],
  [["query"], 2, /NO_SQL.*\n.*next:.*-f FILE/],
  [["query", "-f", "/no/such.sql"], 1, /FILE_NOT_READABLE.*\n.*next:/],
  [["query", "select 1", "-f", "x.sql"], 2, /as an argument or with --file, not both/],
  [["query", "select 1", "--csv", "--json"], 2, /'--csv' cannot be used with option '--json'/],
  [["query", ""], 2, /NOT_ONE_STATEMENT.*\n.*next:/],
  [["rules", "test", "fall-5-percent-10-minutes"], 1, /LAKE_EMPTY.*\n.*next:.*npm start/],
  [["maintain", "check"], 2, /MAINTENANCE_NEEDS_CLUSTER.*\n.*next:.*verify/],
  [["maintain", "compact", "--target-size-mb", "0"], 2, /'0' is invalid.*above 0/],
  [["maintain", "expire", "--older-than", "soon"], 2, /'soon' is invalid/],
  [["maintain", "expire", "--snapshot", "5"], 2, /--snapshot requires --table/],
  [["maintain", "orphans", "--older-than", "0"], 2, /at least 0\.042 days \(one hour\)/],
  [["maintain", "--dry-run", "expire", "--older-than", "0"], 2, /write --dry-run after "expire"/],
  [["alerts", "--active", "report"], 2, /write --active after "report"/],
  [["maintain", "--table", "gold.none"], 2, /TABLE_NOT_FOUND.*\n.*next:/],
  [["streams", "check", "--max-lag", "-1"], 2, /'-1' is invalid/],
  [["transform", "--layer", "bronze"], 2, /'bronze' is invalid/],
  [["rules", "add", "-"], 2, /INVALID_JSON.*\n.*next:/],
  [["verify", "--data", inFolder("a file")], 1, /FOLDER_NOT_READABLE.*\n.*next:.*--data/],
  [
    ["start", "--source", "simulated", "--host", "0.0.0.0", "--data", inFolder("never made")],
    2,
    /TOKEN_REQUIRED_FOR_HOST.*\n.*next:.*--token/,
  ],
  [["nonsense"], 2, /unknown command 'nonsense' \[USAGE\]/],
  [["ask", "--lake", "none"], 2, /Unknown lake "none".*LAKE_NOT_FOUND.*\n.*next:.*--lake: simulated/],
  [["query", "select 1 from gold.none"], 1, /INVALID_SQL/],
  [["query", "select 1 from live.none", "--at", "2026-01-31T12:00:00Z"], 2, /LIVE_HAS_NO_PAST/],
  [[...START, "nosuch"], 2, /Unknown source "nosuch".*SOURCE_NOT_FOUND/],
  [[...START, "coinbase,simulated"], 2, /SOURCES_DO_NOT_MIX/],
  [[...START, "replay"], 2, /SOURCE_NEEDS_ARGUMENT/],
  [[...START, "coinbase:BTC"], 2, /SOURCE_TAKES_NO_ARGUMENT/],
  [[...START, "simulated:many"], 2, /INVALID_SEED/],
  [[...START, "simulated", "--warehouse", "/tables"], 2, /UNSUPPORTED_LOCATION/],
  [[...START, "simulated", "--token", "short"], 2, /TOKEN_TOO_SHORT/],
  [[...START, "simulated", "--port", "0", "--catalog-token", "short"], 2, /INVALID_CATALOG_TOKEN/],
  [[...START, "simulated", "--port", "70000"], 2, /'70000' is invalid/],
  [[...START, "simulated", "--no-transform"], 2, /require --profile cluster/],
  [[...START, "replay:/no/such.csv"], 1, /FILE_NOT_FOUND/],
  [[...START, "simulated", "--profile", "cluster"], 1, /CLUSTER_NOT_FOUND/],
  [["produce", "--source", "nosuch", "--data", inFolder("never made")], 2, /SOURCE_NOT_FOUND/],
  [["produce", "--source", "simulated", "--data", inFolder("never made")], 1, /CLUSTER_NOT_FOUND/],
  [["backup"], 2, /missing required argument/],
  [["backup", inFolder("lakes/simulated/copies")], 2, /BACKUP_INSIDE_LAKE/],
  [["restore", "x", "--backup", "0"], 2, /'0' is invalid/],
  [["restore", "x", "--warehouse", "/tables"], 2, /'\/tables' is invalid/],
  [["restore", inFolder("no backup"), "--data", inFolder("never made")], 1, /BACKUP_NOT_FOUND/],
  [["move"], 2, /NOTHING_TO_MOVE/],
  [["move", inFolder("lakes/simulated/inside")], 2, /TARGET_INSIDE/],
  [["maintain", "orphans", "--table", "gold.none"], 2, /TABLE_NOT_FOUND/],
  [["alerts", "none"], 2, /ALERT_NOT_FOUND/],
  [["alerts", "--cursor", "none"], 2, /INVALID_CURSOR/],
  [["rules", "show", "none"], 2, /RULE_NOT_FOUND/],
  [["rules", "add", '{"name":"x"}'], 2, /INVALID_RULE/],
  [["rules", "sinks", "add", '{"id":"x"}'], 2, /INVALID_SINK/],
  [["rules", "sinks", "delete", "none"], 2, /SINK_NOT_FOUND/],
  [["quality", "--day", "today"], 2, /'today' is invalid/],
  [["streams", "start", "none"], 2, /STREAM_NOT_FOUND/],
  [["streams", "check", "--data", inFolder("never made")], 1, /CLUSTER_NOT_FOUND/],
  [["verify", "--data", inFolder("never made")], 2, /LAKE_NOT_FOUND/],
  [["cluster", "up", "--only", "none"], 2, /Unknown service "none"/],
  [["sql-worker"], 2, /required option '--exports/],
];

/** Every command that takes options; groups such as `rules` only hold commands. */
function everyCommand(command: Command, path: readonly string[] = []): string[][] {
  const below = command.commands.flatMap((child) => everyCommand(child, [...path, child.name()]));
  return below.length > 0 && command.options.length === 0 ? below : [[...path], ...below];
}

/**
 * Commands that run in separate processes: one that succeeds, usage errors, failures, one that reads standard input,
 * and dbt, which writes to the standard error of its process.
 */
const own_processes: Set<string> = new Set([
  "--version",
  "rules nonsense",
  "ask 9",
  "query",
  "rules add",
  "dbt --data",
  "start --data",
]);
const WITHOUT_LAKE = /^(start|produce|--version|nonsense|cluster|doctor|streams|sql-worker|dbt)/;

const whole = await program();

describe("wrong input is reported with a message and an exit code", () => {
  before(() => {
    writeFileSync(inFolder("a file"), "");
    rememberAsCurrent(
      inFolder("lakes"),
      openOrCreateLake(inFolder("lakes"), { name: "simulated", kind: "simulated", pipeline: "crypto" }),
    );
  });
  after(() => folder.remove());

  for (const [typed, code, said] of CASES) {
    test(`coinlake ${typed.join(" ").replaceAll(folder.path, "")}`, async () => {
      const has_data =
        typed.includes("--data") || WITHOUT_LAKE.test(typed.join(" ")) || /^rules( nonsense)?$/.test(typed.join(" "));
      const args = [...typed, ...(has_data ? [] : ["--data", inFolder("lakes")])];
      const run = own_processes.delete(typed.slice(0, 2).join(" ")) ? coinlake : warmCoinlake;
      const finished = await run(args, { COINLAKE_TOKEN: "" });
      assert.match(finished.stdout + finished.stderr, said);
      assert.equal(finished.code, code, finished.stderr);
      assert.doesNotMatch(finished.stderr, /bug in Coinlake/);
      assert.ok(!existsSync(inFolder("never made")));
    });
  }

  test("a command that Ctrl-C ended exits with 130, for every error that reports it", () => {
    for (const error of ["BACKUP_STOPPED", "RESTORE_STOPPED", "MOVE_STOPPED"] as const)
      assert.equal(exitCodeOf(new OperatingError(error, "Interrupted", { next_step: "Run it again." })), 130, error);
  });

  for (const path of everyCommand(whole))
    test(`coinlake ${path.join(" ")} --no-such-option is a usage error`, async () => {
      // dbt passes options that it does not know to dbt.
      const typed = path[0] === "dbt" ? path : [...path, "--no-such-option"];
      const { code, stderr } = await warmCoinlake(typed);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /\[USAGE\]\n  next:|Usage:/);
    });
});
