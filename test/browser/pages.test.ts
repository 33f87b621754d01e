import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "puppeteer-core";
import { systemClock } from "../../src/base/clock.ts";
import {
  accessibilityOf,
  DESK,
  openPage,
  overhangOf,
  PHONE,
  skip,
  startBrowser,
  tooWideOf,
  untilLoaded,
  untilText,
} from "./browser.ts";
import { SIMULATED_SOURCE } from "../serve/running.ts";
import { openEmpty, openMarket, type OpenMarket } from "./market.ts";

interface PageCase {
  path: string;
  /** Text of the page once it is loaded, with data and without. */
  full: RegExp;
  empty: RegExp;
}

const PAGES: PageCase[] = [
  { path: "/", full: /BTC\s+Bitcoin/, empty: /No coins yet/ },
  { path: "/coins/bitcoin?interval=5m", full: /Newest snapshot/, empty: /Unknown coin/ },
  { path: "/alerts", full: /Any coin down more than 5/, empty: /No active alerts/ },
  {
    path: "/lake",
    full: /files and [^]* on disk for [^]*fact_crypto_ticks[^]*Time travel/,
    empty: /No maintenance runs yet\s+Compaction starts after \d+ commits of a table/,
  },
  { path: "/log", full: /crypto\.prices\.raw/, empty: /No messages yet/ },
  { path: "/quality", full: /Quarantine/, empty: /Nothing checked yet[^]*Not run: no tables yet/ },
  { path: "/sql", full: /fact_crypto_ticks/, empty: /Run a query to see results/ },
  { path: "/api/reference", full: /\/api\/status/, empty: /\/api\/status/ },
];
/** An unknown coin is a 404, which the browser logs in any case. */
const EXPECTED_OF_EMPTY = /404/;

/** A name without a space in which a line could break. */
const LONG_WORD = "a-name-without-a-place-to-break_".repeat(3);
const LONG_SENTENCE = "a rule whose name explains at length what it is for, and whom it wakes at night".slice(0, 110);
const LONG_URL = `https://alerts.example.org/${"path".repeat(60)}?token=${"y".repeat(100)}`;

