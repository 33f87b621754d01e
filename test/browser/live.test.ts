import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "puppeteer-core";
import { startRunning } from "../serve/running.ts";
import { openPage, PATIENCE_MS, skip, startBrowser, untilLoaded, untilText } from "./browser.ts";
import { layCable } from "./cable.ts";
import { openMarket, type OpenMarket } from "./market.ts";

const BITCOIN = ".coins tr[data-id='bitcoin'] .col-price";

/** Resolves to the new text of Bitcoin's price once it is another. */
async function untilPriceMoves(page: Page): Promise<void> {
  const shown = await page.$eval(BITCOIN, (cell) => cell.textContent);
  await page.waitForFunction((selector: string, text: string | null) => document.querySelector(selector)?.textContent !== text, { timeout: PATIENCE_MS, polling: 50 }, BITCOIN, shown);
}

/** `data-id` of the rows, in their order. */
function orderOf(page: Page): Promise<(string | undefined)[]> {
  return page.$$eval(".coins tr[data-row]", (rows) => rows.map((row) => (row as HTMLElement).dataset["id"]));
}

describe("a page that lives", { skip }, () => {
  let browser: Browser;
  let market: OpenMarket;
  before(async () => {
    browser = await startBrowser();
    market = await openMarket({ is_tested: false });
    market.goLive();
  });
  after(async () => {
    await market.close();
    await browser.close();
  });

  test("a tick changes its cell, tints it, and moves nothing else", async () => {
    const { page, problems } = await openPage(browser, `${market.url}/?sort=price&order=desc`);
    await page.evaluate(() => {
      const shifts: number[] = [];
      Object.assign(window, { shifts });
      new PerformanceObserver((list) => shifts.push(...list.getEntries().map((entry) => (entry as unknown as { value: number }).value))).observe({ type: "layout-shift", buffered: true });
    });
    await untilText(page, /BTC\s+Bitcoin/);
    await untilLoaded(page);
    const order = await orderOf(page);
    await untilPriceMoves(page);
    assert.match((await page.$eval(BITCOIN, (cell) => cell.className)) ?? "", /flash-(?:up|down)-[01]/);
    assert.deepEqual(await orderOf(page), order);
    const shifted = await page.evaluate(() => (window as unknown as { shifts: number[] }).shifts.reduce((sum, shift) => sum + shift, 0));
    assert.ok(shifted < 0.02, `the page shifted by ${shifted} while it loaded and lived`);
    assert.deepEqual(problems, []);
    await page.browserContext().close();
  });

  test("without the event stream prices still come, and the page says how", async () => {
    const { page } = await openPage(browser, `${market.url}/about`);
    await page.setRequestInterception(true);
    page.on("request", (request) => void (request.url().includes("/api/events") ? request.abort() : request.continue()));
    await page.goto(market.url, { waitUntil: "domcontentloaded" });
    await untilText(page, /stream cut, polling instead; reconnecting in \d+ s/);
    await untilText(page, /BTC\s+Bitcoin/);
    await untilPriceMoves(page);
    await page.browserContext().close();
  });

  test("a cut connection leaves the page standing, counts down, and resumes after the last event heard", async (t) => {
    const cable = await layCable(market.url);
    t.after(() => cable.close());
    const { page } = await openPage(browser, cable.url);
    t.after(() => page.browserContext().close());
    const asked: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("/api/events")) asked.push(request.url());
    });
    await untilText(page, /BTC\s+Bitcoin/);
    await untilText(page, "streaming");
    cable.pull();
    await untilText(page, /Coinlake does not answer/);
    await untilText(page, /reconnecting in \d+ s/);
    await untilText(page, /figures as of/);
    assert.ok((await page.$(BITCOIN)) !== null, "the table is gone");
    cable.plug();
    await untilText(page, "streaming");
    await page.waitForFunction(() => !/Coinlake does not answer|figures as of/.test(document.body.innerText), { timeout: PATIENCE_MS, polling: 100 });
    assert.match(asked.at(-1) ?? "", /last_event_id=[\w-]+/);
  });

  test("events that cannot be had any more are told of, and what is shown is loaded anew", async (t) => {
    const cable = await layCable(market.url);
    t.after(() => cable.close());
    const { page } = await openPage(browser, cable.url);
    t.after(() => page.browserContext().close());
    await untilText(page, /BTC\s+Bitcoin/);
    await untilText(page, "streaming");
    cable.pull();
    await untilText(page, /reconnecting in \d+ s/);
    // Another server over the same lake knows none of the first one's events.
    const other = await startRunning(market.lake);
    t.after(() => other.close());
    cable.plug(other.url);
    await untilText(page, /updates to this page were missed/);
    await untilText(page, "streaming");
    await page.evaluate(() => [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Dismiss")?.click());
    await page.waitForFunction(() => !document.body.innerText.includes("were missed"), { timeout: PATIENCE_MS, polling: 100 });
  });
});
