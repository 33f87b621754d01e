import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "puppeteer-core";
import { startRunning } from "../serve/running.ts";
import {
  accessibilityOf,
  openPage,
  overhangOf,
  PATIENCE_MS,
  PHONE,
  skip,
  startBrowser,
  untilLoaded,
  untilText,
} from "./browser.ts";
import { layCable } from "./cable.ts";
import { openMarket, type OpenMarket } from "./market.ts";

const BITCOIN = ".coins tr[data-id='bitcoin'] .col-price";

/** Resolves to the new text of Bitcoin's price when it changes. */
async function untilPriceMoves(page: Page): Promise<void> {
  const shown = await page.$eval(BITCOIN, (cell) => cell.textContent);
  await page.waitForFunction(
    (selector: string, text: string | null) => document.querySelector(selector)?.textContent !== text,
    { timeout: PATIENCE_MS, polling: 50 },
    BITCOIN,
    shown,
  );
}

/** `data-id` of the rows, in display order. */
function orderOf(page: Page): Promise<(string | undefined)[]> {
  return page.$$eval(".coins tr[data-row]", (rows) => rows.map((row) => (row as HTMLElement).dataset["id"]));
}

/** Number of clients of the event stream, once those of closed tabs have disconnected. */
async function streamsOf({ url }: OpenMarket): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^coinlake_sse_clients (\d+)$/m.exec(text)?.[1]);
}

const STEP_MS = 60_000;
const START_MS = Date.parse("2026-03-14T00:00:00Z");

/** Candles of a price that rises by one dollar per minute. */
function minutes(count: number): object[] {
  return Array.from({ length: count }, (_, index) => {
    const close = String(100 + index);
    return {
      time: new Date(START_MS + index * STEP_MS).toISOString(),
      open: close,
      high: close,
      low: close,
      close,
      volume: null,
      price_updates: 1,
    };
  });
}

/** A list of one coin that has no price yet. */
const UNPRICED = JSON.stringify({
  items: [
    {
      id: "bitcoin",
      symbol: "BTC",
      name: "Bitcoin",
      category: null,
      rank: 1,
      price: null,
      price_at: null,
      source: null,
      change_1h_percent: null,
      change_24h_percent: null,
      volume_24h: null,
      market_cap: null,
      is_delisted: false,
      sparkline: [],
    },
  ],
  total: 1,
  next: null,
});

