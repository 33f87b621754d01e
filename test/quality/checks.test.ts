import assert from "node:assert/strict";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { claimFolder } from "../../src/lake/ownership.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { runChecks } from "../../src/quality/check.ts";
import { qualityPython } from "../../src/quality/install.ts";
import { docsFolder, nameOf, qualityFolder, type BatchResult } from "../../src/quality/result.ts";
import { Expectations } from "../../src/serve/schemas/expectations.ts";
import { accessibilityOf, openPage, skip, startBrowser, untilLoaded, untilText } from "../browser/browser.ts";
import { openMarket, type OpenMarket } from "../browser/market.ts";
import { coinlake } from "../support/coinlake.ts";
import { MODELS } from "../dbt/lake.ts";
import { GOLD_DAMAGE, SILVER_DAMAGE, type Damage } from "./damage.ts";

interface Printed {
  batches: { table: string; result: BatchResult }[];
  unchanged: number;
}

/**
 * Runs the real Great Expectations over a real lake with the command that Airflow calls; a server for the lake runs at
 * the same time.
 */
describe("the validation of a lake", () => {
  let market: OpenMarket;
  before(async () => {
    market = await openMarket({ coins: 6, history_ms: 30 * 60_000, commits: 2, is_tested: false });
  });
  after(() => market.close());

  async function check(...options: string[]): Promise<Printed & { code: number | null; stderr: string }> {
    const { code, stdout, stderr } = await coinlake([
      "quality",
      "--json",
      "--data",
      market.lake.data_folder,
      ...options,
    ]);
    assert.notEqual(stdout, "", stderr);
    return { ...(JSON.parse(stdout) as Printed), code, stderr };
  }

  const reported = async () => Expectations.parse(await market.running.json("/api/quality/expectations"));

  test("has no result before its first run, and the page says so", { skip }, async () => {
    assert.deepEqual(await reported(), { checked_at: null, is_met: true, data_docs: null, tables: [] });
    assert.equal((await market.running.get("/data-docs/index.html")).status, 404);
    const browser = await startBrowser();
    try {
      const { page, problems } = await openPage(browser, `${market.url}/quality`);
      await untilText(page, "Not validated yet");
      assert.deepEqual(problems, []);
    } finally {
      await browser.close();
    }
  });

  test("passes for every table and day of a valid lake", async () => {
    const { code, batches, stderr } = await check();
    assert.equal(code, 0, stderr);
    assert.deepEqual(unmetOf(batches), []);
    assert.deepEqual(
      [...new Set(batches.map(({ table }) => table))].sort(),
      [...MODELS, "silver.crypto_products"].sort(),
    );
    for (const table of MODELS) {
      const checked = batches
        .filter((batch) => batch.table === table)
        .reduce((sum, { result }) => sum + result.rows, 0);
      assert.equal(String(checked), (await market.lake.rows(`select count(*) from ${table}`))[0]?.[0], table);
    }
    const { tables, is_met } = await reported();
    assert.ok(is_met);
    assert.equal(tables.length, MODELS.length + 1);
  });

  test("skips what has not changed since its last run", async () => {
    const { code, batches, unchanged } = await check();
    assert.equal(code, 0);
    assert.deepEqual(batches, []);
    assert.ok(unchanged >= MODELS.length + 1);
  });

  test("fails for a day without rows, and a later run over all days replaces that result", async () => {
    const { code, batches } = await check("--layer", "silver", "--day", "2001-02-03");
    assert.equal(code, 1);
    assert.ok(unmetOf(batches).includes("silver.crypto_price_updates: The day has prices"));
    assert.ok(!(await reported()).is_met);
    assert.equal((await check()).code, 0);
    assert.ok((await reported()).is_met);
  });

  test(
    "writes Data Docs without scripts and external links, which the server serves in a sandbox",
    { skip },
    async () => {
      for (const file of globSync("**/*.html", { cwd: docsFolder(market.lake.open.lake) })) {
        const text = readFileSync(join(docsFolder(market.lake.open.lake), file), "utf8");
        assert.doesNotMatch(text, /<script|\son\w+=|https?:\/\/(?!www\.w3\.org)/i, file);
      }
      const browser = await startBrowser();
      try {
        const { page, problems } = await openPage(browser, `${market.url}/quality`);
        await untilText(page, /all \d+ met/);
        await untilLoaded(page);
        assert.deepEqual(await accessibilityOf(page), []);
        assert.equal(
          await page.$eval("a[href^='/data-docs/']", (link) => link.getAttribute("href")),
          "/data-docs/index.html",
        );
        await page.goto(`${market.url}/data-docs`);
        await untilText(page, "gold.fact_crypto_ticks");
        // Follows links as a reader would, in the page's session.
        await Promise.all([
          page.waitForNavigation(),
          page.click("tbody a[href^='validations/gold/fact_crypto_ticks']"),
        ]);
        await untilText(page, "The coin of a fact is in dim_crypto");
        await untilText(page, /Evaluated Expectations\s+\d+/);
        await Promise.all([page.waitForNavigation(), page.click("nav a")]);
        await untilText(page, "Validation Results");
        assert.deepEqual(problems, []);
      } finally {
        await browser.close();
      }
      const { headers } = await market.running.get("/data-docs/index.html");
      assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'.*sandbox allow-same-origin$/);
      for (const path of [
        "/data-docs/%2e%2e/result.json",
        "/data-docs/..%2fresult.json",
        "/data-docs/.hidden.html",
        "/data-docs//index.html",
        "/data-docs/none.html",
      ]) {
        assert.equal((await market.running.get(path)).status, 404, path);
      }
    },
  );

  test("rejects a second run while one is running", async () => {
    const claim = claimFolder(qualityFolder(market.lake.open.lake), "quality");
    try {
      const { code, stderr } = await coinlake(["quality", "--data", market.lake.data_folder]);
      assert.equal(code, 1);
      assert.match(stderr, /CHECK_RUNNING/);
    } finally {
      claim?.release();
    }
  });

  test("reports the file and the error of a suite that cannot be read", async () => {
    const suites = join(market.lake.data_folder, "suites");
    mkdirSync(join(suites, "silver"), { recursive: true });
    writeFileSync(join(suites, "silver", "crypto_prices_clean.py"), "suite = nonsense");
    const { open } = market.lake;
    const python = await qualityPython({ clock: systemClock, say: () => {} });
    const batches = [{ table: "silver.crypto_prices_clean", part: "whole", condition: "true", digest: "" }];
    const plan = { tables: [], batches, unchanged: [] };
    const lake = { ...open.lake, pipeline: relative(join(projectFolder(), "quality"), suites) };
    await assert.rejects(
      runChecks({ open: { lake, server: open.server, s3: null }, plan, python, clock: systemClock }),
      {
        code: "INVALID_SUITE",
        message: /crypto_prices_clean\.py cannot be read: NameError: name 'nonsense' is not defined/,
      },
    );
  });

  test("of silver alone passes while only gold is damaged, so that gold may be built again", async () => {
    for (const damage of GOLD_DAMAGE) await apply(market, damage);
    const { code, batches } = await check("--layer", "silver");
    assert.equal(code, 0);
    assert.deepEqual(batches, []);
  });

  for (const [layer, damages] of [
    ["gold", GOLD_DAMAGE],
    ["silver", SILVER_DAMAGE],
  ] as const) {
    describe(`of a damaged ${layer} exits with code 1 and reports`, () => {
      let checked: Awaited<ReturnType<typeof check>>;
      before(async () => {
        if (layer === "silver") for (const damage of damages) await apply(market, damage);
        checked = await check("--layer", layer);
      });

      for (const { title, unmet, sample } of damages) {
        test(title, () => {
          const found = unmetOf(checked.batches);
          for (const name of unmet) assert.ok(found.includes(name), `${name} is met`);
          const [first] = checked.batches.flatMap(({ table, result }) =>
            result.failed.filter((failed) => `${table}: ${nameOf(failed)}` === unmet[0]),
          );
          assert.ok(
            first?.sample.some((value) => sample.test(value)),
            JSON.stringify(first),
          );
          assert.ok((first?.unexpected_rows ?? 0) > 0);
        });
      }

      test("nothing else", async () => {
        assert.equal(checked.code, 1);
        assert.match(checked.stderr, /EXPECTATIONS_NOT_MET/);
        assert.deepEqual([...new Set(unmetOf(checked.batches))].sort(), damages.flatMap(({ unmet }) => unmet).sort());
        const { is_met, tables } = await reported();
        assert.ok(!is_met);
        const unmet_checks = tables
          .filter(({ table }) => table.startsWith(layer))
          .flatMap(({ table, unmet }) => unmet.map(({ name }) => `${table}: ${name}`));
        assert.deepEqual([...new Set(unmet_checks)].sort(), damages.flatMap(({ unmet }) => unmet).sort());
      });
    });
  }

  test("shows unmet expectations on the page, and the received text as text in Data Docs", { skip }, async () => {
    const browser = await startBrowser();
    try {
      const { page, problems } = await openPage(browser, `${market.url}/quality`);
      await untilText(page, "A coin has exactly one current version");
      await untilText(page, /\d+ of \d+ not met/);
      assert.deepEqual(await accessibilityOf(page), []);
      // Received text is shown as text in Data Docs too.
      await page.goto(`${market.url}/data-docs/index.html`);
      await Promise.all([
        page.waitForNavigation(),
        page.click("tbody a[href^='validations/silver/crypto_prices_rejected']"),
      ]);
      await untilText(page, "<b>a bad day</b>");
      assert.deepEqual(problems, []);
    } finally {
      await browser.close();
    }
  });
});

async function apply({ lake }: OpenMarket, { row, sql }: Damage): Promise<void> {
  const value = (await lake.rows(row))[0]?.[0];
  assert.ok(value, `no row by ${row}`);
  await lake.change(sql.replaceAll("$1", /^-?\d+$/.test(value) ? value : `'${value}'`));
}

function unmetOf(batches: Printed["batches"]): string[] {
  return batches.flatMap(({ table, result }) => result.failed.map((failed) => `${table}: ${nameOf(failed)}`));
}
