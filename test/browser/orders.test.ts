import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "puppeteer-core";
import { ecommerce } from "../../pipelines/ecommerce.ts";
import type { BackTest } from "../../src/serve/schemas/alerts.ts";
import { Answers } from "../../src/serve/schemas/answers.ts";
import { Charts, ChartValues } from "../../src/serve/schemas/charts.ts";
import { PipelineInfo, Subjects } from "../../src/serve/schemas/definition.ts";
import { RejectedElements } from "../../src/serve/schemas/quality.ts";
import { eventually } from "../support/eventually.ts";
import { problemOf } from "../serve/running.ts";
import {
  accessibilityOf,
  DESK,
  openPage,
  overhangOf,
  PATIENCE_MS,
  PHONE,
  skip,
  startBrowser,
  untilLoaded,
  untilText,
} from "./browser.ts";
import { openNoOrders, openOrders, type OpenOrders } from "./orders.ts";

/** Words of another pipeline. */
const FOREIGN = /coin(?!lake)|crypto|bitcoin/i;

const PAGES: { path: string; full: RegExp; empty: RegExp }[] = [
  { path: "/", full: /Espresso machine[^]*Total sales per minute/, empty: /no event yet[^]*No values yet/ },
  { path: "/alerts", full: /every store with sales of 10 min at least 50 %/, empty: /No active alerts/ },
  { path: "/lake", full: /gold\.fact_orders/, empty: /No maintenance runs yet/ },
  { path: "/log", full: /ecommerce\.orders\.raw/, empty: /No messages yet/ },
  { path: "/quality", full: /unknown event[^]*o\d+/, empty: /Nothing checked yet/ },
  { path: "/sql", full: /sales_per_minute/, empty: /Run a query to see results/ },
  { path: "/api/reference", full: /\/api\/charts\/\{name\}/, empty: /\/api\/charts/ },
];

/** Everything that a page says, also in titles, labels and closed parts. */
function wordsOf(page: Page): Promise<string> {
  return page.evaluate(() => {
    const attributes = [...document.querySelectorAll("*")].flatMap((element) =>
      ["title", "aria-label", "placeholder", "alt"].map((name) => element.getAttribute(name) ?? ""),
    );
    const editor = document.querySelector(".editor")?.shadowRoot?.textContent ?? "";
    return [document.title, document.body.textContent ?? "", editor, ...attributes].join("\n");
  });
}

