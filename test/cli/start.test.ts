import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openOrCreateLake, rememberAsCurrent } from "../../src/lake/lake.ts";
import { openSqliteLog } from "../../src/log/sqlite/log.ts";
import { coinlake, startCoinlake, temporaryFolder } from "../support/coinlake.ts";
import { eventually } from "../support/eventually.ts";
import { writeKnownMarket, type KnownMarket } from "../crash/known-market.ts";
import { childrenOf, freshMark, skipWithoutProcesses, untilGone } from "../crash/processes.ts";

const TOPIC = "crypto.prices.raw";
/** Limit for the first records of a start; an idle machine takes one second. */
const RECORDS_TIMEOUT_MS = 60_000;

describe("start", () => {
  const folder = temporaryFolder();
  let market: KnownMarket;
  let common: string[];

  before(async () => {
    market = await writeKnownMarket(folder.path, { seed: 5, records: 400 });
    common = ["--source", `replay:${market.recording}`, "--catalog-port", "0", "--port", "0"];
  });
  after(() => folder.remove());

  /**
   * A lake in a separate folder; `untilRecords` resolves to the number of records in its log when there are at least
   * `least`.
   */
  function lakeCalled(name: string): { data: [string, string]; untilRecords(least: number): Promise<number> } {
    const data_folder = join(folder.path, name);
    const lake_folder = join(data_folder, "replay-market-5");
    return {
      data: ["--data", data_folder],
      async untilRecords(least) {
        const records = async (): Promise<number | null> => {
          const found = await recordsIn(join(lake_folder, "log.db"));
          return found >= least ? found : null;
        };
        return eventually(records, { what: `${least} records in the log`, timeout_ms: RECORDS_TIMEOUT_MS });
      },
    };
  }

  test("stops cleanly on Ctrl-C, and the next start resumes", { skip: skipWithoutProcesses }, async () => {
    const { data, untilRecords } = lakeCalled("interrupted");
    const { mark, env } = freshMark();
    const { child, finished } = startCoinlake(["start", ...common, ...data, "--speed", "50"], env);
    await untilRecords(5);
    // A terminal sends the signal to every foreground process.
    for (const worker of await childrenOf(mark, child.pid ?? 0, AbortSignal.timeout(RECORDS_TIMEOUT_MS)))
      process.kill(worker, "SIGINT");
    child.kill("SIGINT");
    const { code, stderr } = await finished;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Stopping: finishing work in progress/);
    assert.match(stderr, /Stopped cleanly/);
    assert.doesNotMatch(stderr, /warning|error/);
    await untilGone(mark);
    const stopped_at = await untilRecords(0);
    assert.ok(stopped_at < market.records, "it was stopped under way");

    const drained = await coinlake(["start", ...common, ...data, "--speed", "max", "--until-drained"]);
    assert.equal(drained.code, 0, drained.stderr);
    const verified = await coinlake(["verify", "--json", ...data]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const { bronze_records, accepted, duplicates, rejected } = JSON.parse(verified.stdout).figures;
    const { records, ...verdicts } = market;
    assert.deepEqual(
      [bronze_records, accepted, duplicates, rejected],
      [records, verdicts.accepted, verdicts.duplicates, verdicts.rejected],
    );
  });

  test("ends at once on a second Ctrl-C, together with its dbt worker", { skip: skipWithoutProcesses }, async () => {
    const { data, untilRecords } = lakeCalled("hurried");
    const { mark, env } = freshMark();
    const { child, finished } = startCoinlake(["start", ...common, ...data, "--speed", "50"], env);
    await untilRecords(1);
    child.stderr?.on("data", (text: string) => {
      if (text.includes("Ctrl-C again to exit at once")) child.kill("SIGINT");
    });
    child.kill("SIGINT");
    const { code, stderr } = await finished;
    assert.equal(code, 130, stderr);
    assert.doesNotMatch(stderr, /Stopped cleanly/);
    await untilGone(mark);
  });

  test("rejects a lake that another start is writing, and does not change it", async () => {
    const { data, untilRecords } = lakeCalled("shared");
    const folder_path = data[1] ?? "";
    const request = { name: "orders", kind: "simulated", pipeline: "ecommerce" } as const;
    rememberAsCurrent(folder_path, openOrCreateLake(folder_path, request));
    const first = startCoinlake(["start", ...common, ...data, "--speed", "50"]);
    await untilRecords(1);
    const second = await coinlake(["start", ...common, ...data, "--speed", "max"]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /LAKE_IN_USE/);
    assert.match(second.stderr, new RegExp(`process ${first.child.pid}`));
    assert.match(second.stderr, /next:.*--data/);
    assert.equal(first.child.exitCode, null, "the first goes on");
    first.child.kill("SIGTERM");
    const { code, stderr } = await first.finished;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^Commands without --lake now use the lake ".+"; for the one before, add --lake orders$/m);
  });

  test("rejects a lake without its lake.json, names the step that restores it and keeps every file", async () => {
    const { data } = lakeCalled("lost");
    const lake_folder = join(folder.path, "lost", "replay-market-5");
    mkdirSync(join(lake_folder, "warehouse"), { recursive: true });
    for (const name of ["catalog.db", "log.db", "warehouse/some.parquet"])
      writeFileSync(join(lake_folder, name), "precious");
    const files = readdirSync(lake_folder, { recursive: true }).sort();
    const { code, stderr } = await coinlake(["start", ...common, ...data]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /LAKE_DESCRIPTION_MISSING[\s\S]*restore/);
    assert.deepEqual(readdirSync(lake_folder, { recursive: true }).sort(), files);
    assert.equal(readFileSync(join(lake_folder, "catalog.db"), "utf8"), "precious");
  });

  for (const option of ["--catalog-port", "--port"]) {
    test(`rejects a taken port before anything runs, and names the option to choose another: ${option}`, async () => {
      const { data } = lakeCalled(`unheard${option}`);
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      try {
        const { port } = server.address() as AddressInfo;
        const ports = { "--catalog-port": "0", "--port": "0", [option]: String(port) };
        const { code, stderr } = await coinlake([
          "start",
          "--source",
          `replay:${market.recording}`,
          ...data,
          ...Object.entries(ports).flat(),
        ]);
        assert.equal(code, 1);
        assert.match(stderr, new RegExp(`port ${port}.*PORT_TAKEN`));
        assert.match(stderr, new RegExp(`next:.*${option}`));
        assert.doesNotMatch(stderr, /Iceberg catalog/);
        assert.ok(!existsSync(data[1]), "the folder that the start had created is removed");
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    });
  }
});

/** 0 while the log or its topic does not exist. */
async function recordsIn(log_file: string): Promise<number> {
  if (!existsSync(log_file)) return 0;
  const log = openSqliteLog({ file: log_file });
  try {
    const bounds = await log.bounds(TOPIC).catch(() => []);
    return bounds.reduce((sum, { end }) => sum + end, 0);
  } finally {
    await log.close();
  }
}
