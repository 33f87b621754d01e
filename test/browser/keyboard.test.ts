import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "puppeteer-core";
import { openPage, PATIENCE_MS, skip, startBrowser, untilLoaded, untilText } from "./browser.ts";
import { openMarket, type OpenMarket } from "./market.ts";

const place = (page: Page) => page.evaluate(() => location.pathname + location.search);

async function untilPlace(page: Page, wanted: RegExp): Promise<void> {
  await page.waitForFunction(
    (pattern: string) => new RegExp(pattern).test(location.pathname + location.search),
    { timeout: PATIENCE_MS, polling: 50 },
    wanted.source,
  );
}

describe("by keyboard alone", { skip }, () => {
  let browser: Browser;
  let market: OpenMarket;
  before(async () => {
    browser = await startBrowser();
    market = await openMarket({ is_tested: false });
  });
  after(async () => {
    await market.close();
    await browser.close();
  });

  test("a coin is searched for, focused visibly and opened", async () => {
    const { page, problems } = await openPage(browser, market.url);
    await untilText(page, /BTC\s+Bitcoin/);
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("type")), "search");
    await page.keyboard.type("ethereum");
    await untilText(page, /1 of \d+ coins/);
    await page.keyboard.press("ArrowDown");
    await page.waitForFunction(() => document.activeElement?.matches("tr[data-id='ethereum']:focus-visible") === true, {
      timeout: PATIENCE_MS,
    });
    await page.keyboard.press("Enter");
    await untilPlace(page, /^\/coins\/ethereum$/);
    await untilText(page, "Ethereum");
    assert.deepEqual(problems, []);
    await page.browserContext().close();
  });

  test("arrow keys move the focused row, Home and End jump, and a header sorts", async () => {
    const { page } = await openPage(browser, market.url);
    await untilText(page, /BTC\s+Bitcoin/);
    await page.focus(".coins tr[data-row='0']");
    const marked = () =>
      page
        .waitForFunction(() => (document.activeElement as HTMLElement).dataset["row"] ?? null, { timeout: PATIENCE_MS })
        .then((handle) => handle.jsonValue());
    const press = async (key: "ArrowDown" | "ArrowUp" | "End" | "Home", row: string) => {
      await page.keyboard.press(key);
      await page.waitForFunction(
        (wanted: string) => (document.activeElement as HTMLElement).dataset["row"] === wanted,
        { timeout: PATIENCE_MS, polling: 50 },
        row,
      );
    };
    assert.equal(await marked(), "0");
    const last = String((await page.$$(".coins tr[data-row]")).length - 1);
    await press("ArrowDown", "1");
    await press("End", last);
    await press("ArrowUp", String(Number(last) - 1));
    await press("Home", "0");
    await page.focus(".coins th.col-day button");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".coins th.col-day[aria-sort=descending]");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".coins th.col-day[aria-sort=ascending]");
    assert.match(await place(page), /sort=change_24h&order=asc/);
    await page.browserContext().close();
  });

  test("g and a letter open a page, ? opens the help, and Escape closes it", async () => {
    const { page, problems } = await openPage(browser, market.url);
    await untilText(page, "streaming");
    for (const [key, path] of [
      ["l", "/lake"],
      ["o", "/log"],
      ["q", "/quality"],
      ["a", "/alerts"],
      ["s", "/sql"],
      ["r", "/api/reference"],
      ["m", "/"],
    ] as const) {
      await page.keyboard.press("g");
      await page.keyboard.press(key);
      await untilPlace(page, new RegExp(`^${path}$`));
    }
    await page.keyboard.press("?");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.querySelector("dialog[open]") === null, { timeout: PATIENCE_MS });
    await page.goBack();
    await untilPlace(page, /^\/api\/reference$/);
    assert.deepEqual(problems, []);
    await page.browserContext().close();
  });

  test("the chart steps through its candles, and time travel is started and ended", async () => {
    const { page, problems } = await openPage(browser, `${market.url}/coins/bitcoin`);
    await untilText(page, /Newest snapshot/);
    await untilLoaded(page);
    await page.focus(".chart");
    const legend = () => page.$eval(".legend", (element) => (element as HTMLElement).innerText);
    await page.keyboard.press("ArrowLeft");
    const newest = await legend();
    await page.keyboard.press("ArrowLeft");
    await page.waitForFunction(
      (text: string) => document.querySelector<HTMLElement>(".legend")?.innerText !== text,
      { timeout: PATIENCE_MS, polling: 50 },
      newest,
    );
    await page.focus(".travel input[type=range]");
    await page.keyboard.press("ArrowLeft");
    await untilText(page, "TIME TRAVEL");
    await untilPlace(page, /at=2/);
    await untilText(page, /Snapshot read/);
    await untilLoaded(page);
    const then = await page.$eval(".chart", (chart) => chart.getAttribute("aria-label") ?? "");
    assert.match(then, /candles of 1m from/);
    await page.evaluate(() =>
      [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Back to now")?.focus(),
    );
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => !document.body.innerText.includes("TIME TRAVEL"), {
      timeout: PATIENCE_MS,
      polling: 50,
    });
    assert.deepEqual(problems, []);
    await page.browserContext().close();
  });
});
