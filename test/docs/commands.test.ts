import assert from "node:assert/strict";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { coinlake, startCoinlake, temporaryFolder, type Finished } from "../coinlake.ts";

/** Every command that a page prints is run here as printed, but for what is named below: the lake's folder, ports, FILE and TIME. */
const PAGES = globSync(["*.md", "src/*.md", "data-modeling/*.md"]);

/** No live source: what a page promises must hold on a machine without a network. */
/** No source answers, whatever network the machine has. */
const NOWHERE = "http://127.0.0.1:9";
const OFFLINE = { COINGECKO_BASE_URL: NOWHERE, COINLAKE_BINANCE_REST_URL: NOWHERE, COINLAKE_COINBASE_REST_URL: NOWHERE, COINLAKE_KRAKEN_REST_URL: NOWHERE };

/** Commands that this suite is part of, or that need what the embedded profile does not bring. */
const NOT_RUN: Record<string, string> = {
  "npm test": "runs this test",
  "npm run -s typecheck": "runs beside this test",
  "npm run -s lint": "runs beside this test",
  "npm run -s screenshots": "needs a browser; the pages it takes are what test/browser is about",
  "npm run -s bench": "takes minutes; measures, proves nothing",
  "npm run -s crash": "its short version is test/crash",
};

const folder = temporaryFolder();
const recording = join(folder.path, "candles.csv");

interface Command {
  page: string;
  text: string;
}

function commandsOf(page: string): Command[] {
  const text = readFileSync(page, "utf8");
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap((match) => (match[1] ?? "").split("\n"));
  const inline = [...text.matchAll(/`(npm (?:start|test|run)[^`]*)`/g)].map((match) => match[1] ?? "");
  return [...new Set([...blocks, ...inline])].filter((line) => /^npm (start|test|run)\b/.test(line)).map((line) => ({ page, text: line }));
}

/** Splits a command as a shell would, for what pages use: double quotes and spaces. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "");
}

/** The arguments of `coinlake` that the command stands for; null where it is no command of ours to run here. */
function argumentsOf(text: string): string[] | null {
  if (Object.keys(NOT_RUN).some((prefix) => text.startsWith(prefix))) return null;
  const filled = text
    .replace("FILE", recording)
    .replace("[1-5] ", "1 ")
    .replaceAll("TIME", "2026-01-02T00:00:00Z")
    .replace('"SQL"', '"select 1"')
    .replace(/ \| .*$/, "");
  const words = wordsOf(filled);
  if (words[1] === "start") return ["start", ...words.slice(words[2] === "--" ? 3 : 2), "--catalog-port", "0", "--port", "0"];
  assert.deepEqual(words.slice(0, 5), ["npm", "run", "-s", "coinlake", "--"], `how is "${text}" run?`);
  return words.slice(5);
}

/** Ends by itself where the command does; else is stopped once it has answered. */
async function run(args: string[]): Promise<Finished> {
  const [name = "", ...rest] = args;
  const all = [name, "--data", join(folder.path, "lakes"), ...rest];
  if (name !== "start" || args.includes("--until-drained")) return coinlake(all, OFFLINE);
  const { child, finished } = startCoinlake(all, OFFLINE);
  child.stdout?.on("data", (text: string) => {
    if (/^5\. /m.test(text)) child.kill("SIGINT");
  });
  return finished;
}

before(async () => {
  const hour_ms = 3_600_000;
  const start_ms = Date.UTC(2026, 0, 1);
  const rows = Array.from({ length: 30 }, (_, hour) => `BTC,${start_ms + hour * hour_ms},100.${hour},110,95.5,101.25,3.5`);
  writeFileSync(recording, ["symbol,open_time_ms,open,high,low,close,volume", ...rows, ""].join("\n"));
});
after(() => folder.remove());

const commands = [...new Map(PAGES.flatMap(commandsOf).map((command) => [command.text, command])).values()];
// A reader starts before asking.
const ordered = [...commands.filter(({ text }) => text.startsWith("npm start")), ...commands.filter(({ text }) => !text.startsWith("npm start"))];

test("pages print commands", () => {
  assert.ok(ordered.length > 8, `${ordered.length} found on ${PAGES.join(", ")}`);
});

for (const { page, text } of ordered) {
  const args = argumentsOf(text);
  if (args === null) continue;
  test(`${page}: ${text}`, async () => {
    const { code, stderr } = await run(args);
    assert.equal(code, 0, stderr);
  });
}

test("every script that a page names is there", () => {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };
  const named = commands.flatMap(({ text }) => /^npm run -s (\w+)/.exec(text)?.[1] ?? []);
  assert.deepEqual(named.filter((name) => !(name in scripts)), []);
});

test("every link to a file in the repository leads somewhere", () => {
  const broken = PAGES.flatMap((page) =>
    [...readFileSync(page, "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
      .map((match) => join(page, "..", match[1] ?? ""))
      .filter((path) => globSync(path).length === 0)
      .map((path) => `${page}: ${path}`),
  );
  assert.deepEqual(broken, []);
});
