import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import type { Browser, Page } from "puppeteer-core";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { pythonExecutable } from "../../src/lake/tools.ts";
import type { Pipelines } from "../../src/serve/schemas/definition.ts";
import type { Health, Status } from "../../src/serve/schemas/status.ts";
import {
  accessibilityOf,
  DESK,
  openPage,
  overhangOf,
  PATIENCE_MS,
  PHONE,
  skip as skipBrowser,
  startBrowser,
  tooWideOf,
  untilLoaded,
  untilText,
} from "../browser/browser.ts";
import { childrenOf, freshMark, skipWithoutProcesses, untilGone } from "../crash/processes.ts";
import { parsePrometheus } from "../serve/prometheus.ts";
import { coinlake, startCoinlake, temporaryFolder, type Finished } from "../support/coinlake.ts";
import { eventually } from "../support/eventually.ts";

const BOTH = ["--pipeline", "crypto,ecommerce"];
const PORTS = ["--port", "0", "--catalog-port", "0"];
/** Two dbt projects are parsed at the first start, on a busy machine. */
const START_TIMEOUT_MS = 300_000;
/** The limit of a clean stop. */
const STOP_LIMIT_MS = 15_000;

interface Run {
  child: ReturnType<typeof startCoinlake>["child"];
  finished: Promise<Finished>;
  url: string;
  catalog: string;
  stderr(): string;
  json<T>(path: string): Promise<T>;
}

/** Starts both pipelines and waits until both serve. */
async function startBoth(data: string, env: NodeJS.ProcessEnv = {}): Promise<Run> {
  const args = ["start", ...BOTH, "--source", "simulated", "--data", data, ...PORTS];
  const { child, finished } = startCoinlake(args, { COINLAKE_SIMULATED_HISTORY_MINUTES: "20", ...env });
  let stderr = "";
  child.stderr?.on("data", (text: string) => (stderr += text));
  const find = (pattern: RegExp) =>
    eventually(
      () => {
        assert.equal(child.exitCode, null, stderr);
        return pattern.exec(stderr)?.[1];
      },
      { what: () => `${pattern} in ${stderr}`, timeout_ms: START_TIMEOUT_MS },
    );
  const url = await find(/^crypto +dashboard +(\S+)$/m);
  assert.equal(await find(/^ecommerce +dashboard +(\S+)$/m), `${url}/ecommerce`);
  const catalog = await find(/Iceberg catalog +(\S+)/);
  const json = async <T>(path: string) => (await (await fetch(`${url}${path}`)).json()) as T;
  return { child, finished, url, catalog, stderr: () => stderr, json };
}

/** Layers of each pipeline hold rows. */
async function untilBuilt(run: Run): Promise<void> {
  for (const base of ["", "/ecommerce"]) {
    let seen = "";
    const hasGold = async () => {
      const { layers } = await run.json<Status>(`${base}/api/status`);
      seen = JSON.stringify(layers);
      return layers.some(({ layer, committed_at }) => layer === "gold" && committed_at !== null);
    };
    await eventually(hasGold, {
      what: () => `gold of ${base}: ${seen}`,
      timeout_ms: START_TIMEOUT_MS,
      interval_ms: 500,
    });
  }
}

