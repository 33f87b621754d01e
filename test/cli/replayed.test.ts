import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { coinlake, temporaryFolder } from "../support/coinlake.ts";
import { coinlakeByKind, warmCoinlake } from "../support/warm-coinlake.ts";

const HOUR_MS = 3_600_000;
const folder = temporaryFolder();
const recording = join(folder.path, "candles.csv");
// A name that a URI encodes: tables must be in the folder that `--data` names.
const data = ["--data", join(folder.path, "my lakes ü")];
const start = [
  "start",
  "--source",
  `replay:${recording}`,
  "--speed",
  "max",
  "--until-drained",
  "--catalog-port",
  "0",
  ...data,
];

after(() => folder.remove());

test("verify distinguishes a pipeline killed within its first increment from a damaged lake", async () => {
  const rows = Array.from(
    { length: 48 },
    (_, hour) => `ETH,${Date.UTC(2026, 0, 1) + hour * HOUR_MS},10,11,9.5,10.25,2`,
  );
  writeFileSync(recording, ["symbol,open_time_ms,open,high,low,close,volume", ...rows, ""].join("\n"));

  // Kills the process after the commits of bronze, the seed and some of the built tables, never after all of them. The
  // number of nodes does not tell these apart: dbt also compiles the live views, before or after the increment.
  const killed = await coinlake(start, { COINLAKE_KILL_AT: "after pointer:7" });
  assert.equal(killed.signal, "SIGKILL", killed.stderr);
  const cut_off = await coinlakeByKind(["verify", ...data]);
  assert.equal(cut_off.code, 75);
  assert.match(
    cut_off.stderr,
    /Nothing was verified[\s\S]*\[MOMENT_NOT_HELD\][\s\S]*Start the pipeline to complete an interrupted increment/,
  );

  const drained = await coinlake([...start, "--json"]);
  assert.equal(drained.code, 0, drained.stderr);
  assert.equal(JSON.parse(drained.stdout).answers.length, 5);
  // By symbol, because the lake has no CoinGecko id.
  assert.equal(JSON.parse(drained.stdout).answers[2].parts[0].rows[0].crypto_id, "eth");
  const balanced = await coinlakeByKind(["verify", "--json", ...data]);
  assert.equal(balanced.code, 0, balanced.stderr);
  assert.equal(JSON.parse(balanced.stdout).figures.accepted, 4 * rows.length);
  assert.deepEqual(readdirSync(folder.path).sort(), ["candles.csv", "my lakes ü"]);

  const volatile = JSON.parse((await coinlake(["ask", "2", "--json", ...data])).stdout).answers[0].parts[0].rows[0];
  assert.deepEqual([volatile.crypto_id, volatile.volatility_percent], ["eth", null]);
  assert.match(volatile.reason, /^23 of 1439 minutes have a price in the minute before/);
  const named = await warmCoinlake(["ask", "1", "--coin", "Ethereum", "--json", ...data]);
  assert.equal(JSON.parse(named.stdout).answers[0].parts[0].rows[0].crypto_id, "eth", named.stderr);
  const unknown = await warmCoinlake(["ask", "1", "--coin", "etc", ...data]);
  assert.deepEqual([unknown.code, unknown.stdout], [2, ""]);
  assert.match(unknown.stderr, /Unknown coin "etc"[\s\S]*Nearest matches: eth/);
  const rule = (coin: string) =>
    JSON.stringify({ name: coin, subjects: [coin], condition: { kind: "crosses", direction: "above", level: "11" } });
  const made = await coinlake(["rules", "add", rule("Ethereum"), "--json", ...data]);
  assert.deepEqual(JSON.parse(made.stdout).subjects, ["eth"], made.stderr);
  assert.equal((await warmCoinlake(["rules", "add", rule("etc"), ...data])).code, 2);
});

