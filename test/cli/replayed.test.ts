import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { coinlake, temporaryFolder } from "../coinlake.ts";

const HOUR_MS = 3_600_000;
const folder = temporaryFolder();
const recording = join(folder.path, "candles.csv");
// A name that a URI would spell otherwise: tables must lie in the folder that was asked for.
const data = ["--data", join(folder.path, "my lakes ü")];
const start = ["start", "--source", `replay:${recording}`, "--speed", "max", "--until-drained", "--catalog-port", "0", ...data];

after(() => folder.remove());

test("verify tells a pipeline that was killed within its first increment from a damaged lake", async () => {
  const rows = Array.from({ length: 48 }, (_, hour) => `ETH,${Date.UTC(2026, 0, 1) + hour * HOUR_MS},10,11,9.5,10.25,2`);
  writeFileSync(recording, ["symbol,open_time_ms,open,high,low,close,volume", ...rows, ""].join("\n"));

  // After a few nodes: the batch and some of the tables, never all of them.
  const killed = await coinlake(start, { COINLAKE_KILL_AT: "inside transform:4" });
  assert.equal(killed.signal, "SIGKILL", killed.stderr);
  const cut_off = await coinlake(["verify", ...data]);
  assert.equal(cut_off.code, 1);
  assert.match(cut_off.stderr, /MOMENT_NOT_HELD[\s\S]*nothing was verified[\s\S]*start the pipeline/);

  const drained = await coinlake([...start, "--json"]);
  assert.equal(drained.code, 0, drained.stderr);
  assert.equal(JSON.parse(drained.stdout).answers.length, 5);
  const balanced = await coinlake(["verify", "--json", ...data]);
  assert.equal(balanced.code, 0, balanced.stderr);
  assert.equal(JSON.parse(balanced.stdout).figures.accepted, 4 * rows.length);
  assert.deepEqual(readdirSync(folder.path).sort(), ["candles.csv", "my lakes ü"]);
});

test("a drain of which every record is refused ends well, and says so", async () => {
  const refused = join(folder.path, "refused.jsonl");
  writeFileSync(refused, '{"source":"x","ingested_at":"2026-01-01T00:00:00Z","payload":"{}"}\nno record\n');
  const { code, stderr } = await coinlake(["start", "--source", `replay:${refused}`, "--speed", "max", "--until-drained", "--catalog-port", "0", ...data]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /not one record was accepted/);
  const { figures } = JSON.parse((await coinlake(["verify", "--json", ...data])).stdout);
  assert.deepEqual(figures.refused_by_reason, { invalid_json: 1, unrecognised_shape: 1 });
});

test("times are UTC wherever the machine stands", async () => {
  const sql = "select timestamptz '2026-01-01 00:00:00+00' as at_midnight";
  const { code, stdout, stderr } = await coinlake(["query", sql, "--json", ...data], { TZ: "Asia/Kolkata" });
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), [{ at_midnight: "2026-01-01 00:00:00+00" }]);
});

test("only what reads the live views is refused a past, in whatever way it is written", async () => {
  const query = (sql: string, ...options: string[]) => coinlake(["query", sql, "--json", ...data, ...options]);
  const past = ["--at", "2026-01-31T12:00:00Z"];
  const spoken = await query("select 'live.' as word -- live.x", ...past);
  assert.deepEqual([spoken.code, JSON.parse(spoken.stdout)], [0, [{ word: "live." }]], spoken.stderr);
  for (const name of ["live.dim_crypto", 'LIVE."dim_crypto"', '"live" . "dim_crypto"']) {
    const refused = await query(`select * from ${name}`, ...past);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /LIVE_HAS_NO_PAST/);
    const answered = await query(`select * from ${name}`);
    assert.equal(answered.code, 0, answered.stderr);
  }
});

test("a table for eyes is cut where it would be too long, and says so", async () => {
  const { code, stdout, stderr } = await coinlake(["query", "select * from range(200_000)", ...data]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, / 9999 /);
  assert.doesNotMatch(stdout, / 10000 /);
  assert.match(stderr, /The first 10,000 of 200,000 rows; --json gives them all/);
});