describe("pages in a browser", { skip }, () => {
  let browser: Browser;
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser.close());

  describe("over a lake with data", () => {
    let market: OpenMarket;
    before(async () => {
      market = await openMarket();
      market.goLive();
    });
    after(() => market.close());

    for (const { path, full } of PAGES) {
      test(`${path} shows its data, obeys its content security policy, and is accessible on both screens`, async () => {
        const { page, problems } = await openPage(browser, `${market.url}${path}`);
        for (const [device, view] of Object.entries({ desk: DESK, phone: PHONE })) {
          await page.setViewport({ ...view });
          await page.reload({ waitUntil: "domcontentloaded" });
          await untilText(page, full);
          await untilLoaded(page);
          await untilText(page, "SIMULATED");
          assert.deepEqual(await accessibilityOf(page), [], device);
          assert.ok((await overhangOf(page)) <= 0, `the page scrolls sideways on a ${device}`);
        }
        assert.deepEqual(problems, []);
        await page.browserContext().close();
      });
    }

    test("both themes are accessible", async () => {
      for (const theme of ["light", "dark"]) {
        const { page } = await openPage(browser, market.url);
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
        await untilText(page, /BTC\s+Bitcoin/);
        await untilLoaded(page);
        assert.deepEqual(await accessibilityOf(page), [], theme);
        await page.browserContext().close();
      }
    });

    test("every page names a failed source and how long it has been silent", async () => {
      const alive = market.running.sources;
      const heard_at_us = systemClock.now_us() - 125_000_000;
      const gaps = [
        {
          product: "ETH-USD",
          first_id: 100,
          last_id: 102,
          found_at_us: heard_at_us,
          state: "lost" as const,
          reason: "the source does not give them any more",
        },
      ];
      market.running.sources = [
        {
          source: "kraken",
          state: "failed",
          message: "The connection was refused.",
          heard_at_us,
          silent_after_ms: 30_000,
          reconnects: 4,
          missed: { open: 0, filled: 12, lost: 3 },
          gaps,
        },
      ];
      const { page, problems } = await openPage(browser, market.url);
      for (const { path, full } of PAGES) {
        await page.goto(`${market.url}${path}`, { waitUntil: "domcontentloaded" });
        await untilText(page, full);
        await untilText(page, /kraken silent for 2 min/);
        if (path === "/quality") await untilText(page, /100–102/);
        assert.deepEqual(await accessibilityOf(page), [], path);
      }
      assert.deepEqual(problems, []);
      await page.browserContext().close();
      market.running.sources = alive;
    });

    // Last, because it fills the lists of alerts and rules.
    test("no page is wider than a phone, however long names, addresses and messages are", async () => {
      const { alerts } = market.running;
      const { sink } = await alerts.createSink({ id: `hook-${"x".repeat(50)}`, kind: "webhook", url: LONG_URL });
      for (const name of [LONG_WORD, LONG_SENTENCE])
        await alerts.createRule({
          name,
          condition: { kind: "volatility", window_minutes: 1440, percent: 0.0001 },
          sinks: ["page", sink.id],
        });
      await alerts.reportJob({ job: LONG_WORD, failure: LONG_URL });
      await alerts.reportJob({ job: "backup", failure: LONG_SENTENCE });
      const alive = market.running.sources;
      market.running.sources = [
        { ...SIMULATED_SOURCE, source: `replay:${LONG_WORD}`, state: "failed", message: LONG_URL, heard_at_us: 1 },
      ];
      market.running.failures.push({ code: "SOURCE_UNREACHABLE", message: LONG_URL });
      const too_wide: string[] = [];
      const { page } = await openPage(browser, market.url, PHONE);
      for (const { path, full } of PAGES) {
        await page.goto(`${market.url}${path}`, { waitUntil: "domcontentloaded" });
        await untilText(page, full);
        await untilLoaded(page);
        if (path === "/alerts") {
          await untilText(page, LONG_WORD);
          // Clicked by script, because an arriving alert may move a button between finding and clicking it.
          await page.$$eval(".rule-actions button:first-child, .rules + .more button", (buttons) => {
            for (const button of buttons) (button as HTMLElement).click();
          });
          await untilText(page, /alerts? over/);
        }
        too_wide.push(...(await tooWideOf(page)).map((element) => `${path}: ${element}`));
        if ((await overhangOf(page)) > 0) too_wide.push(`${path} scrolls sideways`);
      }
      await page.browserContext().close();
      assert.deepEqual(too_wide, []);
      market.running.failures.pop();
      market.running.sources = alive;
    });
  });

  describe("over an empty lake", () => {
    let market: OpenMarket;
    before(async () => {
      market = await openEmpty();
    });
    after(() => market.close());

    test("pages load one after another in one tab, and the event stream is open again after going back", async () => {
      const { page, problems } = await openPage(browser, `${market.url}/about`, undefined, EXPECTED_OF_EMPTY);
      for (const { path, empty } of PAGES) {
        await page.goto(`${market.url}${path}`, { waitUntil: "domcontentloaded" });
        await untilText(page, empty);
        await untilText(page, "streaming");
      }
      await page.goBack({ waitUntil: "domcontentloaded" });
      await untilText(page, "Run a query to see results");
      await untilText(page, "streaming");
      assert.deepEqual(problems, []);
      await page.browserContext().close();
    });

    for (const { path, empty } of PAGES) {
      test(`${path} describes what will appear, and is accessible`, async () => {
        const { page, problems } = await openPage(
          browser,
          `${market.url}${path}`,
          PHONE,
          path.startsWith("/coins") ? EXPECTED_OF_EMPTY : null,
        );
        await untilText(page, empty);
        assert.deepEqual(await accessibilityOf(page), []);
        assert.ok((await overhangOf(page)) <= 0, "the page scrolls sideways");
        assert.deepEqual(problems, []);
        await page.browserContext().close();
      });
    }
  });
});
