import { buildDashboard } from "../dashboard/build.ts";
import { skip, startBrowser } from "../test/browser/browser.ts";
import { openMarket } from "../test/browser/market.ts";

const LOADS = 5;
/** CSS selectors of each page: its main control, and the first element with data. */
const PAGES = [
  { name: "Market", path: "/", usable: ".coins input[type=search]", filled: ".coins tr[data-row]" },
  { name: "Coin", path: "/coins/bitcoin", usable: ".chart", filled: ".legend time" },
  { name: "SQL", path: "/sql", usable: ".sql-bar .run", filled: ".layer-list summary" },
] as const;

export interface PageFigures {
  page: string;
  /**
   * Time from navigation until the main control exists and the main thread is idle; median of fresh sessions,
   * milliseconds.
   */
  interactive_ms: number;
  /** Time from navigation to the first data on the screen. */
  filled_ms: number;
  script_bytes: number;
}

/** Measures the pages in a real browser against the real server over a lake; null without a browser. */
export async function benchPages(): Promise<{ pages: PageFigures[]; script_bytes: number } | null> {
  if (skip !== false) return null;
  const assets = await buildDashboard();
  const script_bytes = [...assets].reduce(
    (total, [path, { gzip, body }]) => total + (path.endsWith(".js") ? (gzip ?? body).length : 0),
    0,
  );
  const market = await openMarket({ coins: 50, is_tested: false });
  const browser = await startBrowser();
  try {
    const pages: PageFigures[] = [];
    for (const { name, path, usable, filled } of PAGES) {
      const loads: PageFigures[] = [];
      for (let load = 0; load < LOADS; load += 1) {
        const context = await browser.createBrowserContext();
        const page = await context.newPage();
        await page.evaluateOnNewDocument(`(${WATCH})(${JSON.stringify(usable)}, ${JSON.stringify(filled)})`);
        await page.goto(`${market.url}${path}`, { waitUntil: "domcontentloaded" });
        await page.waitForFunction("window.measured.interactive_ms > 0 && window.measured.filled_ms > 0", {
          timeout: 60_000,
        });
        const measured = (await page.evaluate("window.measured")) as Pick<PageFigures, "interactive_ms" | "filled_ms">;
        const loaded = (await page.evaluate(SCRIPTS)) as number;
        loads.push({ page: name, ...measured, script_bytes: loaded });
        await context.close();
      }
      const median = (of: (figures: PageFigures) => number) =>
        loads.map(of).sort((a, b) => a - b)[Math.floor(LOADS / 2)] ?? NaN;
      pages.push({
        page: name,
        interactive_ms: median((one) => one.interactive_ms),
        filled_ms: median((one) => one.filled_ms),
        script_bytes: median((one) => one.script_bytes),
      });
    }
    return { pages, script_bytes };
  } finally {
    await browser.close();
    await market.close();
  }
}

/** Runs in the page: checks every frame; an idle callback shows that the page would handle a key. */
const WATCH = `(usable, filled) => {
  window.measured = { interactive_ms: 0, filled_ms: 0 };
  const look = () => {
    if (window.measured.interactive_ms === 0 && document.querySelector(usable)) {
      window.measured.interactive_ms = -1;
      requestIdleCallback(() => { window.measured.interactive_ms = performance.now(); });
    }
    if (window.measured.filled_ms === 0 && document.querySelector(filled))
      window.measured.filled_ms = performance.now();
    if (window.measured.interactive_ms <= 0 || window.measured.filled_ms === 0) requestAnimationFrame(look);
  };
  look();
}`;

/** Bytes of script transferred until the page showed its data. */
const SCRIPTS =
  `performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".js"))` +
  ".reduce((total, { encodedBodySize }) => total + encodedBodySize, 0)";

if (import.meta.main) process.stdout.write(`${JSON.stringify(await benchPages(), null, 2)}\n`);
