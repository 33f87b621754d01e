import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "puppeteer-core";
import { startRunning, type Running } from "../serve/running.ts";
import { accessibilityOf, openPage, overhangOf, PHONE, skip, startBrowser, untilText } from "./browser.ts";
import { openEmpty, type OpenMarket } from "./market.ts";

const TOKEN = "a token for every reader";

describe("logging in", { skip }, () => {
  let browser: Browser;
  let market: OpenMarket;
  let guarded: Running;
  before(async () => {
    browser = await startBrowser();
    market = await openEmpty();
    guarded = await startRunning(market.lake, { token: TOKEN });
  });
  after(async () => {
    await guarded.close();
    await market.close();
    await browser.close();
  });

  test("the page asks for the token, reports a wrong one, and opens the market with the right one", async () => {
    const { page, problems } = await openPage(browser, guarded.url, PHONE, /401/);
    assert.equal(new URL(page.url()).pathname, "/login");
    const enter = async (token: string) => {
      await page.type("#token:focus", token);
      await page.keyboard.press("Enter");
    };
    await enter("another");
    await untilText(page, "Wrong token");
    assert.deepEqual(await accessibilityOf(page), []);
    assert.ok((await overhangOf(page)) <= 0, "the page scrolls sideways");
    assert.notEqual(await page.$eval("form", (form) => getComputedStyle(form).borderRadius), "0px", "it has its style");
    await enter(TOKEN);
    await untilText(page, "No coins yet");
    assert.deepEqual(problems, []);
    await page.browserContext().close();
  });
});
