import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { QuerySession } from "../../src/duckdb/session.ts";
import { openLake } from "../../src/lake/open.ts";
import { findLake } from "../../src/lake/lake.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { coinlake, type Finished, replayed, temporaryFolder } from "../support/coinlake.ts";
import { marketData, skipWithout } from "../support/market-data.ts";
import { krakenSessionAsV2 } from "../producers/kraken-v1.ts";
import { pythonReport } from "../support/python-report.ts";

const SCRIPT = fileURLToPath(new URL("exchange_trades.py", import.meta.url));
const PRODUCTS = join(projectFolder(), "dbt_crypto", "seeds", "crypto_products.csv");

interface Session {
  source: string;
  file: string;
  /** Distinct trades within five minutes of their receipt. */
  updates: number;
  converted?(text: string): string;
}

/** In the order of their times; no minute has trades of two. */
const SESSIONS: readonly Session[] = [
  { source: "coinbase", file: "coinbase-websocket.txt.gz", updates: 107 },
  { source: "kraken", file: "kraken-websocket.txt.gz", updates: 10, converted: krakenSessionAsV2 },
  { source: "binance", file: "binance-websocket.txt.gz", updates: 2 },
];
const UPDATES = SESSIONS.reduce((sum, { updates }) => sum + updates, 0);

function textOf({ file, converted }: Session): string {
  const text = gunzipSync(readFileSync(marketData(file) ?? "")).toString("utf8");
  return (converted?.(text) ?? text).trimEnd();
}

const skip = SESSIONS.map(({ file }) => skipWithout(file)).find((reason) => reason !== false) ?? false;

/** One recording, because a replay takes seconds however short it is. */
describe("replaying the sessions of three exchanges", { skip }, () => {
  const folder = temporaryFolder();
  const session = join(folder.path, "sessions.txt.gz");
  let replay: Finished;

  before(async () => {
    writeFileSync(session, gzipSync(`${SESSIONS.map(textOf).join("\n")}\n`));
    replay = await coinlake(replayed(session, folder.path));
  });
  after(() => folder.remove());

  test("succeeds, with tests passed", () => {
    assert.equal(replay.code, 0, replay.stderr);
    assert.match(replay.stderr, /tests passed/);
  });

  test("yields exactly the trades, minutes and hours of the sessions", async () => {
    const lake = await openLake(findLake(folder.path, null));
    const tables = await QuerySession.open(lake);
    try {
      const { minutes, hours, ...report } = JSON.parse(
        await pythonReport(SCRIPT, [lake.server.url, session, PRODUCTS]),
      );
      assert.ok(minutes >= hours && hours > 0);
      assert.deepEqual(report, {
        late: 0,
        updates: UPDATES,
        updates_differing: [],
        minutes_differing: [],
        hours_differing: [],
      });
      const { rows } = await tables.query(
        "select source, count(*)::varchar from silver.crypto_price_updates group by source",
      );
      assert.deepEqual(
        new Map(rows.map(([source, count]) => [source, Number(count)])),
        new Map(SESSIONS.map(({ source, updates }) => [source, updates])),
      );
    } finally {
      tables.close();
      await lake.close();
    }
  });

  test("reconciles, and rejects only elements that are not trades", async () => {
    const { code, stdout, stderr } = await coinlake(["verify", "--json", "--data", folder.path]);
    assert.equal(code, 0, stderr);
    const { figures } = JSON.parse(stdout);
    assert.equal(figures.accepted, UPDATES);
    assert.deepEqual(
      Object.keys(figures.rejected_by_reason).filter((reason) => reason !== "not_a_trade"),
      [],
    );
  });
});
