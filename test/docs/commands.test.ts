import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startCoinlake, temporaryFolder, type Finished } from "../support/coinlake.ts";
import { coinlakeByKind } from "../support/warm-coinlake.ts";

/** This test runs every command of the pages as printed, except for the lake's folder, ports, FILE and TIME. */
const PAGES = globSync(["*.md", "data-modeling/*.md", "docs/**/*.md", "examples/*.md"]);

/** An address at which no source answers, on any network. */
const NOWHERE = "http://127.0.0.1:9";
const EXCHANGES = ["BINANCE", "COINBASE", "KRAKEN"];
const ENVIRONMENT = {
  // A ninth of a user's history, so that a command takes seconds; test/package starts with all of it.
  COINLAKE_SIMULATED_HISTORY_MINUTES: "20",
  COINGECKO_BASE_URL: NOWHERE,
  ...Object.fromEntries(
    EXCHANGES.flatMap((name) => [
      [`COINLAKE_${name}_REST_URL`, NOWHERE],
      [`COINLAKE_${name}_WS_URL`, NOWHERE.replace("http", "ws")],
    ]),
  ),
};

/** Commands that contain this suite, or that need more than the embedded profile. */
const NOT_RUN: Record<string, string> = {
  "npm test": "runs this test",
  "npm run -s test:fast": "runs a part of the tests that run beside this one",
  "npm run -s test:whole": "repeats tests that run beside this one, over more data",
  "npm run -s coverage": "runs the tests that run beside this one",
  "npm run -s typecheck": "runs beside this test",
  "npm run -s lint": "runs beside this test",
  "npm run -s format": "changes files",
  "npm run -s docs": "changes files; test/reference compares them",
  "npm run -s screenshots": "needs a browser; the pages it takes are what test/browser is about",
  "npm run -s bench": "takes minutes; measures, proves nothing",
  "npm run -s test:cluster": "runs the servers themselves",
  "npm run test:cluster": "runs the servers themselves",
  "npm run -s test:power-cut": "its short version is test/power-cut",
  "npm run -s coinlake -- cluster": "its tests are in test/cluster",
  "npm start -- --profile cluster": "its tests are in test/cluster/profile",
  "npm start -- --warehouse": "its tests are in test/cluster/profile",
  "npm run -s crash": "its short version is test/crash",
  "npm run -s coinlake -- move --data": "needs a lake that was moved by hand, as test/backup does",
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
  return [...new Set([...blocks, ...inline])]
    .filter((line) => /^npm (start|test|run)\b/.test(line))
    .map((line) => ({ page, text: line }));
}

/** Splits a command as a shell does, limited to the syntax of the pages: double quotes and spaces. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "");
}

/** The arguments of the `coinlake` command; null for any other command or one that this test does not run. */
function argumentsOf(text: string): string[] | null {
  if (Object.keys(NOT_RUN).some((prefix) => text.startsWith(prefix))) return null;
  const filled = text
    .replace("FILE", recording)
    .replace("[1-5] ", "1 ")
    .replaceAll("TIME", "2026-01-02T00:00:00Z")
    .replaceAll(/\b(?:BACKUP|DATA|NEW)_FOLDER\b/g, (name) => join(folder.path, name.toLowerCase()))
    .replace('"SQL"', '"select 1"')
    .replace(/ \| .*$/, "");
  const words = wordsOf(filled);
  if (words[1] === "start")
    return ["start", ...words.slice(words[2] === "--" ? 3 : 2), "--catalog-port", "0", "--port", "0"];
  assert.deepEqual(words.slice(0, 5), ["npm", "run", "-s", "coinlake", "--"], `how is "${text}" run?`);
  return words.slice(5);
}

