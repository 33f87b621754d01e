import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { openLake } from "../../../src/engine/open.ts";
import { findLake } from "../../../src/lake/lake.ts";
import { coinlake } from "../../coinlake.ts";
import { marketData, skipWithout } from "../../market-data.ts";
import { pythonReport } from "../../python-report.ts";
import { Servers } from "../servers.ts";

const FILE = "market-1h-2025-10.csv.gz";
const HOURS = 28_272;
const UPDATES = 113_088;
const SCRIPT = fileURLToPath(new URL("../../oracle/hourly_candles.py", import.meta.url));

describe(`replaying ${FILE} through the cluster`, { skip: skipWithout(FILE) }, () => {
  const path = marketData(FILE) ?? "";
  let servers: Servers;

  before(async () => {
    servers = await Servers.start("kafka", "spark");
    const { code, stderr } = await coinlake([
      "start", "--profile", "cluster", "--source", `replay:${path}`, "--speed", "max", "--until-drained", "--catalog-port", "0", "--data", servers.data,
    ]);
    assert.equal(code, 0, stderr);
  });
  after(async () => {
    await servers?.leave();
  });

  test("gives back the file's hourly candles, exactly", async () => {
    const { environment } = servers;
    const lake = await openLake(findLake(servers.data, null), { env: environment });
    // PyIceberg's names for what Amazon's clients know.
    const found = {
      PYICEBERG_CATALOG__LAKE__S3__ENDPOINT: environment["AWS_ENDPOINT_URL_S3"] ?? "",
      PYICEBERG_CATALOG__LAKE__S3__ACCESS_KEY_ID: environment["AWS_ACCESS_KEY_ID"] ?? "",
      PYICEBERG_CATALOG__LAKE__S3__SECRET_ACCESS_KEY: environment["AWS_SECRET_ACCESS_KEY"] ?? "",
      PYICEBERG_CATALOG__LAKE__S3__REGION: environment["AWS_REGION"] ?? "",
    };
    try {
      const report = await pythonReport(SCRIPT, [lake.server.url, path], found);
      assert.deepEqual(JSON.parse(report), { wanted: HOURS, found: HOURS, differences: 0, first: [] });
    } finally {
      await lake.close();
    }
  });

  test("balances the books", async () => {
    const { code, stdout, stderr } = await coinlake(["verify", "--json", "--data", servers.data]);
    assert.equal(code, 0, stderr);
    const { figures } = JSON.parse(stdout) as { figures: Record<string, number> };
    assert.deepEqual([figures["bronze_records"], figures["accepted"]], [UPDATES, UPDATES]);
  });
});
