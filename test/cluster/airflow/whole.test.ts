import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { AlertPage } from "../../../src/alert/facade.ts";
import { startParts, type RunningCluster } from "../../../src/cluster/cluster.ts";
import { clusterFolder } from "../../../src/cluster/state.ts";
import { coinlake, temporaryFolder } from "../../coinlake.ts";
import { BRONZE, MODELS } from "../../lake/lake.ts";
import { writeMarket } from "../profile/market.ts";
import { AirflowClient } from "./client.ts";

/** Nothing stands for anything here: the DAG calls the command line, which works on a lake in the cluster that nobody else carries on. */
const DAG = "crypto_pipeline";
const LAKE = "cluster-replay-market";
const folder = temporaryFolder();
const market = join(folder.path, "market.jsonl");
let cluster: RunningCluster;
let records: number;

before(async () => {
  // As root, PostgreSQL runs as somebody else, who must get through.
  chmodSync(folder.path, 0o711);
  records = await writeMarket(market, 31);
  // Once, when it begins.
  Object.assign(process.env, { COINLAKE_SCHEDULE: "0 0 10 10 *", COINLAKE_LAKE: LAKE });
  cluster = await startParts(["kafka", "spark", "airflow"], { folder: clusterFolder(folder.path), ports: "free" });
  await run("produce", "--source", `replay:${market}`, "--speed", "max");
  await run("streams", "start");
});
after(async () => {
  await cluster?.stop();
  folder.remove();
});

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await coinlake([...args, "--data", folder.path]);
  assert.equal(code, 0, stderr + stdout);
  return stdout;
}

test("a run carries bronze on to silver and gold, proves each, maintains the tables, and the books balance", async () => {
  const airflow = await AirflowClient.login(cluster.environment, DAG);
  await airflow.unpause();
  const run_id = await airflow.scheduled();
  const state = await airflow.end(run_id);
  assert.equal(state, "success", await airflow.failures(run_id));
  assert.deepEqual(await airflow.assetsOf(run_id), [BRONZE, ...MODELS].map((table) => `iceberg://${table.replace(".", "/")}`).sort());
  const { figures } = JSON.parse(await run("verify", "--json", "--lake", LAKE)) as { figures: Record<string, number> };
  assert.deepEqual([figures["log_waiting"], figures["bronze_records"], figures["silver_waiting"]], [0, records, 0]);
  const { items } = JSON.parse(await run("alerts", "--rule", "job-failed", "--json", "--lake", LAKE)) as AlertPage;
  assert.deepEqual(items, []);
});