/** Resolves when the command exits; stops `start` once its dashboard has answered. */
async function run(args: string[]): Promise<Finished> {
  const [name = "", ...rest] = args;
  // `start` with named sources does not replace them if they do not answer: it serves its dashboard and retries. Such
  // commands get a separate data folder, because their lake remains empty.
  const is_waiting =
    name === "start" && args.some((arg) => EXCHANGES.some((exchange) => arg.includes(exchange.toLowerCase())));
  // Another pipeline's lake would become the current one, which the commands after it read.
  const lakes = is_waiting ? "exchanges" : args.includes("--pipeline") ? "pipelines" : "lakes";
  const data = args.includes("--data") ? [] : ["--data", join(folder.path, lakes)];
  // `coinlake dbt` passes the arguments after dbt's command to dbt; other commands have subcommands, which accept the
  // options.
  const all = name === "dbt" ? [name, ...data, ...rest] : [name, ...rest, ...data];
  if (name !== "start" || args.includes("--until-drained")) return coinlakeByKind(all, ENVIRONMENT);
  const { child, finished } = startCoinlake(all, ENVIRONMENT);
  let said = "";
  let ending: Promise<void> | null = null;
  let is_interrupted = false;
  // Of several pipelines, crypto's: the pages' requests name its tables.
  const dashboardUrl = (): string | undefined => /^(?:crypto)? +dashboard +(http:\S+)/m.exec(said)?.[1];
  const is_crypto = !args.includes("ecommerce");
  child.stdout?.on("data", (text: string) => {
    if (/^5\. /m.test(text))
      ending ??= requestOnce(is_crypto ? dashboardUrl() : undefined).finally(() => child.kill("SIGINT"));
  });
  child.stderr?.on("data", (text: string) => {
    said += text;
    if (!is_waiting || is_interrupted || dashboardUrl() === undefined) return;
    // A second signal would end it at once.
    is_interrupted = true;
    child.kill("SIGINT");
  });
  return finished;
}

/** Requests of the pages, with the answers of the first pipeline that answers all questions. */
const answers: { line: string; is_stream: boolean; code: number | null; body: string }[] = [];

let is_requested = false;

async function requestOnce(url: string | undefined): Promise<void> {
  if (is_requested || url === undefined) return;
  is_requested = true;
  const requests = PAGES.flatMap((page) =>
    [...readFileSync(page, "utf8").matchAll(/^curl .*$/gm)].map(([line]) => line),
  );
  for (const request of requests) {
    // The event stream is endless: curl stops at its timeout, with exit code 28.
    const is_stream = request.includes("/api/events");
    const line = request
      .replace("http://127.0.0.1:4000", url)
      .replace("curl ", `curl --fail-with-body --max-time ${is_stream ? 3 : 30} `);
    const curl = spawn("sh", ["-c", line], { stdio: ["ignore", "pipe", "inherit"] });
    let body = "";
    curl.stdout.setEncoding("utf8").on("data", (text: string) => (body += text));
    const [code] = (await once(curl, "close")) as [number | null];
    answers.push({ line, is_stream, code, body });
  }
}

before(async () => {
  const hour_ms = 3_600_000;
  const start_ms = Date.UTC(2026, 0, 1);
  const rows = Array.from(
    { length: 30 },
    (_, hour) => `BTC,${start_ms + hour * hour_ms},100.${hour},110,95.5,101.25,3.5`,
  );
  writeFileSync(recording, ["symbol,open_time_ms,open,high,low,close,volume", ...rows, ""].join("\n"));
});
after(() => folder.remove());

const commands = [...new Map(PAGES.flatMap(commandsOf).map((command) => [command.text, command])).values()];
// A reader runs `start` before `ask`.
const ordered = [
  ...commands.filter(({ text }) => text.startsWith("npm start")),
  ...commands.filter(({ text }) => !text.startsWith("npm start")),
];

test("the pages contain commands", () => {
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

test("a running pipeline answers every request that a page prints", () => {
  assert.ok(answers.length >= 3, JSON.stringify(answers));
  for (const { line, is_stream, code, body } of answers) {
    assert.equal(code, is_stream ? 28 : 0, `${line}\n${body}`);
    assert.match(body, is_stream ? /^id: /m : /^\{/, line);
  }
});

test("every script that a page names exists", () => {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };
  const named = commands.flatMap(({ text }) => /^npm run -s (\w+)/.exec(text)?.[1] ?? []);
  assert.deepEqual(
    named.filter((name) => !(name in scripts)),
    [],
  );
});

test("every link to a file in the repository resolves", () => {
  const broken = PAGES.flatMap((page) =>
    [...readFileSync(page, "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
      .map((match) => join(page, "..", match[1] ?? ""))
      .filter((path) => globSync(path).length === 0)
      .map((path) => `${page}: ${path}`),
  );
  assert.deepEqual(broken, []);
});
