import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openLake } from "../../src/lake/open.ts";
import { findLake } from "../../src/lake/lake.ts";
import { coinlake, temporaryFolder, type Finished } from "../support/coinlake.ts";
import { marketData, skipWithout } from "../support/market-data.ts";
import { fallsInCandles } from "./falls.ts";
import { pythonReport } from "../support/python-report.ts";

const SCRIPT = fileURLToPath(new URL("hourly_candles.py", import.meta.url));

const RECORDINGS = [
  { file: "market-1h-2025-10.csv.gz", hours: 28_272, updates: 113_088 },
  { file: "btc-1m-2023-03.csv.gz", hours: 1_512, updates: 362_880 },
];

interface EpisodeRow {
  crypto_id: string;
  fell_at: string;
  until_at: string;
  from_price: string;
  lowest_price: string;
  ticks: string;
}

for (const { file, hours, updates } of RECORDINGS) {
  const path = marketData(file);
  describe(`replaying ${file}`, { skip: skipWithout(file) }, () => {
    const folder = temporaryFolder();
    let replay: Finished;

    before(async () => {
      replay = await coinlake([
        "start",
        "--source",
        `replay:${path}`,
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

    test("ends well, with answers", () => {
      assert.equal(replay.code, 0, replay.stderr);
      assert.match(replay.stdout, /REPLAY/);
      assert.match(replay.stderr, /tests passed/);
    });

    test("gives back the file's hourly candles, exactly", async () => {
      const lake = await openLake(findLake(folder.path, null));
      try {
        const report = await pythonReport(SCRIPT, [lake.server.url, path ?? ""]);
        assert.deepEqual(JSON.parse(report), { wanted: hours, found: hours, differences: 0, first: [] });
      } finally {
        await lake.close();
      }
    });

    test("reconciles", async () => {
      const { code, stdout, stderr } = await coinlake(["verify", "--json", "--data", folder.path]);
      assert.equal(code, 0, stderr);
      const { figures } = JSON.parse(stdout);
      assert.equal(figures.bronze_records, updates);
      assert.equal(figures.accepted, updates);
      assert.equal(figures.log_waiting + figures.silver_waiting + figures.duplicates + figures.rejected, 0);
    });

    test("finds the falls that a scan of the candles finds, and no others", async () => {
      const options = { percent: 5, minutes: 10, hours: 1000 };
      const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
      const { code, stdout, stderr } = await coinlake(["ask", "4", ...flags, "--json", "--data", folder.path]);
      assert.equal(code, 0, stderr);
      const rows: EpisodeRow[] = JSON.parse(stdout).answers[0].parts[0].rows;
      const found = rows.map((row) => ({
        coin: row.crypto_id,
        fell_at_ms: Date.parse(row.fell_at.replace(/\+00$/, "Z")),
        until_at_ms: Date.parse(row.until_at.replace(/\+00$/, "Z")),
        ticks: Number(row.ticks),
      }));
      const wanted = fallsInCandles(path ?? "", options);
      assert.deepEqual(found, wanted);
      if (file.startsWith("btc")) {
        assert.ok(
          wanted.some(
            ({ coin, fell_at_ms }) => coin === "btcusdc" && new Date(fell_at_ms).toISOString().startsWith("2023-03-14"),
          ),
        );
        assert.ok(!wanted.some(({ coin }) => coin === "btcusd"));
      }
    });
  });
}