/** The dashboard and the API over a lake of orders; one lake for both, because filling it takes most of the time. */
describe("a lake of orders", () => {
  let market: OpenOrders;
  before(async () => {
    market = await openOrders();
  });
  after(() => market.close());

  describe("the API", () => {
    const chart = (query = "") => market.running.json<ChartValues>(`/api/charts/sales_per_minute${query}`);
    const centsOf = (values: ChartValues): [time: string, cents: number][] =>
      (values.series[0]?.points ?? []).map(({ time, value }) => [time, Math.round(Number(value) * 100)]);

    /** The orders' totals by interval, added up here. */
    function salesOf(from_ms: number, to_ms: number, step_ms: number, store: string | null) {
      return Array.from({ length: (to_ms - from_ms) / step_ms }, (_, index): [string, number] => {
        const start_ms = from_ms + index * step_ms;
        const here = market.orders.filter(
          (order) =>
            order.placed_at_ms >= start_ms &&
            order.placed_at_ms < start_ms + step_ms &&
            !order.is_cancelled &&
            (store === null || order.store === store),
        );
        return [new Date(start_ms).toISOString(), here.reduce((sum, { cents }) => sum + cents, 0)];
      });
    }

    test("describes the pipeline", async () => {
      const info = PipelineInfo.parse(await market.running.json("/api/pipeline"));
      assert.deepEqual(
        [info.name, info.title, info.start_page, info.subject],
        ["ecommerce", "E-commerce orders", "overview", { noun: "store", plural: "stores" }],
      );
      assert.deepEqual(
        info.questions.map(({ number }) => number),
        ecommerce.questions.map(({ number }) => number),
      );
      assert.deepEqual(info.charts, Charts.parse(await market.running.json("/api/charts")).items);
      const { items } = Subjects.parse(await market.running.json("/api/subjects"));
      assert.deepEqual(items.map(({ id }) => id).sort(), ["berlin", "lisbon", "oslo"]);
      const { rows } = (await (
        await market.running.post("/api/sql", { sql: info.example_sql, max_rows: 5 })
      ).json()) as { rows: unknown[] };
      assert.equal(rows.length, 5);
      const openapi = await (await market.running.get("/api/openapi.json")).text();
      assert.doesNotMatch(openapi, FOREIGN);
      assert.match(openapi, /E-commerce orders/);
    });

    test("returns chart values that equal an independent sum, with zero in minutes without an order", async () => {
      for (const [interval, step_ms] of [
        ["1m", 60_000],
        ["15m", 900_000],
      ] as const) {
        for (const store of [null, "oslo"]) {
          const query = `?interval=${interval}&limit=200${store === null ? "" : `&subject=${store.toUpperCase()}`}`;
          const values = ChartValues.parse(await chart(query));
          const [from_ms, to_ms] = [Date.parse(values.from ?? ""), Date.parse(values.to ?? "")];
          assert.equal(to_ms - from_ms, 200 * step_ms);
          assert.equal(values.subject, store);
          const wanted = salesOf(from_ms, to_ms, step_ms, store);
          // Intervals before the first order have no value.
          const first = wanted.findIndex(([, cents]) => cents > 0);
          assert.deepEqual(centsOf(values), wanted.slice(first));
          if (interval === "1m") assert.ok(wanted.slice(first).some(([, cents]) => cents === 0));
        }
      }
      const all = centsOf(await chart("?limit=200"));
      const part = ChartValues.parse(await chart(`?from=${all[20]?.[0]}&to=${all[24]?.[0]}`));
      assert.deepEqual(centsOf(part), all.slice(20, 24));
    });

    test("returns chart values as of a lake time", async () => {
      const { items } = await market.running.json<{ items: { committed_at: string }[] }>(
        "/api/tables/gold.sales_per_minute/snapshots",
      );
      const [newest, oldest] = [items[0]?.committed_at ?? "", items.at(-1)?.committed_at ?? ""];
      const then = await chart(`?limit=200&at=${oldest}`);
      const now = await chart("?limit=200");
      assert.ok((then.to ?? "") < (now.to ?? ""), "the first commit held fewer orders");
      assert.deepEqual(
        then.snapshots.map(({ table, committed_at }) => [table, committed_at]),
        [["gold.sales_per_minute", oldest]],
      );
      const shared = centsOf(then).slice(0, -5);
      const by_time = new Map(centsOf(now));
      assert.deepEqual(
        shared,
        shared.map(([time]) => [time, by_time.get(time)]),
      );
      assert.deepEqual(centsOf(await chart(`?limit=200&at=${newest}`)), centsOf(now));
      const before = await chart("?at=2020-01-01T00:00:00Z");
      assert.deepEqual([before.series, before.from], [[], null]);
    });

    test("reports an invalid request for a chart with its status and code", async () => {
      const cases: [path: string, status: number, code: string][] = [
        ["/api/charts/nothing", 404, "NOT_FOUND"],
        ["/api/charts/sales_per_minute?interval=4h", 400, "INVALID_REQUEST"],
        ["/api/charts/sales_per_minute?interval=7m", 400, "INVALID_REQUEST"],
        ["/api/charts/sales_per_minute?subject=paris", 404, "SUBJECT_NOT_FOUND"],
        ["/api/charts/sales_per_minute?limit=0", 400, "INVALID_REQUEST"],
        ["/api/charts/sales_per_minute?at=yesterday", 400, "INVALID_REQUEST"],
        ["/api/charts/sales_per_minute?unknown=1", 400, "INVALID_REQUEST"],
      ];
      for (const [path, status, code] of cases) {
        const found = await problemOf(market.running, path);
        assert.deepEqual({ path, status: found.status, code: found.code }, { path, status, code });
      }
      assert.deepEqual(market.running.errors, []);
    });

    test("finds the store whose sales halved with the default rule, and answers every question", async () => {
      const found = (await (
        await market.running.post("/api/rules/sales-halved-10-minutes/test", {})
      ).json()) as BackTest;
      assert.deepEqual(
        found.alerts.map(({ subject }) => subject),
        ["lisbon"],
      );
      assert.match(found.alerts[0]?.message ?? "", /^lisbon fell \d+(\.\d+)? % below its usual amount in 10 minutes$/);
      const { answers } = Answers.parse(await market.running.json("/api/answers"));
      assert.equal(answers.length, ecommerce.questions.length);
      const { items } = RejectedElements.parse(await market.running.json("/api/quality/rejected?reason=unknown_event"));
      assert.match(items[0]?.subject ?? "", /^o\d+$/);
    });
  });

  describe("in a browser", { skip }, () => {
    let browser: Browser;
    before(async () => {
      browser = await startBrowser();
    });
    after(() => browser.close());

    for (const { path, full } of PAGES) {
      for (const [device, view] of Object.entries({ desk: DESK, phone: PHONE })) {
        test(`${path} (${device}) shows its data, is accessible, and mentions orders only`, async () => {
          const { page, problems } = await openPage(browser, `${market.url}${path}`, view);
          await untilText(page, full);
          await untilLoaded(page);
          await untilText(page, "SIMULATED");
          assert.deepEqual(await accessibilityOf(page), []);
          assert.ok((await overhangOf(page)) <= 0, "the page scrolls sideways");
          assert.doesNotMatch(await wordsOf(page), FOREIGN);
          assert.deepEqual(problems, []);
          await page.browserContext().close();
        });
      }
    }

    test("no script of another pipeline's pages is loaded", async () => {
      const { page, problems } = await openPage(browser, market.url);
      const scripts: string[] = [];
      page.on("response", (response) => scripts.push(new URL(response.url()).pathname));
      await page.reload({ waitUntil: "domcontentloaded" });
      await untilLoaded(page);
      // Pages are loaded ahead, one after another; the reference is the last.
      await eventually(() => scripts.some((path) => path.includes("reference-")), {
        what: () => `the reference's script: ${scripts.join(" ")}`,
      });
      assert.deepEqual(
        scripts.filter((path) => /market|coin|candle/.test(path)),
        [],
      );
      assert.deepEqual(problems, []);
      await page.goto(`${market.url}/coins/bitcoin`, { waitUntil: "domcontentloaded" });
      await untilText(page, "Page not found");
      await page.browserContext().close();
    });

    test("the chart follows its interval, its store, the keyboard and new orders", async () => {
      const { page, problems } = await openPage(browser, market.url);
      const label = () => page.$eval(".chart", (chart) => chart.getAttribute("aria-label") ?? "");
      let last = "";
      const untilLabel = (wanted: RegExp) =>
        eventually(async () => wanted.test((last = await label())), {
          what: () => `${wanted}: ${last}`,
          timeout_ms: PATIENCE_MS,
        });
      await untilLoaded(page);
      await untilLabel(/^Total sales per minute in USD, all stores: 120 intervals of 1 minute from .* last /);
      await page.waitForSelector(".chart canvas");
      await page.evaluate(() =>
        [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "15m")?.click(),
      );
      await untilLabel(/all stores: \d+ intervals of 15 minutes/);
      await page.select(".chart-panel select", "oslo");
      await untilLabel(/, oslo: \d+ intervals of 15 minutes/);
      assert.match(page.url(), /sales_per_minute\.interval=15m&sales_per_minute\.subject=oslo/);
      await page.focus(".chart");
      const legend = () => page.$eval(".legend", ({ textContent }) => textContent);
      const newest = await legend();
      for (const key of ["Home", "ArrowRight"] as const) {
        const before = await legend();
        await page.keyboard.press(key);
        await eventually(async () => (await legend()) !== before, { what: `another interval after ${key}` });
      }
      await page.keyboard.press("Escape");
      await eventually(async () => (await legend()) === newest, { what: "the newest interval again" });
      await market.place({ store: "oslo", cents: 12_345_678_90 });
      await untilLabel(/high 12\.3\dM, last 12\.3\dM/);
      assert.deepEqual(problems, []);
      await page.browserContext().close();
    });

    test("a rule on a volume fall is created from the form, in the pipeline's terms", async () => {
      const { page, problems } = await openPage(browser, `${market.url}/alerts`, PHONE);
      const press = (name: string) =>
        page.evaluate(
          (text: string) =>
            [...document.querySelectorAll("button")].find(({ textContent }) => textContent?.trim() === text)?.click(),
          name,
        );
      await untilText(page, "New rule");
      await press("New rule");
      await page.type(".rule-form .field input", "Fewer sales");
      await page.select(".rule-form .field:nth-child(3) select", "volume_fall");
      await untilText(page, "Threshold (% below the mean)");
      assert.doesNotMatch(await wordsOf(page), FOREIGN);
      assert.deepEqual(await accessibilityOf(page), []);
      await press("Create rule");
      await untilText(page, /every store with sales of 10 min at least 5 % below the mean of the previous 12 windows/);
      assert.deepEqual(problems, []);
      await page.browserContext().close();
    });

    test("the keyboard help names the existing pages", async () => {
      const { page } = await openPage(browser, market.url);
      await untilLoaded(page);
      await page.keyboard.press("?");
      await untilText(page, /Overview[^]*search messages or routes/);
      assert.doesNotMatch(await wordsOf(page), FOREIGN);
      await page.browserContext().close();
    });
  });
});

describe("an empty lake of orders in a browser", { skip }, () => {
  let browser: Browser;
  let market: Awaited<ReturnType<typeof openNoOrders>>;
  before(async () => {
    browser = await startBrowser();
    market = await openNoOrders();
  });
  after(async () => {
    await browser.close();
    await market.close();
  });

  test("describes on every page what will appear", async () => {
    const { page, problems } = await openPage(browser, market.url, PHONE);
    for (const { path, empty } of PAGES) {
      await page.goto(`${market.url}${path}`, { waitUntil: "domcontentloaded" });
      await untilText(page, empty);
      assert.deepEqual(await accessibilityOf(page), [], path);
      assert.ok((await overhangOf(page)) <= 0, `${path} scrolls sideways`);
      assert.doesNotMatch(await wordsOf(page), FOREIGN, path);
    }
    assert.deepEqual(problems, []);
    await page.browserContext().close();
  });
});