describe("a live page", { skip }, () => {
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

  test("a tick updates and tints its cell, and moves nothing else", async (t) => {
    const { page, problems } = await openPage(browser, `${market.url}/?sort=price&order=desc`);
    // Also after a failure: the next tests count the open streams.
    t.after(() => page.browserContext().close());
    await page.evaluate(() => {
      const shifts: number[] = [];
      Object.assign(window, { shifts });
      new PerformanceObserver((list) =>
        shifts.push(...list.getEntries().map((entry) => (entry as unknown as { value: number }).value)),
      ).observe({ type: "layout-shift", buffered: true });
    });
    await untilText(page, /BTC\s+Bitcoin/);
    await untilLoaded(page);
    const order = await orderOf(page);
    await untilPriceMoves(page);
    assert.match((await page.$eval(BITCOIN, (cell) => cell.className)) ?? "", /flash-(?:up|down)-[01]/);
    assert.deepEqual(await orderOf(page), order);
    const shifted = await page.evaluate(() =>
      (window as unknown as { shifts: number[] }).shifts.reduce((sum, shift) => sum + shift, 0),
    );
    assert.ok(shifted < 0.02, `the page shifted by ${shifted} while it loaded and lived`);
    assert.deepEqual(problems, []);
  });

  test("without the event stream prices are polled, and the page says so", async () => {
    const { page } = await openPage(browser, `${market.url}/about`);
    await page.setRequestInterception(true);
    page.on(
      "request",
      (request) => void (request.url().includes("/api/events") ? request.abort() : request.continue()),
    );
    await page.goto(market.url, { waitUntil: "domcontentloaded" });
    await untilText(page, /event stream interrupted, polling; reconnecting in \d+ s/);
    await untilText(page, /BTC\s+Bitcoin/);
    await untilPriceMoves(page);
    await page.browserContext().close();
  });

  test("after a cut connection the page keeps its data, counts down, and resumes after the last event", async (t) => {
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
    await untilText(page, /Coinlake does not respond/);
    await untilText(page, /reconnecting in \d+ s/);
    await untilText(page, /data from/);
    assert.ok((await page.$(BITCOIN)) !== null, "the table is gone");
    cable.plug();
    await untilText(page, "streaming");
    await page.waitForFunction(() => !/Coinlake does not respond|data from/.test(document.body.innerText), {
      timeout: PATIENCE_MS,
      polling: 100,
    });
    assert.match(asked.at(-1) ?? "", /last_event_id=[\w-]+/);
  });

  test("six tabs share one event stream; when the tab that owns it closes, another tab resumes it", async (t) => {
    const { page: first, problems } = await openPage(browser, market.url);
    const context = first.browserContext();
    t.after(() => context.close());
    const paths = ["/coins/bitcoin", "/lake", "/quality", "/log", "/"];
    const others: Page[] = [];
    for (const path of paths) {
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      others.push(page);
      await page.goto(`${market.url}${path}`, { waitUntil: "domcontentloaded" });
    }
    for (const page of [first, ...others]) {
      await untilText(page, "streaming");
      await untilLoaded(page);
    }
    assert.equal(await streamsOf(market), 1);
    const last = others.at(-1);
    assert.ok(last !== undefined);
    await untilPriceMoves(last);
    const resumed = Promise.race(
      others.map((page) => page.waitForRequest((request) => request.url().includes("/api/events"))),
    );
    await first.close();
    assert.match((await resumed).url(), /last_event_id=[\w-]+/);
    await untilPriceMoves(last);
    assert.equal(await streamsOf(market), 1);
    assert.ok(!(await last.evaluate(() => document.body.innerText)).includes("were missed"));
    assert.deepEqual(problems, []);
  });

  test("without the Web Locks API each tab has its own stream", async (t) => {
    const { page } = await openPage(browser, `${market.url}/about`, undefined, /404/);
    const context = page.browserContext();
    t.after(() => context.close());
    for (const tab of [page, await context.newPage()]) {
      await tab.evaluateOnNewDocument(() => Object.defineProperty(Navigator.prototype, "locks", { value: undefined }));
      await tab.goto(market.url, { waitUntil: "domcontentloaded" });
      await untilText(tab, "streaming");
    }
    assert.equal(await streamsOf(market), 2);
  });

  test("events that are no longer available are reported in a notice that can be dismissed", async (t) => {
    const cable = await layCable(market.url);
    t.after(() => cable.close());
    const { page } = await openPage(browser, cable.url);
    t.after(() => page.browserContext().close());
    await untilText(page, /BTC\s+Bitcoin/);
    await untilText(page, "streaming");
    cable.pull();
    await untilText(page, /reconnecting in \d+ s/);
    // Another server over the same lake has none of the first server's events.
    const other = await startRunning(market.lake);
    t.after(() => other.close());
    cable.plug(other.url);
    await untilText(page, /updates to the dashboard were missed/);
    await untilText(page, "streaming");
    await page.evaluate(() =>
      [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Dismiss")?.click(),
    );
    await page.waitForFunction(() => !document.body.innerText.includes("were missed"), {
      timeout: PATIENCE_MS,
      polling: 100,
    });
  });

  test("without events the chart loads the candles that were added", async (t) => {
    const { page } = await openPage(browser, `${market.url}/about`, undefined, /404/);
    t.after(() => page.browserContext().close());
    let known = minutes(30);
    await page.setRequestInterception(true);
    page.on("request", (request) => {
      const url = new URL(request.url());
      // The market's own price is of today: it would be another candle.
      if (url.pathname === "/api/coins")
        return void request.respond({ status: 200, contentType: "application/json", body: UNPRICED });
      if (!url.pathname.endsWith("/candles")) return void request.continue();
      // Applies `from` and `limit` as the API does.
      const from_ms = Date.parse(url.searchParams.get("from") ?? "1970-01-01T00:00:00Z");
      const items = known
        .filter((candle) => Date.parse((candle as { time: string }).time) >= from_ms)
        .slice(-Number(url.searchParams.get("limit")));
      const body = JSON.stringify({ interval: "1m", at: null, snapshots: [], items, last_price: null, next: null });
      void request.respond({ status: 200, contentType: "application/json", body });
    });
    // Without events, only the API's responses update the chart.
    await page.evaluateOnNewDocument(() =>
      Object.assign(window, {
        EventSource: class extends EventTarget {
          close(): void {}
        },
      }),
    );
    await page.goto(`${market.url}/coins/bitcoin?interval=1m`, { waitUntil: "domcontentloaded" });
    const label = () => page.$eval(".chart", (chart) => chart.getAttribute("aria-label") ?? "");
    await page.waitForFunction(
      () => document.querySelector(".chart")?.getAttribute("aria-label")?.includes("30 candles"),
      { timeout: PATIENCE_MS },
    );
    known = minutes(75);
    await page.waitForFunction(
      () => document.querySelector(".chart")?.getAttribute("aria-label")?.includes("75 candles"),
      { timeout: PATIENCE_MS, polling: 250 },
    );
    assert.match(
      await label(),
      /75 candles of 1m from 2026-03-14 00:00:00 to 2026-03-14 01:14:00 UTC; low 100, high 174, last 174/,
    );
  });

  test("an overlay is above the chart, the focus ring is visible, and daily candles show no time of day", async (t) => {
    const { page } = await openPage(browser, `${market.url}/coins/bitcoin?interval=1d`);
    t.after(() => page.browserContext().close());
    await untilText(page, /\d{4}-\d\d-\d\d UTC/);
    assert.doesNotMatch(await page.$eval(".legend", (legend) => (legend as HTMLElement).innerText), /00:00/);
    const ring = () => page.$eval(".chart-frame", (frame) => getComputedStyle(frame, "::after").borderTopStyle);
    assert.equal(await ring(), "none");
    await page.focus(".chart");
    assert.equal(await ring(), "solid");
    // The element at the middle of the chart is the topmost one there.
    const top = await page.$eval(".chart-frame", (frame) => {
      const over = document.createElement("div");
      over.className = "chart-over";
      frame.append(over);
      const { left, top: y, width, height } = frame.getBoundingClientRect();
      const found = document.elementFromPoint(left + width / 2, y + height / 2);
      over.remove();
      return found === over;
    });
    assert.ok(top, "the chart covers what is laid over it");
  });

  test("changes of every size are right-aligned and stay inside their columns", async (t) => {
    const { page } = await openPage(browser, `${market.url}/about`, undefined, /404/);
    t.after(() => page.browserContext().close());
    const sizes = [0, 1.5, -9.99, 10, -99.99, 123.45, 1_234.56, -12_345.67, 987_654.3];
    await page.setRequestInterception(true);
    page.on("request", (request) => {
      // The event of a trade would replace the figures.
      if (request.url().includes("/api/events")) return void request.abort();
      if (!request.url().includes("/api/coins?")) return void request.continue();
      void (async () => {
        const list = (await (await fetch(request.url())).json()) as {
          items: { change_1h_percent: number; change_24h_percent: number }[];
        };
        for (const [index, coin] of list.items.entries())
          coin.change_1h_percent = coin.change_24h_percent = sizes[index % sizes.length] ?? 0;
        await request.respond({ status: 200, contentType: "application/json", body: JSON.stringify(list) });
      })();
    });
    for (const view of [{ width: 1280, height: 800 }, PHONE]) {
      await page.setViewport({ ...view });
      await page.goto(market.url, { waitUntil: "domcontentloaded" });
      await untilText(page, /BTC\s+Bitcoin/);
      for (const column of view === PHONE ? ["col-day"] : ["col-hour", "col-day"]) {
        const cells = await page.$$eval(`.coins td.${column}`, (found) =>
          found.map((cell) => {
            const figure = cell.querySelector(".change")?.getBoundingClientRect();
            return {
              text: cell.textContent,
              left: (figure?.left ?? 0) - cell.getBoundingClientRect().left,
              right: Math.round(figure?.right ?? 0),
            };
          }),
        );
        assert.ok(
          cells.some(({ text }) => text?.includes("−12,346 %")),
          JSON.stringify(cells),
        );
        assert.equal(new Set(cells.map(({ right }) => right)).size, 1, JSON.stringify(cells));
        for (const { text, left } of cells) assert.ok(left >= 0, `${text} overlaps the column before it`);
      }
      assert.ok((await overhangOf(page)) <= 0, "the page scrolls sideways");
    }
  });

  test("a phone shows every menu entry beside a count of alerts, and the 1 h change if 24 h is unknown", async (t) => {
    const { page } = await openPage(browser, market.url, PHONE);
    t.after(() => page.browserContext().close());
    await page.setRequestInterception(true);
    page.on("request", (request) => {
      // An event would replace the count by the right one.
      if (request.url().includes("/api/events")) return void request.abort();
      const is_list = request.url().includes("/api/coins?");
      if (!is_list && !request.url().endsWith("/api/status")) return void request.continue();
      void (async () => {
        const answer = (await (await fetch(request.url())).json()) as {
          items?: { change_24h_percent: number | null }[];
          alerts_active?: number;
        };
        for (const coin of answer.items ?? []) coin.change_24h_percent = null;
        if (!is_list) answer.alerts_active = 127;
        await request.respond({ status: 200, contentType: "application/json", body: JSON.stringify(answer) });
      })();
    });
    await page.goto(market.url, { waitUntil: "domcontentloaded" });
    await untilText(page, /BTC\s+Bitcoin/);
    await untilText(page, /127/);
    const { cut_px, columns } = await page.evaluate(() => {
      const menu = document.querySelector(".menu");
      const heads = [...document.querySelectorAll<HTMLElement>(".coins th")];
      return {
        cut_px: (menu?.scrollWidth ?? 0) - (menu?.clientWidth ?? 0),
        columns: heads.filter(({ offsetWidth }) => offsetWidth > 0).map(({ innerText }) => innerText.trim()),
      };
    });
    assert.equal(cut_px, 0);
    assert.deepEqual(columns, ["Coin", "Price, USD", "1 h"]);
  });

  test("the tile and the row of a coin show the same change over an hour", async (t) => {
    const { page } = await openPage(browser, market.url);
    t.after(() => page.browserContext().close());
    await untilText(page, /BTC\s+Bitcoin/);
    await untilLoaded(page);
    // In one task, so that no tick arrives in between.
    const shown = await page.evaluate(() =>
      [".tile .change", ".coins tr[data-id='bitcoin'] .col-hour .change"].map(
        (selector) => document.querySelector(selector)?.textContent,
      ),
    );
    assert.equal(shown[0], shown[1]);
    assert.match(shown[0] ?? "", /%/);
  });

  test("a rule's form accepts a level with separators, a coin's symbol, and a channel from the list", async (t) => {
    await market.running.alerts.createSink({
      id: "on-call",
      kind: "slack",
      url: "https://hooks.example.org/services/x",
    });
    const { page } = await openPage(browser, `${market.url}/alerts`, PHONE, /400/);
    t.after(() => page.browserContext().close());
    const press = (name: string) =>
      page.evaluate(
        (text: string) =>
          [...document.querySelectorAll("button")].find(({ textContent }) => textContent?.trim() === text)?.click(),
        name,
      );
    const field = async (label: string): Promise<void> => {
      const found = await page.evaluate((text: string) => {
        const one = [...document.querySelectorAll<HTMLLabelElement>(".rule-form label")].find(
          ({ innerText }) => innerText.trim() === text,
        );
        const control = one?.control ?? one?.querySelector("input, select");
        (control as HTMLElement | null)?.focus();
        return control != null;
      }, label);
      assert.ok(found, `no field ${label}`);
    };
    await untilText(page, "New rule");
    await untilLoaded(page);
    await press("New rule");
    await field("Name");
    await page.keyboard.type("Bitcoin high");
    await page.evaluate(() => {
      const kind = [...document.querySelectorAll("select")].find((select) =>
        [...select.options].some(({ value }) => value === "crosses"),
      );
      if (kind === undefined) return;
      kind.value = "crosses";
      kind.dispatchEvent(new Event("change", { bubbles: true }));
    });
    await field("Level (USD)");
    await page.keyboard.type("1,5");
    assert.equal(
      await page.$eval(".rule-form", (form) => (form as HTMLFormElement).checkValidity()),
      false,
      "1,5 may be one and a half or fifteen",
    );
    await page.keyboard.press("Backspace");
    await page.keyboard.press("Backspace");
    await page.keyboard.press("Backspace");
    await page.keyboard.type("100,000");
    await field("Coins");
    await page.keyboard.type("btc");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".choice:not(.is-unknown)");
    await field("Also notify");
    await page.keyboard.type("on-call");
    await page.keyboard.press("Enter");
    assert.deepEqual(await accessibilityOf(page), []);
    assert.ok((await overhangOf(page)) <= 0, "the page scrolls sideways");
    await press("Create rule");
    await untilText(page, /Bitcoin price rises above 100,000 USD; notifies: this page, on-call/);
    const rules = await market.running.json<{
      items: { name: string; subjects: unknown; condition: { level?: string } }[];
    }>("/api/rules");
    const made = rules.items.find(({ name }) => name === "Bitcoin high");
    assert.deepEqual([made?.subjects, made?.condition.level], [["bitcoin"], "100000"]);
  });

  for (const path of [
    "/coins/bitcoin?at=nonsense",
    "/sql?at=nonsense",
    "/coins/bitcoin?at=%2B275760-09-13T00:00:00Z",
  ]) {
    test(`${path} names the invalid time and shows the current state`, async (t) => {
      const { page, problems } = await openPage(browser, `${market.url}${path}`);
      t.after(() => page.browserContext().close());
      await untilText(page, /Invalid time “.*” in the URL/);
      await untilLoaded(page);
      assert.doesNotMatch(await page.evaluate(() => document.body.innerText), /error in the dashboard|TIME TRAVEL/);
      assert.deepEqual(problems, []);
    });
  }
});
