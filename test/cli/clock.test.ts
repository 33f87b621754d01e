import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { findLake } from "../../src/lake/lake.ts";
import { CACHE_FILE } from "../../src/transform/models.ts";
import { contentOf, LAKE, prepareLake, type Content } from "../backup/lake.ts";
import { temporaryFolder, type Finished } from "../support/coinlake.ts";
import { skipWithoutFaketime } from "../support/faketime.ts";
import { WarmProcess } from "../support/warm-coinlake.ts";

const HOUR_S = 3_600;
/** Compared with the answers under the right clock, in this order. */
const READING = {
  "the questions": ["ask", "--json"],
  "a table": ["query", "select count(*), sum(price_usd) from gold.fact_crypto_ticks", "--json"],
  "a live view": ["query", "select count(*), sum(price_usd) from live.fact_crypto_ticks", "--json"],
  "what verify finds": ["verify", "--json"],
  alerts: ["alerts", "--json"],
  "what a rule would have fired": ["rules", "test", "fall-5-percent-10-minutes", "--json"],
} as const;
/** Each succeeds and takes nothing that a reader needs. */
const WRITING = [
  ["transform"],
  ["maintain", "expire", "--older-than", "0.01", "--dry-run"],
  ["maintain", "orphans"],
  ["maintain"],
  ["repair"],
] as const;

describe("every command under a wrong clock", { skip: skipWithoutFaketime }, () => {
  const folder = temporaryFolder();
  const right = new WarmProcess();
  let data = "";
  let content: Content;
  let answers: Record<string, unknown>;

  before(async () => {
    data = await prepareLake(join(folder.path, "lake"));
    content = await contentOf(data);
    answers = await readBy(right, data);
  });
  after(() => folder.remove());

  /** Reads everything; every command says that a clock is wrong if `is_behind`. */
  async function readBy(process: WarmProcess, from: string, is_behind = false): Promise<Record<string, unknown>> {
    const found: Record<string, unknown> = {};
    for (const [what, args] of Object.entries(READING)) {
      const { stdout } = await run(process, [...args, "--data", from], is_behind && args[0] !== "alerts");
      found[what] = withoutClockTimes(JSON.parse(stdout));
    }
    return found;
  }

  /** The answer of the live views, which dbt compiles first. */
  async function readLive(process: WarmProcess): Promise<unknown> {
    const { stdout, stderr } = await run(process, [...READING["a live view"], "--data", data], true);
    assert.match(stderr, /compiling the live views/);
    return withoutClockTimes(JSON.parse(stdout));
  }

  async function run(process: WarmProcess, args: readonly string[], is_warned: boolean): Promise<Finished> {
    const finished = await process.run(args);
    const said = `${args.join(" ")}: ${finished.stdout}${finished.stderr}`;
    assert.doesNotMatch(finished.stderr, /bug in Coinlake/, said);
    // The machine of a test may lack a requirement that `doctor` reports.
    if (args[0] !== "doctor") assert.equal(finished.code, 0, said);
    assert.equal(/A clock is wrong: this machine's shows/.test(said), is_warned, said);
    return finished;
  }

  /** Runs the work without the compiled live views, as in a lake that never started: dbt takes seconds to compile. */
  async function withoutModels(work: () => Promise<void>): Promise<void> {
    const models = join(findLake(data, LAKE).dbt_folder, CACHE_FILE);
    renameSync(models, `${models}.kept`);
    await work().finally(() => renameSync(`${models}.kept`, models));
  }

  for (const [name, seconds] of [
    ["an hour ahead", HOUR_S],
    ["an hour behind", -HOUR_S],
    ["a day ahead", 24 * HOUR_S],
    ["a day behind", -24 * HOUR_S],
  ] as const) {
    test(`${name} reads the same, and warns where it can detect the wrong clock`, async () => {
      const wrong = new WarmProcess(seconds);
      assert.deepEqual(await readBy(wrong, data, seconds < 0), answers);
      if (seconds === -24 * HOUR_S)
        await withoutModels(async () => assert.deepEqual(await readLive(wrong), answers["a live view"]));
      // `repair` reads metadata files themselves, and opens the catalog only to repair.
      for (const args of WRITING) await run(wrong, [...args, "--data", data], seconds < 0 && args[0] !== "repair");
    });
  }

  test("a day behind backs up, restores and moves a complete lake", async () => {
    const wrong = new WarmProcess(-24 * HOUR_S);
    const [backup = "", restored = "", moved = ""] = ["backup", "restored", "moved"].map((to) => join(folder.path, to));
    for (const args of [
      ["backup", backup, "--data", data],
      ["restore", backup, "--data", restored],
      ["move", moved, "--data", restored],
    ]) {
      await run(wrong, args, false);
    }
    await run(wrong, ["doctor", "--data", moved], true);
    assert.deepEqual(await readBy(right, moved), answers);
  });

  test("leaves every value unchanged, and verify --deep succeeds", async () => {
    assert.deepEqual(await readBy(right, data), answers);
    const { code, stderr } = await right.run(["verify", "--deep", "--scratch", folder.path, "--data", data]);
    assert.equal(code, 0, stderr);
    const now = await contentOf(data);
    for (const [place, found] of now) if (content.has(place)) assert.deepEqual(found, content.get(place), place);
    for (const place of content.keys()) if (place.endsWith(" head")) assert.ok(now.has(place), place);
  });
});

/**
 * Answers name the commit times of snapshots, which a clock that is behind makes approximate, also in notes; a test of
 * a rule names the present time.
 */
function withoutClockTimes(value: unknown): unknown {
  const is_of_clock = (key: string): boolean => ["committed_at", "fired_at", "note"].includes(key);
  return JSON.parse(JSON.stringify(value, (key, inner: unknown) => (is_of_clock(key) ? undefined : inner)));
}
