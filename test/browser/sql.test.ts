import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "puppeteer-core";
import {
  accessibilityOf,
  openPage,
  overhangOf,
  PATIENCE_MS,
  PHONE,
  skip,
  startBrowser,
  untilText,
  type Watched,
} from "./browser.ts";
import { openMarket, type OpenMarket } from "./market.ts";
import { eventually } from "../support/eventually.ts";

/** Rejected SQL has a 4xx response, which the browser's console repeats. */
const REJECTED = /40[0-9]|42[0-9]/;

async function write(page: Page, sql: string): Promise<void> {
  await page.waitForFunction(
    () => document.querySelector(".editor")?.shadowRoot?.querySelector(".cm-content") != null,
    { timeout: PATIENCE_MS },
  );
  await page.evaluate(() =>
    document.querySelector(".editor")?.shadowRoot?.querySelector<HTMLElement>(".cm-content")?.focus(),
  );
  await page.keyboard.down("Control");
  await page.keyboard.press("a");
  await page.keyboard.up("Control");
  // Inserts text as a paste does: typing would complete brackets and names.
  await (await page.createCDPSession()).send("Input.insertText", { text: sql });
}

async function run(page: Page, sql: string): Promise<void> {
  await write(page, sql);
  await page.keyboard.down("Control");
  await page.keyboard.press("Enter");
  await page.keyboard.up("Control");
}

const inEditor = (page: Page, selector: string) =>
  page.evaluate(
    (wanted: string) =>
      document.querySelector(".editor")?.shadowRoot?.querySelector<HTMLElement>(wanted)?.innerText ?? null,
    selector,
  );

