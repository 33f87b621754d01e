import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { AlertPage } from "../../../src/alert/facade.ts";
import { coinlake } from "../../coinlake.ts";
import { BRONZE, MODELS } from "../../lake/lake.ts";
import { writeMarket } from "../profile/market.ts";
import { Servers } from "../servers.ts";
import { AirflowClient } from "./client.ts";

/** Nothing stands for anything here: the DAG calls the command line, which works on a lake in the cluster that nobody else carries on. */
const DAG = "crypto_pipeline";
const LAKE = "cluster-replay-market";
let servers: Servers;
let airflow_servers: Servers;
let records: number;

before(async () => {
  servers = await Servers.start("kafka", "spark");
  const market = join(servers.data, "market.jsonl");
  records = await writeMarket(market, 31);
  // The DAG runs once, when it begins.
  Object.assign(process.env, { COINLAKE_DATA: servers.data, COINLAKE_LAKE: LAKE, COINLAKE_SCHEDULE: "0 0 10 10 *" });
  airflow_servers = await Servers.startNew("airflow");
  await run("produce", "--source", `replay:${market}`, "--speed", "max");
  await run("streams", "start");
});
after(async () => {
  await airflow_servers?.leave();
  await servers?.leave();
});

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await coinlake([...args, "--data", servers.data]);
  assert.equal(code, 0, stderr + stdout);
  return stdout;
}

test("a run carries bronze on to silver and gold, proves each, maintains the tables, and the books balance", async () => {
  const airflow = await AirflowClient.login(airflow_servers.environment, DAG);
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
