import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { openLake } from "../../src/lake/open.ts";
import { findLake } from "../../src/lake/lake.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { coinlake, temporaryFolder, type Finished } from "../support/coinlake.ts";
import { marketData, skipWithout } from "../support/market-data.ts";
import { krakenSessionAsV2 } from "../producers/kraken-v1.ts";
import { pythonReport } from "../support/python-report.ts";

const SCRIPT = fileURLToPath(new URL("exchange_trades.py", import.meta.url));
const PRODUCTS = join(projectFolder(), "dbt_crypto", "seeds", "crypto_products.csv");

interface Session {
  file: string;
  /** Distinct trades within five minutes of their receipt. */
  updates: number;
  converted?(text: string): string;
}

const SESSIONS: readonly Session[] = [
  { file: "coinbase-websocket.txt.gz", updates: 107 },
  { file: "binance-websocket.txt.gz", updates: 2 },
  { file: "kraken-websocket.txt.gz", updates: 10, converted: krakenSessionAsV2 },
];

for (const { file, updates, converted } of SESSIONS) {
  describe(`replaying ${file}`, { skip: skipWithout(file) }, () => {
    const folder = temporaryFolder();
    const session = join(folder.path, file);
    let replay: Finished;

    before(async () => {
      const text = gunzipSync(readFileSync(marketData(file) ?? "")).toString("utf8");
      writeFileSync(session, gzipSync(converted?.(text) ?? text));
      replay = await coinlake([
        "start",
        "--source",
        `replay:${session}`,
        "--speed",
        "max",
        "--until-drained",
        "--catalog-port",
        "0",
        "--data",
        folder.path,
      ]);
    });
    after(() => folder.remove());

    test("ends well, with tests passed", () => {
      assert.equal(replay.code, 0, replay.stderr);
      assert.match(replay.stderr, /tests passed/);
    });

    test("gives the session's trades, minutes and hours, exactly", async () => {
      const lake = await openLake(findLake(folder.path, null));
      try {
        const { minutes, hours, ...report } = JSON.parse(
          await pythonReport(SCRIPT, [lake.server.url, session, PRODUCTS]),
        );
        assert.ok(minutes >= hours && hours > 0);
        assert.deepEqual(report, {
          late: 0,
          updates,
          updates_differing: [],
          minutes_differing: [],
          hours_differing: [],
        });
      } finally {
        await lake.close();
      }
    });

    test("reconciles: what is no trade is in quarantine", async () => {
      const { code, stdout, stderr } = await coinlake(["verify", "--json", "--data", folder.path]);
      assert.equal(code, 0, stderr);
      const { figures } = JSON.parse(stdout);
      assert.equal(figures.accepted, updates);
      assert.deepEqual(
        Object.keys(figures.rejected_by_reason).filter((reason) => reason !== "not_a_trade"),
        [],
      );
    });
  });
}
