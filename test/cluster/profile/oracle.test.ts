import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { startParts, type RunningCluster } from "../../../src/cluster/cluster.ts";
import { clusterFolder } from "../../../src/cluster/state.ts";
import { openLake } from "../../../src/engine/open.ts";
import { findLake } from "../../../src/lake/lake.ts";
import { coinlake, temporaryFolder } from "../../coinlake.ts";
import { marketData, skipWithout } from "../../market-data.ts";
import { pythonReport } from "../../python-report.ts";

const FILE = "market-1h-2025-10.csv.gz";
const HOURS = 28_272;
const UPDATES = 113_088;
const SCRIPT = fileURLToPath(new URL("../../oracle/hourly_candles.py", import.meta.url));

describe(`replaying ${FILE} through the cluster`, { skip: skipWithout(FILE) }, () => {
  const folder = temporaryFolder();
  const path = marketData(FILE) ?? "";
  let cluster: RunningCluster;

  before(async () => {
    // As root, PostgreSQL runs as somebody else, who must get through.
    chmodSync(folder.path, 0o711);
    cluster = await startParts(["kafka", "spark"], { folder: clusterFolder(folder.path), ports: "free" });
    const { code, stderr } = await coinlake([
      "start", "--profile", "cluster", "--source", `replay:${path}`, "--speed", "max", "--until-drained", "--catalog-port", "0", "--data", folder.path,
    ]);
    assert.equal(code, 0, stderr);
  });
  after(async () => {
    await cluster?.stop();
    folder.remove();
  });

  test("gives back the file's hourly candles, exactly", async () => {
    const { environment } = cluster;
    const lake = await openLake(findLake(folder.path, null), { env: environment });
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
    const { code, stdout, stderr } = await coinlake(["verify", "--json", "--data", folder.path]);
    assert.equal(code, 0, stderr);
    const { figures } = JSON.parse(stdout) as { figures: Record<string, number> };
    assert.deepEqual([figures["bronze_records"], figures["accepted"]], [UPDATES, UPDATES]);
  });
});
