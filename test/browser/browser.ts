import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { launch, type Browser, type Page } from "puppeteer-core";

const CANDIDATES = [
  process.env["CHROMIUM_PATH"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

const path = CANDIDATES.find((candidate) => candidate !== undefined && existsSync(candidate));

/** The reason to skip browser tests; false if they can run. */
export const skip: string | false =
  path === undefined
    ? "no Chromium here: install it (Debian: apt install chromium), or name one in CHROMIUM_PATH"
    : false;

/** Maximum wait of a test; test machines are busy. */
export const PATIENCE_MS = 90_000;

export const DESK = { width: 1440, height: 900 } as const;
export const PHONE = { width: 360, height: 740 } as const;

export function startBrowser(...flags: string[]): Promise<Browser> {
  return launch({
    executablePath: path ?? "",
    headless: true,
    // Without these flags Chromium contacts Google's hosts; a test machine has no network, and the dashboard needs
    // none.
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...flags,
    ],
  });
}

export interface Watched {
  page: Page;
  /**
   * Problems that no page of the dashboard may have: console errors and blocked requests, requests to other hosts,
   * error responses.
   */
  problems: string[];
}

/** Opens a page on `url` in a separate session, without data that other tests stored. */
export async function openPage(
  browser: Browser,
  url: string,
  view: { width: number; height: number } = DESK,
  expected: RegExp | null = null,
): Promise<Watched> {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const problems: string[] = [];
  const origin = new URL(url).origin;
  const tell = (problem: string) => {
    if (expected === null || !expected.test(problem)) problems.push(problem);
  };
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("console", (message) => {
    if (message.type() === "error" || /content security policy/i.test(message.text()))
      tell(`console: ${message.text()} ${message.location().url ?? ""}`);
  });
  page.on("pageerror", (error) => tell(`error: ${error instanceof Error ? error.message : String(error)}`));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin && !request.url().startsWith("blob:"))
      tell(`request elsewhere: ${request.url()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) tell(`answer: ${response.status()} ${response.url()}`);
  });
  await page.setViewport({ ...view });
  await page.goto(url, { waitUntil: "domcontentloaded", timeout: PATIENCE_MS });
  return { page, problems };
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Serious and critical accessibility violations, each with its first elements. */
export async function accessibilityOf(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = (await page.evaluate(
    "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)",
  )) as {
    id: string;
    impact: string;
    nodes: { target: string[]; failureSummary: string }[];
  }[];
  return found
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .slice(0, 3)
          .map(({ target, failureSummary }) => `${target.join(" ")} (${failureSummary})`)
          .join("; ")}`,
    );
}

/** Width of the document beyond the viewport, in pixels. */
export async function overhangOf(page: Page): Promise<number> {
  return page.evaluate(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  ) as Promise<number>;
}

/**
 * The elements that reach beyond the right edge of the viewport, except those in a container that scrolls or clips by
 * itself.
 */
export async function tooWideOf(page: Page): Promise<string[]> {
  return page.evaluate(`(() => {
    const width = document.documentElement.clientWidth;
    const isContained = (element) => {
      for (let at = element.parentElement; at !== null && at !== document.body; at = at.parentElement)
        if (getComputedStyle(at).overflowX !== "visible" && at.getBoundingClientRect().right <= width + 0.5)
          return true;
      return false;
    };
    return [...document.body.querySelectorAll("*")]
      .filter((element) => element.getBoundingClientRect().right > width + 0.5 && !isContained(element))
      .map((element) => element.tagName + "." + element.className + " " + element.innerText?.slice(0, 40));
  })()`) as Promise<string[]>;
}

// Code that runs in the page is given as text here: the bench also uses this file, and is type-checked without the
// browser's types.

/** Resolves when the page's text contains the words. */
export async function untilText(page: Page, words: string | RegExp): Promise<void> {
  const condition =
    typeof words === "string"
      ? `document.body.innerText.includes(${JSON.stringify(words)})`
      : `${words}.test(document.body.innerText)`;
  await page.waitForFunction(condition, { timeout: PATIENCE_MS, polling: 100 });
}

/** Resolves when the page has no placeholder. */
export async function untilLoaded(page: Page): Promise<void> {
  const condition =
    "document.querySelector('main .page') !== null && document.querySelector('.skeleton, [aria-busy=true]') === null";
  await page.waitForFunction(condition, { timeout: PATIENCE_MS, polling: 100 });
}
