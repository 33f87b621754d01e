import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Alert } from "../../src/alert/alert.ts";
import type { AlertPage, BackTest } from "../../src/alert/facade.ts";
import type { StoredRule } from "../../src/alert/rule.ts";
import { openLake } from "../../src/lake/open.ts";
import { findLake } from "../../src/lake/lake.ts";
import { coinlake, type Finished, replayed, temporaryFolder } from "../support/coinlake.ts";
import { skipWithout } from "../support/market-data.ts";
import { coinlakeByKind } from "../support/warm-coinlake.ts";
import { fallsInCandles, type Fall } from "./falls.ts";
import { pythonReport } from "../support/python-report.ts";
import { expectedOf, recordingIn, type Recording } from "./recordings.ts";

const SCRIPT = fileURLToPath(new URL("hourly_candles.py", import.meta.url));
const DEFAULT_RULE = "fall-5-percent-10-minutes";

const MARKET: Recording = {
  file: "market-1h-2025-10.csv.gz",
  candle_minutes: 60,
  products: 38,
  days: ["2025-10-09", "2025-10-12"],
  whole_days: 31,
};
/** Bitcoin in three currencies, of which USDC lost and regained its dollar. */
const BITCOIN: Recording = {
  file: "btc-1m-2023-03.csv.gz",
  candle_minutes: 1,
  products: 3,
  days: ["2023-03-11", "2023-03-14"],
  whole_days: 21,
};

interface EpisodeRow {
  crypto_id: string;
  fell_at: string;
  until_at: string;
  from_price: string;
  lowest_price: string;
  ticks: string;
}

for (const recording of [MARKET, BITCOIN]) {
  const { file } = recording;
  const { hours, updates } = expectedOf(recording);
  describe(`replaying ${file}`, { skip: skipWithout(file) }, () => {
    const folder = temporaryFolder();
    let path = "";
    let replay: Finished;
    const command = (...args: string[]): Promise<Finished> => coinlakeByKind([...args, "--data", folder.path]);
    const parsed = ({ code, stdout, stderr }: Finished): unknown => {
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    };

    before(async () => {
      path = recordingIn(folder.path, recording);
      replay = await coinlake(replayed(path, folder.path));
    });
    after(() => folder.remove());

    test("succeeds, with tests passed", () => {
      assert.equal(replay.code, 0, replay.stderr);
      assert.match(replay.stdout, /REPLAY/);
      assert.match(replay.stderr, /tests passed/);
    });

    test("yields exactly the file's hourly candles", async () => {
      const lake = await openLake(findLake(folder.path, null));
      try {
        const report = await pythonReport(SCRIPT, [lake.server.url, path]);
        assert.deepEqual(JSON.parse(report), { wanted: hours, found: hours, differences: 0, first: [] });
      } finally {
        await lake.close();
      }
    });

    test("reconciles, without duplicates or rejected rows", async () => {
      const { figures } = parsed(await command("verify", "--json")) as { figures: Record<string, number> };
      assert.equal(figures["bronze_records"], updates);
      assert.equal(figures["accepted"], updates);
      for (const none of ["log_waiting", "silver_waiting", "duplicates", "rejected"]) assert.equal(figures[none], 0);
    });

    test("finds exactly the falls that a scan of the candles finds", async () => {
      const options = { percent: 5, minutes: 10, hours: 1000 };
      const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
      const { answers } = parsed(await command("ask", "4", ...flags, "--json")) as {
        answers: { parts: { rows: EpisodeRow[] }[] }[];
      };
      const rows = answers[0]?.parts[0]?.rows ?? [];
      const found = rows.map((row) => ({
        coin: row.crypto_id,
        fell_at_ms: Date.parse(row.fell_at.replace(/\+00$/, "Z")),
        until_at_ms: Date.parse(row.until_at.replace(/\+00$/, "Z")),
        ticks: Number(row.ticks),
      }));
      const wanted = fallsInCandles(path, options);
      assert.deepEqual(found, wanted);
      if (recording !== BITCOIN) return;
      assert.ok(
        wanted.some(
          ({ coin, fell_at_ms }) => coin === "btcusdc" && new Date(fell_at_ms).toISOString().startsWith("2023-03-14"),
        ),
      );
      assert.ok(!wanted.some(({ coin }) => coin === "btcusd"));
    });

    if (recording === BITCOIN) describe("the default rule", () => testDefaultRule(command, parsed, () => path));
  });
}

/** The default rule over a replay: as a scan of the candles says, while it ran and tested afterwards. */
function testDefaultRule(
  command: (...args: string[]) => Promise<Finished>,
  parsed: (finished: Finished) => unknown,
  path: () => string,
): void {
  const wanted = (): Fall[] => fallsInCandles(path(), { percent: 5, minutes: 10, hours: 100_000 });
  const fallsOf = (alerts: readonly Alert[]): Fall[] =>
    alerts
      .map(({ subject, opened_at, until_at, ticks }) => ({
        coin: subject,
        fell_at_ms: Date.parse(opened_at),
        until_at_ms: Date.parse(until_at),
        ticks,
      }))
      .sort((a, b) => a.fell_at_ms - b.fell_at_ms || (a.coin < b.coin ? -1 : 1));

  test("exists and is enabled by default", async () => {
    const [rule] = parsed(await command("rules", "list", "--json")) as StoredRule[];
    assert.deepEqual(
      [rule?.id, rule?.is_enabled, rule?.cooldown_seconds, rule?.hysteresis_percent, rule?.sinks],
      [DEFAULT_RULE, true, 0, 0, ["page"]],
    );
  });

  test("fired during the replay at the ticks of an independent scan, once an episode", async () => {
    const { items } = parsed(await command("alerts", "--limit", "1000", "--json")) as AlertPage;
    assert.deepEqual(fallsOf(items), wanted());
  });

  test("fires in a back-test at the ticks of an independent scan, once an episode, and never for btcusd", async () => {
    const found = parsed(await command("rules", "test", DEFAULT_RULE, "--json")) as BackTest;
    const fired = fallsOf(found.alerts);
    assert.deepEqual(fired, wanted());
    assert.equal(found.fired, fired.length);
    assert.ok(
      fired.some(({ coin }) => coin === "btcusdc"),
      "the recording holds the fall of btcusdc",
    );
    assert.ok(!fired.some(({ coin }) => coin === "btcusd"));
  });

  test("can be back-tested over a single day", async () => {
    const range = ["--from", "2023-03-14T00:00:00Z", "--to", "2023-03-15T00:00:00Z"];
    const found = parsed(await command("rules", "test", DEFAULT_RULE, ...range, "--json")) as BackTest;
    assert.ok(found.fired > 0 && found.alerts.every(({ opened_at }) => opened_at.startsWith("2023-03-14")));
  });
}