test("a file that mixes units of time creates no lake, and the error names the lines", async () => {
  const mixed = join(folder.path, "mixed.csv");
  writeFileSync(
    mixed,
    "symbol,open_time_ms,open,high,low,close,volume\nETH,1772445600,1,1,1,1,1\nETH,1772445720000,1,1,1,1,1\n",
  );
  const { code, stderr } = await coinlake([
    "start",
    "--source",
    `replay:${mixed}`,
    "--speed",
    "max",
    "--until-drained",
    "--catalog-port",
    "0",
    ...data,
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /line 2 counts seconds \(1772445600\), line 3 counts milliseconds/);
  assert.deepEqual(
    readdirSync(join(folder.path, "my lakes ü")).filter((name) => name.includes("mixed")),
    [],
  );
});

test("a drain in which every record is rejected succeeds and reports it", async () => {
  const rejected = join(folder.path, "rejected.jsonl");
  writeFileSync(rejected, '{"source":"x","ingested_at":"2026-01-01T00:00:00Z","payload":"{}"}\nno record\n');
  const { code, stderr } = await coinlake([
    "start",
    "--source",
    `replay:${rejected}`,
    "--speed",
    "max",
    "--until-drained",
    "--catalog-port",
    "0",
    ...data,
  ]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /no record was accepted/);
  const { figures } = JSON.parse((await coinlakeByKind(["verify", "--json", ...data])).stdout);
  assert.deepEqual(figures.rejected_by_reason, { invalid_json: 1, unrecognised_shape: 1 });
});

test("times are printed in UTC in any time zone", async () => {
  const sql = "select timestamptz '2026-01-01 00:00:00+00' as at_midnight";
  const { code, stdout, stderr } = await coinlake(["query", sql, "--json", ...data], { TZ: "Asia/Kolkata" });
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), [{ at_midnight: "2026-01-01 00:00:00+00" }]);
});

test("--at is rejected only for queries that read live views, in any spelling of their names", async () => {
  const query = (sql: string, ...options: string[]) => warmCoinlake(["query", sql, "--json", ...data, ...options]);
  const past = ["--at", "2026-01-31T12:00:00Z"];
  const spoken = await query("select 'live.' as word -- live.x", ...past);
  assert.deepEqual([spoken.code, JSON.parse(spoken.stdout)], [0, [{ word: "live." }]], spoken.stderr);
  for (const name of ["live.dim_crypto", 'LIVE."dim_crypto"', '"live" . "dim_crypto"']) {
    const rejected = await query(`select * from ${name}`, ...past);
    assert.equal(rejected.code, 2);
    assert.match(rejected.stderr, /LIVE_HAS_NO_PAST/);
    const answered = await query(`select * from ${name}`);
    assert.equal(answered.code, 0, answered.stderr);
  }
});

test("a printed table ends after 10,000 rows with a note", async () => {
  const { code, stdout, stderr } = await warmCoinlake(["query", "select * from range(200_000)", ...data]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, / 9999 /);
  assert.doesNotMatch(stdout, / 10000 /);
  assert.match(stderr, /The first 10,000 of 200,000 rows; --csv and --json print all/);
});

test("SQL is read from a file or from standard input, and CSV output escapes formulas", async () => {
  const file = join(folder.path, "formulas.sql");
  writeFileSync(file, "select '=1+1' as \"=a\", 2.500::decimal(38,18) as b, null as c, 'x,y' as d;\n");
  const from_file = await warmCoinlake(["query", "-f", file, "--csv", ...data]);
  assert.equal(from_file.code, 0, from_file.stderr);
  assert.equal(from_file.stdout, "'=a,b,c,d\r\n'=1+1,2.5,,\"x,y\"\r\n");
  const from_input = await coinlake(["query", "-", "--csv", ...data], {}, "select 1 as one");
  assert.equal(from_input.stdout, "one\r\n1\r\n", from_input.stderr);
});

test("tables fit the terminal, are complete with --wide and in pipes; --vertical prints a line per value", async () => {
  const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));
  const ask = async (options: string[], env: NodeJS.ProcessEnv, run = warmCoinlake) => {
    const asked = await run(["ask", "5", "--lake", "replay-candles", ...options, ...data], env);
    assert.equal(asked.code, 0, asked.stderr);
    return asked;
  };
  const [narrow, wide, piped, vertical] = [
    await ask([], { COLUMNS: "80" }),
    await ask(["--wide"], { COLUMNS: "80" }),
    await ask([], {}, coinlake),
    await ask(["--vertical"], {}),
  ];
  const tableOf = ({ stdout }: { stdout: string }) =>
    stdout
      .split("\n")
      .filter((line) => /^[┌│├└]|^\S.*─|^\d/.test(line))
      .join("\n");
  assert.ok(widest(tableOf(narrow)) <= 80 && narrow.stdout.includes("ETH"), narrow.stdout);
  assert.ok(widest(tableOf(wide)) > 80, wide.stdout);
  assert.equal(tableOf(wide), tableOf(piped));
  assert.match(vertical.stdout, /^── 1 ──\nrank /m);
  assert.match(
    piped.stdout,
    /as of 2026-01-02 23:\d\d:\d\d(?:\.\d+)?Z: the newest event in gold, on the recording's clock, .* ago/,
  );
});
