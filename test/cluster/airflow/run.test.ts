import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { crypto } from "../../../pipelines/crypto.ts";
import type { AlertPage } from "../../../src/alert/facade.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { childrenOf, identify, isRunning, type ProcessIdentity } from "../../../src/services/machine/process.ts";
import { openOrCreateLake, rememberAsCurrent } from "../../../src/lake/lake.ts";
import { coinlake, temporaryFolder } from "../../support/coinlake.ts";
import { BRONZE, MODELS } from "../../dbt/lake.ts";
import { Servers } from "../servers.ts";
import { AirflowClient } from "./client.ts";
import type { Plan } from "./recorder.ts";

/**
 * The real Airflow runs the real DAG. A recorder replaces the command line, except for the alerts, which are those of a
 * lake.
 */
const DAG = "crypto_pipeline";
const SETTINGS = {
  COINLAKE_CLI: fileURLToPath(new URL("recorder.ts", import.meta.url)),
  // Every run of this file exceeds its deadline.
  COINLAKE_DEADLINE_SECONDS: "5",
  // A rare schedule, at the start of the day that the test runs again.
  COINLAKE_SCHEDULE: "0 0 10 10 *",
};
const LOOK_MS = 50;
/** Less than a graceful shutdown of a server takes, so a server that ends within this time was killed. */
const END_TIMEOUT_MS = 10_000;

const folder = temporaryFolder();
let servers: Servers;
let airflow: AirflowClient;

before(async () => {
  Object.assign(process.env, SETTINGS, { RECORDER_FOLDER: folder.path });
  plan({});
  servers = await Servers.startNew("airflow");
  rememberAsCurrent(
    servers.data,
    openOrCreateLake(servers.data, { name: "live", kind: "live", pipeline: crypto.name }),
  );
  airflow = await AirflowClient.login(servers.environment, DAG);
});
after(async () => {
  await servers?.leave();
  folder.remove();
});

async function up(): Promise<void> {
  await servers.up();
  airflow = await AirflowClient.login(servers.environment, DAG);
}

/** Sets the exit codes of the next calls. */
function plan(codes: Plan["codes"]): void {
  rmSync(join(folder.path, "calls.txt"), { force: true });
  writeFileSync(join(folder.path, "plan.json"), JSON.stringify({ codes, real: ["alerts"] } satisfies Plan));
}

function calls(): string[] {
  return readFileSync(join(folder.path, "calls.txt"), "utf8").trim().split("\n");
}

async function alerts(): Promise<AlertPage["items"]> {
  const { code, stdout, stderr } = await coinlake(["alerts", "--data", servers.data, "--json"]);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as AlertPage).items;
}

test("the DAG loads, and a login with a wrong password is rejected", async () => {
  assert.deepEqual(await airflow.importErrors(), []);
  await assert.rejects(AirflowClient.login(servers.environment, DAG, "admin"), /login: 401/);
});

test("a run waits for bronze, retries failed tasks and updates every asset; it is an alert while late", async () => {
  plan({ "streams check --max-lag 100000": [1], "transform --layer silver": [1] });
  await airflow.unpause();
  const run_id = await airflow.scheduled();
  assert.equal(await airflow.end(run_id), "success");
  assert.deepEqual(
    calls().filter((call) => !call.includes("--failed")),
    [
      "streams check --max-lag 100000",
      "streams check --max-lag 100000",
      "maintain check",
      "transform --layer silver",
      "transform --layer silver",
      "quality --layer silver",
      "transform --layer gold",
      "quality --layer gold",
      "maintain compact",
      "maintain expire",
      "maintain orphans",
      `alerts report ${DAG} --succeeded`,
    ],
  );
  assert.deepEqual(
    await airflow.assetsOf(run_id),
    [BRONZE, ...MODELS].map((table) => `iceberg://${table.replace(".", "/")}`).sort(),
  );
  const [alert, ...others] = await alerts();
  assert.equal(alert?.message, `${DAG} failed: a run has not finished 5 seconds after it was queued`);
  assert.deepEqual([alert?.state, alert?.ended_by, others], ["recovered", "recovery", []]);
});

