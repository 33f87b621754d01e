import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import type { AlertEvent } from "../../src/alert/alert.ts";
import type { AlertPage } from "../../src/alert/facade.ts";
import type { StoredRule } from "../../src/alert/rule.ts";
import { openOrCreateLake, rememberAsCurrent } from "../../src/lake/lake.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { coinlakeByKind } from "../support/warm-coinlake.ts";

const folder = temporaryFolder();
before(() =>
  rememberAsCurrent(
    folder.path,
    openOrCreateLake(folder.path, { name: "simulated", kind: "simulated", pipeline: crypto.name }),
  ),
);
after(() => folder.remove());

const run = (...args: string[]) => coinlakeByKind([...args, "--data", folder.path]);
const json = async (...args: string[]): Promise<unknown> => {
  const { code, stdout, stderr } = await run(...args, "--json");
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
};

test("the rules commands add, edit, disable and delete a rule beside the pipeline's default rules", async () => {
  const level = {
    name: "Bitcoin above 100,000",
    subjects: ["bitcoin"],
    condition: { kind: "crosses", direction: "above", level: 100_000 },
  };
  const made = (await json("rules", "add", JSON.stringify(level))) as StoredRule;
  assert.deepEqual(
    [made.id, made.revision, made.condition],
    ["bitcoin-above-100-000", 1, { ...level.condition, level: "100000" }],
  );
  const edited = (await json("rules", "edit", made.id, '{"cooldown_seconds":60}')) as StoredRule;
  assert.deepEqual([edited.revision, edited.cooldown_seconds, edited.subjects], [2, 60, ["bitcoin"]]);
  const off = (await json("rules", "disable", made.id)) as StoredRule;
  assert.deepEqual([off.revision, off.is_enabled], [3, false]);
  const listed = (await json("rules", "list")) as StoredRule[];
  assert.deepEqual(
    listed.map(({ id }) => id),
    [...crypto.alerts.default_rules.map((rule) => (rule as { id: string }).id), made.id],
  );
  await json("rules", "delete", made.id);
  const { code, stderr } = await run("rules", "show", made.id);
  assert.equal(code, 2);
  assert.match(stderr, /RULE_NOT_FOUND[\s\S]*next:/);
});

test("a rule added before the first record gets the id of its coin, and an unknown coin is rejected", async () => {
  const level = {
    name: "Early",
    subjects: ["BTC"],
    condition: { kind: "crosses", direction: "above", level: 100_000 },
  };
  const made = (await json("rules", "add", JSON.stringify(level))) as StoredRule;
  assert.deepEqual(made.subjects, ["bitcoin"]);
  const unknown = await run("rules", "add", JSON.stringify({ ...level, name: "Unknown", subjects: ["NOSUCHCOIN"] }));
  assert.equal(unknown.code, 1);
  assert.match(
    unknown.stderr,
    /Cannot resolve "NOSUCHCOIN": the lake has no coins yet.*LAKE_EMPTY[\s\S]*next:.*try again/,
  );
  await json("rules", "delete", made.id);
});

test("rules add rejects malformed JSON, and an invalid rule with the name of the field", async () => {
  const wrong = await run(
    "rules",
    "add",
    '{"name":"x","condition":{"kind":"change","direction":"down","percent":5,"window_minutes":10}}',
  );
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /condition\.direction[\s\S]*INVALID_RULE/);
  const torn = await run("rules", "add", '{"name":');
  assert.match(torn.stderr, /INVALID_JSON/);
});

test("a webhook's secret is printed when the sink is added, and never again", async () => {
  const made = (await json(
    "rules",
    "sinks",
    "add",
    '{"id":"hook","kind":"webhook","url":"https://example.org/path-of-secrets"}',
  )) as { secret: string };
  assert.match(made.secret, /^whsec_/);
  const { stdout } = await run("rules", "sinks", "list", "--json");
  assert.deepEqual(
    (JSON.parse(stdout) as { id: string }[]).map(({ id }) => id),
    ["page", "hook"],
  );
  assert.ok(!stdout.includes(made.secret) && !stdout.includes("path-of-secrets"), stdout);
});

test("a lake without alerts has an empty list, and an unknown alert is an error", async () => {
  assert.deepEqual((await json("alerts")) as AlertPage, { items: [], next: null });
  const { code, stderr } = await run("alerts", "none");
  assert.equal(code, 2);
  assert.match(stderr, /ALERT_NOT_FOUND/);
});

test("a job's failure is an alert until its success is reported, and a report names exactly one of them", async () => {
  const [fired] = (await json("alerts", "report", "backup", "--failed", "the disk is full")) as AlertEvent[];
  assert.deepEqual(
    [fired?.event, fired?.alert.message, fired?.alert.severity],
    ["fired", "backup failed: the disk is full", "critical"],
  );
  const active = (await json("alerts", "--active", "--subject", "backup")) as AlertPage;
  assert.deepEqual(
    active.items.map(({ id }) => id),
    [fired?.alert.id],
  );
  assert.match((await run("alerts", "report", "backup", "--failed", "again")).stderr, /its alert is already active/);
  const [recovered] = (await json("alerts", "report", "backup", "--succeeded")) as AlertEvent[];
  assert.deepEqual(
    [recovered?.event, recovered?.alert.id, recovered?.alert.state],
    ["recovered", fired?.alert.id, "recovered"],
  );
  for (const wrong of [[], ["--failed", "x", "--succeeded"]])
    assert.equal((await run("alerts", "report", "backup", ...wrong)).code, 2);
  await json("rules", "disable", "job-failed");
  const { code, stderr } = await run("alerts", "report", "backup", "--failed", "x");
  assert.equal(code, 1);
  assert.match(stderr, /JOB_RULE_NOT_FOUND[\s\S]*next:/);
});
