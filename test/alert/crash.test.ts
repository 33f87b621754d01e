import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Alert } from "../../src/alert/alert.ts";
import { openAlertBook } from "../../src/alert/open.ts";
import { AlertEvaluator } from "../../src/alert/evaluate/evaluator.ts";
import { RuleEvaluator } from "../../src/alert/evaluate/rule-evaluator.ts";
import { systemClock } from "../../src/base/clock.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { TICKS, knownMarket } from "./known-market.ts";
import { PIPELINE } from "./tape.ts";

const KILLS = 8;
const folder = temporaryFolder();
after(() => folder.remove());

/**
 * Runs the child and kills it with SIGKILL `kill_after_ms` after its first evaluation; null lets it finish. Returns
 * whether it finished.
 */
async function live(args: readonly string[], kill_after_ms: number | null): Promise<boolean> {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, "engine-child.ts"), ...args],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (output === "" && kill_after_ms !== null) setTimeout(() => child.kill("SIGKILL"), kill_after_ms);
    output += text;
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once("close", (...how) => resolve(how)),
  );
  assert.ok(signal === "SIGKILL" || code === 0, `exit code ${code}`);
  return output.includes("done");
}

/** Episodes of one uninterrupted scan, with the start, the course and the end of each. */
function wanted(): string[] {
  const { ticks, rule } = knownMarket();
  const rule_evaluator = RuleEvaluator.over({ ...rule, revision: 1, created_at: "", updated_at: "" });
  assert.ok(rule_evaluator !== null);
  const evaluator = new AlertEvaluator([rule_evaluator], PIPELINE.alerts.lateness_s);
  const alerts = new Map<string, Alert>();
  for (const tick of ticks) for (const { alert } of evaluator.evaluate(tick, 0).events) alerts.set(alert.id, alert);
  for (const [, { active }] of rule_evaluator.states.changes()) if (active !== null) alerts.set(active.id, active);
  return [...alerts.values()].map(episode).sort();
}

const episode = ({ subject, coordinates, opened_at, ended_at, ticks, until_at, worst_value }: Alert) =>
  JSON.stringify([subject, coordinates, opened_at, ended_at, ticks, until_at, worst_value]);

test(`after ${KILLS} kills at random moments, the list and file of alerts hold each episode exactly once`, async () => {
  const data = join(folder.path, "lake");
  const path = join(folder.path, "alerts.jsonl");
  mkdirSync(data);
  for (let life = 1; life <= KILLS; life += 1) {
    const shift = Math.round((Math.random() - 0.4) * 400);
    // Each life may evaluate a share of the market: on a busy machine a few lives would otherwise evaluate all of it
    // before they are killed.
    const most = Math.floor((TICKS * life) / (KILLS + 1));
    assert.equal(await live([data, path, String(shift), String(most)], Math.random() * 120), false);
  }
  while (!(await live([data, path, "-50"], null)));

  const book = await openAlertBook(data, { alerts: { default_rules: [] } }, systemClock);
  const { items } = book.listAlerts({ limit: 1_000 });
  const found = items.map(episode).sort();
  await book.close();
  assert.ok(found.length > 50, `${found.length} episodes prove little`);
  assert.deepEqual(found, wanted());

  assert.ok(existsSync(path));
  const delivered = readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { id: string }).id)
    .sort();
  const due = items
    .flatMap(({ id, ended_at }) => [`${id}-fired`, ...(ended_at === null ? [] : [`${id}-recovered`])])
    .sort();
  assert.deepEqual(delivered, due);
});