test("a repeatedly failing quality check of silver stops the run before gold and is an alert", async () => {
  plan({ "quality --layer silver --day 2025-10-11": [1, 1] });
  const run_id = await airflow.trigger({ day: "2025-10-11" });
  assert.equal(await airflow.end(run_id), "failed");
  const tasks = new Map((await airflow.tasks(run_id)).map((task) => [task.task_id, task]));
  assert.deepEqual(
    [tasks.get("silver")?.state, tasks.get("silver_quality")?.state, tasks.get("silver_quality")?.try_number],
    ["success", "failed", 2],
  );
  for (const later of ["gold", "gold_quality", "compact", "expire", "orphans", "report"])
    assert.equal(tasks.get(later)?.state, "upstream_failed", later);
  assert.deepEqual(await airflow.assetsOf(run_id), [`iceberg://${BRONZE.replace(".", "/")}`]);
  assert.match(
    calls().at(-1) ?? "",
    new RegExp(`^alerts report ${DAG} --failed the task silver_quality failed at attempt 2: .*exit code 1`),
  );
  const active = (await alerts()).filter(({ state }) => state === "active");
  assert.deepEqual(
    active.map(({ subject, severity }) => [subject, severity]),
    [[DAG, "critical"]],
  );
});

test("the backfill of a past day continues after Airflow was killed, which leaves no process behind", async () => {
  plan({});
  const held = join(folder.path, "hold transform --layer gold");
  writeFileSync(held, "");
  const run_id = await airflow.backfill("2025-10-10");
  while (readFileSync(held, "utf8") === "") await systemClock.wait(LOOK_MS);
  const { pid } = servers.services.get("airflow") ?? assert.fail("Airflow runs");
  const processes = [pid, ...below(pid)].map(identify);
  assert.ok(
    processes.some((process) => process?.pid === Number(readFileSync(held, "utf8"))),
    "the command line is Airflow's",
  );
  process.kill(pid, "SIGKILL");
  await allEnded(processes);
  rmSync(held);
  await up();
  assert.equal(await airflow.end(run_id), "success");
  assert.deepEqual(
    calls().filter((call) => /^(transform|quality)/.test(call)),
    [
      "transform --layer silver",
      "quality --layer silver --day 2025-10-10",
      "transform --layer gold",
      "transform --layer gold",
      "quality --layer gold --day 2025-10-10",
    ],
  );
  assert.deepEqual(
    (await alerts()).map(({ state, ended_by }) => [state, ended_by]),
    [
      ["recovered", "recovery"],
      ["recovered", "recovery"],
    ],
  );
});

test("a killed server is restarted, and no process that it had started continues", async () => {
  const [keeper = 0] = childrenOf(servers.services.get("airflow")?.pid ?? assert.fail("Airflow runs"));
  const children = childrenOf(keeper);
  assert.equal(children.length, 4);
  for (const server of children) {
    const processes = [server, ...below(server)].map(identify);
    process.kill(server, "SIGKILL");
    await allEnded(processes);
    const signal = AbortSignal.timeout(END_TIMEOUT_MS);
    while (childrenOf(keeper).length < children.length) await systemClock.wait(LOOK_MS, signal);
  }
  await up();
});

test("no process outlives the keeper", async () => {
  const { pid } = servers.services.get("airflow") ?? assert.fail("Airflow runs");
  const processes = [pid, ...below(pid)].map(identify);
  process.kill(childrenOf(pid)[0] ?? assert.fail("it has a keeper"), "SIGKILL");
  await allEnded(processes);
});

function below(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...below(child)]);
}

async function allEnded(processes: readonly (ProcessIdentity | null)[]): Promise<void> {
  const signal = AbortSignal.timeout(END_TIMEOUT_MS);
  while (processes.some((process) => process !== null && isRunning(process))) await systemClock.wait(LOOK_MS, signal);
}