/** One run of both serves all checks, because a start takes most of the time. */
describe("both pipelines in one process", { skip: skipWithoutProcesses }, () => {
  const folder = temporaryFolder();
  const data = join(folder.path, "data");
  const { mark, env } = freshMark();
  let run: Run;
  before(async () => {
    run = await startBoth(data, env);
    // The first commit to gold is in the middle of an increment; this line follows the last one.
    for (const name of ["crypto", "ecommerce"]) {
      const isBuilt = () => new RegExp(`^${name} .*gold updated`, "m").test(run.stderr());
      await eventually(isBuilt, { what: () => run.stderr(), timeout_ms: START_TIMEOUT_MS });
    }
  });
  after(async () => {
    run?.child.kill("SIGKILL");
    await run?.finished;
    folder.remove();
  });

  test("each answers under its own path with its own lake, and lists both", async () => {
    const lakes = ["", "/ecommerce"].map(async (base) => (await run.json<Status>(`${base}/api/status`)).lake);
    assert.deepEqual(await Promise.all(lakes), [
      { name: "simulated", kind: "simulated", pipeline: "crypto" },
      { name: "ecommerce-simulated", kind: "simulated", pipeline: "ecommerce" },
    ]);
    for (const base of ["", "/ecommerce"]) {
      const { items } = await run.json<Pipelines>(`${base}/api/pipelines`);
      assert.deepEqual(
        items.map(({ name, base: path, is_serving }) => [name, path, is_serving]),
        [
          ["crypto", "", true],
          ["ecommerce", "/ecommerce", true],
        ],
      );
    }
    assert.equal((await fetch(`${run.url}/ecommerce/api/coins`)).status, 404);
    assert.equal((await fetch(`${run.url}/api/charts/sales_per_minute`)).status, 404);
    const { servers } = await run.json<{ servers: unknown }>("/ecommerce/api/openapi.json");
    assert.deepEqual(servers, [{ url: "/ecommerce" }]);
  });

  test("one metrics scrape has the series of both, and one readiness probe the problems of both", async () => {
    const families = parsePrometheus(await (await fetch(`${run.url}/metrics`)).text());
    const pipelinesOf = (name: string) => [
      ...new Set(families.get(name)?.samples.map(({ labels }) => labels["pipeline"])),
    ];
    for (const name of ["coinlake_ready", "coinlake_table_rows", "coinlake_bronze_commit_records_total"])
      assert.deepEqual(pipelinesOf(name), ["crypto", "ecommerce"], name);
    assert.deepEqual(pipelinesOf("process_resident_memory_bytes"), [undefined]);
    const health = await run.json<Health>("/readyz");
    for (const { pipeline } of health.problems) assert.match(pipeline ?? "", /^(crypto|ecommerce)$/);
    assert.deepEqual(await run.json("/ecommerce/healthz"), { is_ok: true, problems: [] });
  });

  test("PyIceberg and DuckDB read each lake by its warehouse name, and the first one without a name", async () => {
    const script = `
import sys, json
from pyiceberg.catalog import load_catalog
def tables(**options):
    catalog = load_catalog("x", type="rest", uri=sys.argv[1], **options)
    names = [".".join(name) for name in catalog.list_tables("gold")]
    return names, len(catalog.load_table(sorted(names)[0]).scan(limit=1).to_arrow())
def outcome(**options):
    try:
        return tables(**options)
    except Exception as error:
        return type(error).__name__ + ": " + str(error)
print(json.dumps([tables(), tables(warehouse="crypto"), tables(warehouse="ecommerce"), outcome(warehouse="shop")]))`;
    const { stdout } = await promisify(execFile)(pythonExecutable(), ["-c", script, run.catalog]);
    const [first, crypto, ecommerce, unknown] = JSON.parse(stdout) as [[string[], number], ...unknown[]];
    assert.deepEqual(first, crypto);
    assert.ok(first[0].includes("gold.fact_crypto_ticks") && first[1] === 1);
    assert.match(JSON.stringify(ecommerce), /gold\.fact_orders/);
    assert.doesNotMatch(JSON.stringify(ecommerce), /crypto/);
    assert.match(String(unknown), /NoSuchWarehouse|no warehouse/);

    const instance = await openDuckDB();
    const connection = await instance.connect();
    const attach = (name: string, alias: string) =>
      connection.run(
        `ATTACH '${name}' AS ${alias} (TYPE iceberg, ENDPOINT '${run.catalog}', AUTHORIZATION_TYPE 'none', ` +
          "ACCESS_DELEGATION_MODE 'none')",
      );
    try {
      await attach("ecommerce", "shop");
      await attach("crypto", "market");
      await attach("coinlake", "either");
      const rows = await connection.runAndReadAll(`select
        (select count(*) > 0 from shop.gold.fact_orders),
        (select count(*) > 0 from market.gold.fact_crypto_ticks),
        (select count(*) > 0 from either.gold.fact_crypto_ticks)`);
      assert.deepEqual(rows.getRows(), [[true, true, true]]);
      await assert.rejects(connection.run("select * from shop.gold.fact_crypto_ticks"), /fact_crypto_ticks/);
      await assert.rejects(attach("shop", "unknown"), /no warehouse|404|Not Found/i);
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  });

  test("commands read the first lake, or the one that --lake names", async () => {
    const count = async (sql: string, ...lake: string[]) => {
      const { code, stdout, stderr } = await coinlake(["query", sql, "--json", "--data", data, ...lake]);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    assert.match(await count("select count(*) > 0 as is_filled from gold.fact_crypto_ticks"), /true/);
    const orders = await count(
      "select count(*) > 0 as is_filled from gold.fact_orders",
      "--lake",
      "ecommerce-simulated",
    );
    assert.match(orders, /true/);
    assert.match(run.stderr(), /for ecommerce, add --lake ecommerce-simulated/);
  });

  describe("in a browser", { skip: skipBrowser }, () => {
    let browser: Browser;
    before(async () => {
      browser = await startBrowser();
    });
    after(() => browser.close());

    const switchTo = async (page: Page, base: string) => {
      await page.waitForSelector(".pipeline-switch");
      await Promise.all([page.waitForNavigation(), page.select(".pipeline-switch", base)]);
      await untilLoaded(page);
    };

    for (const [device, view] of Object.entries({ desk: DESK, phone: PHONE })) {
      test(`the switch (${device}) opens the other pipeline, on the same page if it has that page`, async () => {
        const { page, problems } = await openPage(browser, run.url, view);
        await untilText(page, "Bitcoin");
        await untilLoaded(page);
        await switchTo(page, "/ecommerce");
        assert.equal(new URL(page.url()).pathname, "/ecommerce/");
        await untilText(page, /Total sales per minute/);
        await untilText(page, "streaming");
        assert.deepEqual([await accessibilityOf(page), await tooWideOf(page)], [[], []]);
        assert.ok((await overhangOf(page)) <= 0, "the page scrolls sideways");
        await page.click('.menu-item[href="/ecommerce/lake"]');
        await untilText(page, "gold.fact_orders");
        assert.match(await page.title(), /^Lake · E-commerce orders · Coinlake$/);
        await switchTo(page, "");
        assert.equal(new URL(page.url()).pathname, "/lake");
        await untilText(page, "gold.fact_crypto_ticks");
        await page.goBack();
        await untilText(page, "gold.fact_orders");
        assert.equal(new URL(page.url()).pathname, "/ecommerce/lake");
        assert.deepEqual(problems, []);
        await page.browserContext().close();
      });
    }

    test("every page and link of the second pipeline stays below its path", async () => {
      const { page, problems } = await openPage(browser, `${run.url}/ecommerce`);
      const requested: string[] = [];
      page.on("request", (request) => requested.push(new URL(request.url()).pathname));
      for (const path of ["", "/alerts", "/lake", "/log", "/quality", "/sql", "/api/reference"]) {
        await page.goto(`${run.url}/ecommerce${path}`, { waitUntil: "domcontentloaded" });
        await untilLoaded(page);
        const links = await page.$$eval("a[href^='/']", (all) => all.map((link) => link.getAttribute("href")));
        assert.deepEqual(
          links.filter((href) => !href?.startsWith("/ecommerce/")),
          [],
          path,
        );
      }
      assert.deepEqual(
        requested.filter((path) => !/^\/(ecommerce(\/|$)|assets\/)/.test(path)),
        [],
      );
      assert.deepEqual(problems, []);
      await page.browserContext().close();
    });

    test("two tabs stream one pipeline each", async () => {
      const { page, problems } = await openPage(browser, run.url);
      const other = await page.browserContext().newPage();
      await other.goto(`${run.url}/ecommerce`, { waitUntil: "domcontentloaded" });
      for (const [tab, word] of [
        [page, "pipeline crypto"],
        [other, "pipeline ecommerce"],
      ] as const) {
        await tab.bringToFront();
        await untilText(tab, "streaming");
        await untilText(tab, word);
      }
      const clients = async () => {
        const text = await (await fetch(`${run.url}/metrics`)).text();
        return [...text.matchAll(/^coinlake_sse_clients\{pipeline="(\w+)"\} (\d+)$/gm)].map(([, name, count]) => [
          name,
          Number(count),
        ]);
      };
      await eventually(
        async () =>
          JSON.stringify(await clients()) ===
          JSON.stringify([
            ["crypto", 1],
            ["ecommerce", 1],
          ]),
        { what: "a stream of each", timeout_ms: PATIENCE_MS },
      );
      assert.deepEqual(problems, []);
      await page.browserContext().close();
    });
  });

  test("after a kill the next start resumes both, Ctrl-C stops both, and both verify", async () => {
    run.child.kill("SIGKILL");
    await run.finished;
    await untilGone(mark);
    const again = freshMark();
    run = await startBoth(data, again.env);
    await untilBuilt(run);
    for (const worker of await childrenOf(again.mark, run.child.pid ?? 0, AbortSignal.timeout(STOP_LIMIT_MS)))
      process.kill(worker, "SIGINT");
    const asked_ms = performance.now();
    run.child.kill("SIGINT");
    const { code, stderr } = await run.finished;
    assert.equal(code, 0, stderr);
    assert.ok(performance.now() - asked_ms < STOP_LIMIT_MS);
    for (const name of ["crypto", "ecommerce"]) assert.match(stderr, new RegExp(`^${name} +Stopped cleanly`, "m"));
    await untilGone(again.mark);
    for (const lake of ["simulated", "ecommerce-simulated"]) {
      const verified = await coinlake(["verify", "--data", data, "--lake", lake]);
      assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    }
  });
});
