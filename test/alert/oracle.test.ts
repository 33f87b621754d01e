import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Alert } from "../../src/alert/alert.ts";
import type { AlertPage, BackTest } from "../../src/alert/facade.ts";
import type { StoredRule } from "../../src/alert/rule.ts";
import { temporaryFolder, type Finished } from "../support/coinlake.ts";
import { marketData, skipWithout } from "../support/market-data.ts";
import { fallsInCandles } from "../oracle/falls.ts";
import { coinlakeByKind } from "../support/warm-coinlake.ts";

const FILE = "btc-1m-2023-03.csv.gz";
const DEFAULT_RULE = "fall-5-percent-10-minutes";

describe(`the default rule over a replay of ${FILE}`, { skip: skipWithout(FILE) }, () => {
  const folder = temporaryFolder();
  const command = (...args: string[]) => coinlakeByKind([...args, "--data", folder.path]);
  const parsed = ({ code, stdout, stderr }: Finished): unknown => {
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };

  before(async () => {
    const source = `replay:${marketData(FILE)}`;
    const { code, stderr } = await command(
      "start",
      "--source",
      source,
      "--speed",
      "max",
      "--until-drained",
      "--catalog-port",
      "0",
    );
    assert.equal(code, 0, stderr);
  });
  after(() => folder.remove());

  test("is there without anybody's doing", async () => {
    const [rule] = parsed(await command("rules", "list", "--json")) as StoredRule[];
    assert.deepEqual(
      [rule?.id, rule?.is_enabled, rule?.cooldown_seconds, rule?.hysteresis_percent, rule?.sinks],
      [DEFAULT_RULE, true, 0, 0, ["page"]],
    );
  });

  const wanted = () => fallsInCandles(marketData(FILE) ?? "", { percent: 5, minutes: 10, hours: 100_000 });
  const fallsOf = (alerts: readonly Alert[]) =>
    alerts
      .map(({ subject, opened_at, until_at, ticks }) => ({
        coin: subject,
        fell_at_ms: Date.parse(opened_at),
        until_at_ms: Date.parse(until_at),
        ticks,
      }))
      .sort((a, b) => a.fell_at_ms - b.fell_at_ms || (a.coin < b.coin ? -1 : 1));

  test("fired while it ran at the ticks that an independent scan names, once an episode", async () => {
    const { items } = parsed(await command("alerts", "--limit", "1000", "--json")) as AlertPage;
    assert.deepEqual(fallsOf(items), wanted());
  });

  test("would have fired at the ticks that an independent scan names, once an episode, and never for btcusd", async () => {
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

  test("can be tested over a day of it", async () => {
    const range = ["--from", "2023-03-14T00:00:00Z", "--to", "2023-03-15T00:00:00Z"];
    const found = parsed(await command("rules", "test", DEFAULT_RULE, ...range, "--json")) as BackTest;
    assert.ok(found.fired > 0 && found.alerts.every(({ opened_at }) => opened_at.startsWith("2023-03-14")));
  });
});