describe("the SQL page", { skip }, () => {
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

  const open = (expected: RegExp | null = null, query = ""): Promise<Watched> =>
    openPage(browser, `${market.url}/sql${query}`, undefined, expected);

  test("runs a query, names what it read, and violates no content security policy", async () => {
    const { page, problems } = await open();
    await run(
      page,
      "select crypto_id, price_usd, price_at from live.fact_crypto_ticks " +
        "where crypto_id = 'bitcoin' order by price_at desc limit 20",
    );
    const skipped = /(?:[1-9]\d* of \d+ files read, [\d,]+ rows skipped|read at least [1-9]\d* files?; skipped)/;
    await untilText(page, new RegExp(`20 rows in .* · reads 1 table · ${skipped.source}`));
    assert.equal((await page.$$(".result-body .result-row")).length, 20);
    assert.deepEqual(await accessibilityOf(page), []);
    await page.setViewport({ ...PHONE });
    assert.ok((await overhangOf(page)) <= 0, "the page scrolls sideways");
    assert.deepEqual(problems, []);
    await page.browserContext().close();
  });

  test("shows an error at its position in the text", async () => {
    const { page } = await open(REJECTED);
    await run(page, "select crypto_id\nfrom gold.fact_crypto_ticks\nwhere no_such_column = 1");
    await untilText(page, "The query has an error.");
    await page.waitForFunction(
      () => document.querySelector(".editor")?.shadowRoot?.querySelector(".cm-error-note") != null,
      { timeout: PATIENCE_MS },
    );
    assert.equal(await inEditor(page, ".cm-error"), "no_such_column");
    assert.match((await inEditor(page, ".cm-error-note")) ?? "", /no_such_column/);
    await page.browserContext().close();
  });

  test("scrolls through 100,000 rows with fewer than 100 in the document", async () => {
    const { page } = await open();
    await run(page, "select i, i * 2 as twice from range(100000) t(i)");
    await untilText(page, /100,000 rows in/);
    assert.ok((await page.$$(".result-row")).length < 100);
    await page.$eval(".result-grid", (grid) => grid.scrollTo(0, grid.scrollHeight));
    await page.waitForFunction(
      () => document.querySelector(".result-body .result-row:last-child .row-number")?.textContent?.trim() === "100000",
      { timeout: PATIENCE_MS },
    );
    assert.ok((await page.$$(".result-row")).length < 100);
    await page.browserContext().close();
  });

  test("cancels an endless query and runs the next one", async () => {
    const { page } = await open(REJECTED);
    await run(
      page,
      "with recursive n(i) as (select 1 union all select i + 1 from n where i > 0) select count(*) from n",
    );
    await untilText(page, /running …/);
    await page.evaluate(() =>
      [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Cancel")?.click(),
    );
    await untilText(page, "Cancelled.");
    await run(page, "select 42 as answer");
    await untilText(page, /1 row in/);
    await page.browserContext().close();
  });

  test("draws a result as a chart with one click, and exports it as CSV and Parquet", async () => {
    const folder = mkdtempSync(join(tmpdir(), "coinlake-export-"));
    const { page, problems } = await open();
    const session = await browser.target().createCDPSession();
    await session.send("Browser.setDownloadBehavior", {
      behavior: "allow",
      downloadPath: folder,
      browserContextId: page.browserContext().id ?? "",
    });
    await run(
      page,
      "select minute_at, price from live.crypto_prices_clean where crypto_id = 'bitcoin' order by minute_at limit 60",
    );
    await untilText(page, /60 rows in/);
    const press = (name: string) =>
      page.evaluate(
        (text: string) =>
          [...document.querySelectorAll("button")].find(({ textContent }) => textContent === text)?.click(),
        name,
      );
    await press("chart");
    await page.waitForSelector(".lines canvas");
    assert.match(
      await page.$eval(".lines", (chart) => chart.getAttribute("aria-label") ?? ""),
      /price over time.*60 points/,
    );
    for (const [name, begins] of [
      ["CSV", "minute_at,price"],
      ["Parquet", "PAR1"],
    ] as const) {
      await press(name);
      const extension = `.${name.toLowerCase()}`;
      const file = await eventually(() => readdirSync(folder).find((found) => found.endsWith(extension)), {
        what: `a downloaded ${name} file`,
        timeout_ms: PATIENCE_MS,
        interval_ms: 100,
      });
      assert.ok(readFileSync(join(folder, file)).toString("latin1").startsWith(begins));
    }
    rmSync(folder, { recursive: true });
    assert.deepEqual(problems, []);
    await page.browserContext().close();
  });

  test("keeps a saved query and the history after a reload, and opens a question with its SQL", async () => {
    const { page } = await open();
    await run(page, "select 1 as kept");
    await untilText(page, /1 row in/);
    const press = (name: string) =>
      page.evaluate(
        (text: string) =>
          [...document.querySelectorAll("button")].find(({ textContent }) => textContent === text)?.click(),
        name,
      );
    await press("Save");
    await page.waitForSelector(".save-as input:focus");
    await page.keyboard.type("mine");
    await page.keyboard.press("Enter");
    await page.goto(`${market.url}/sql?question=1`, { waitUntil: "domcontentloaded" });
    await page.waitForFunction(
      () =>
        /Bitcoin now/.test(
          document.querySelector(".editor")?.shadowRoot?.querySelector<HTMLElement>(".cm-content")?.innerText ?? "",
        ),
      { timeout: PATIENCE_MS },
    );
    await press("saved");
    await untilText(page, "mine");
    await press("history");
    await untilText(page, "select 1 as kept");
    await page.browserContext().close();
  });

  test("reads tables as of an earlier lake time", async () => {
    const count = "select count(*) as n from gold.fact_crypto_ticks";
    const first = await market.running.json<{ items: { committed_at: string }[] }>(
      "/api/tables/gold.fact_crypto_ticks/snapshots",
    );
    const oldest = first.items.at(-1)?.committed_at ?? "";
    const { page } = await open(null, `?${new URLSearchParams({ at: oldest, sql: count }).toString()}`);
    const shown = async () => {
      await untilText(page, /1 row in/);
      return page.$eval(".result-body .result-row span:last-child", (cell) => Number(cell.textContent));
    };
    await run(page, count);
    await untilText(page, /as of/);
    const then = await shown();
    const { rows } = (await (await market.running.post("/api/sql", { sql: count })).json()) as { rows: string[][] };
    assert.ok(then > 0 && then < Number(rows[0]?.[0]), `${then} then, ${rows[0]?.[0]} now`);
    await page.browserContext().close();
  });
});
