import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { AlertPage } from "../../../src/alert/facade.ts";
import { openLake } from "../../../src/lake/open.ts";
import { findLake } from "../../../src/lake/lake.ts";
import { coinlake } from "../../support/coinlake.ts";
import { BRONZE, MODELS } from "../../dbt/lake.ts";
import { marketData, skipWithout } from "../../support/market-data.ts";
import { pythonReport } from "../../support/python-report.ts";
import { writeMarket } from "../profile/market.ts";
import { Servers } from "../servers.ts";
import { AirflowClient } from "./client.ts";

/**
 * Nothing is replaced here: the DAG calls the command line, on a lake in the cluster that no other process transforms.
 * The market is the recorded October 2025, if this machine has it, so that the test can compare the DAG's results with
 * it.
 */
const DAG = "crypto_pipeline";
const RECORDING = "market-1h-2025-10.csv.gz";
const HOURS = 28_272;
const UPDATES = 113_088;
const ORACLE = fileURLToPath(new URL("../../oracle/hourly_candles.py", import.meta.url));

let servers: Servers;
let airflow_servers: Servers;
let market: string;
let lake: string;
let records: number;

before(async () => {
  servers = await Servers.start("kafka", "spark");
  market = marketData(RECORDING) ?? join(servers.data, "market.jsonl");
  records = marketData(RECORDING) === null ? await writeMarket(market, 31) : UPDATES;
  const produced = JSON.parse(await run("produce", "--source", `replay:${market}`, "--speed", "max", "--json")) as {
    lake: string;
  };
  lake = produced.lake;
  await run("streams", "start");
  // The DAG runs once, when it is unpaused.
  Object.assign(process.env, { COINLAKE_DATA: servers.data, COINLAKE_LAKE: lake, COINLAKE_SCHEDULE: "0 0 10 10 *" });
  airflow_servers = await Servers.startNew("airflow");
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

test("a run builds silver and gold, checks each, maintains the tables, and verify succeeds", async () => {
  const airflow = await AirflowClient.login(airflow_servers.environment, DAG);
  await airflow.unpause();
  const run_id = await airflow.scheduled();
  const state = await airflow.end(run_id);
  assert.equal(state, "success", await airflow.failures(run_id));
  assert.deepEqual(
    await airflow.assetsOf(run_id),
    [BRONZE, ...MODELS].map((table) => `iceberg://${table.replace(".", "/")}`).sort(),
  );
  const { figures } = JSON.parse(await run("verify", "--json", "--lake", lake)) as { figures: Record<string, number> };
  assert.deepEqual([figures["log_waiting"], figures["bronze_records"], figures["silver_waiting"]], [0, records, 0]);
  const { items } = JSON.parse(await run("alerts", "--rule", "job-failed", "--json", "--lake", lake)) as AlertPage;
  assert.deepEqual(items, []);
});

test("gold has exactly the recording's hourly candles", { skip: skipWithout(RECORDING) }, async () => {
  const { environment } = servers;
  const open = await openLake(findLake(servers.data, lake), { env: environment });
  // PyIceberg's option names for the settings of Amazon's clients.
  const found = {
    PYICEBERG_CATALOG__LAKE__S3__ENDPOINT: environment["AWS_ENDPOINT_URL_S3"] ?? "",
    PYICEBERG_CATALOG__LAKE__S3__ACCESS_KEY_ID: environment["AWS_ACCESS_KEY_ID"] ?? "",
    PYICEBERG_CATALOG__LAKE__S3__SECRET_ACCESS_KEY: environment["AWS_SECRET_ACCESS_KEY"] ?? "",
    PYICEBERG_CATALOG__LAKE__S3__REGION: environment["AWS_REGION"] ?? "",
  };
  try {
    const report = await pythonReport(ORACLE, [open.server.url, market], found);
    assert.deepEqual(JSON.parse(report), { wanted: HOURS, found: HOURS, differences: 0, first: [] });
  } finally {
    await open.close();
  }
});
