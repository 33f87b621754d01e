import { join } from "node:path";
import { projectFolder } from "../../src/lake/tools.ts";
import { PATIENCE_MS, skip, startBrowser, untilLoaded, untilText } from "./browser.ts";
import { openMarket } from "./market.ts";

/**
 * Takes the README's screenshots of the real dashboard: of a Coinlake that runs at an address, or of a simulated market
 * with a day of history.
 *   npm run -s screenshots [-- http://127.0.0.1:4000]
 */
const DAY_MS = 24 * 3_600_000;
const VIEW = { width: 1280, height: 800 } as const;
const SHOTS = [
  { file: "market.png", path: "/", shows: /BTC\s+Bitcoin/ },
  { file: "coin.png", path: "/coins/bitcoin?interval=1m", shows: /Newest snapshot/ },
] as const;

if (skip !== false) throw new Error(skip);
const [address] = process.argv.slice(2);
const market =
  address === undefined
    ? await openMarket({
        coins: 50,
        interval_ms: 30_000,
        history_ms: DAY_MS + 2 * 3_600_000,
        commits: 10,
        is_tested: false,
      })
    : null;
market?.goLive();
// With emulated scaling, canvases would keep the pixels of the machine's screen.
const browser = await startBrowser("--force-device-scale-factor=2");
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
  await page.setViewport({ ...VIEW, deviceScaleFactor: 0 });
  for (const { file, path, shows } of SHOTS) {
    await page.goto(`${address ?? market?.url}${path}`, { waitUntil: "domcontentloaded" });
    await untilText(page, shows);
    await untilLoaded(page);
    // Screenshots hide scroll bars and the space that the page reserves for them.
    await page.evaluate("document.documentElement.style.scrollbarGutter = 'auto'");
    await page.screenshot({ path: join(projectFolder(), "docs", file) as `${string}.png` });
  }
} finally {
  await browser.close();
  await market?.close();
}
