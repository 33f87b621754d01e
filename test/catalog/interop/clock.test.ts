import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { QuerySession } from "../../../src/duckdb/session.ts";
import { openDuckDB, attachCatalog } from "../../../src/duckdb/duckdb.ts";
import { temporaryFolder } from "../../support/coinlake.ts";
import { skipWithoutFaketime, withClockOff } from "../../support/faketime.ts";
import { MovedClock } from "../../maintain/lake.ts";
import { openLake } from "../lake.ts";

const CHILD = fileURLToPath(new URL("clock-child.ts", import.meta.url));
const HOUR_S = 3_600;
const run = promisify(execFile);

describe("a lake whose clock was wrong for some commits", { skip: skipWithoutFaketime }, () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  for (const [name, seconds] of [
    ["an hour ahead", HOUR_S],
    ["a day ahead", 24 * HOUR_S],
    ["an hour behind", -HOUR_S],
    ["a day behind", -24 * HOUR_S],
  ] as const) {
    test(`reads and writes its current state while the clock is ${name} and right after`, async () => {
      const lake = join(folder.path, String(seconds));
      mkdirSync(lake);
      const by = async (offset_s: number, ...statements: string[]): Promise<unknown> => {
        const { command, args, env } = withClockOff(offset_s, [
          process.execPath,
          "--disable-warning=ExperimentalWarning",
          CHILD,
          lake,
          ...statements,
        ]);
        const { stdout } = await run(command, args, { env: { ...process.env, ...env } });
        return JSON.parse(stdout);
      };
      const saw = (sum: number) => ({ now: [sum], version: [sum], session: [sum], held: [sum], travelled: [sum] });
      const insert = (id: number): string => `insert into lake.gold.prices values (${id})`;
      assert.deepEqual(await by(0, "create table lake.gold.prices (id bigint)", insert(1)), [null, saw(1)]);
      assert.deepEqual(await by(seconds, insert(10), insert(100)), [saw(1), saw(111)]);
      assert.deepEqual(await by(0, insert(1000), "delete from lake.gold.prices where id = 10", insert(10_000)), [
        saw(111),
        saw(11_101),
      ]);
    });
  }
});

test("a reader whose clock is behind the catalog's fails instead of reading an older table", async () => {
  const clock = new MovedClock();
  const lake = await openLake({ clock });
  const server = await lake.serve();
  const duckdb = await openDuckDB();
  const connection = await duckdb.connect();
  try {
    await attachCatalog(connection, server.url, "lake");
    await lake.catalog.createNamespace(["gold"]);
    await connection.run("create table lake.gold.prices as select 1 as id");
    const session = await QuerySession.open({ catalog: lake.catalog, server, s3: null });
    assert.deepEqual((await session.query("select id from gold.prices")).rows, [["1"]]);
    clock.ahead_us = HOUR_S * 1_000_000;
    await lake.catalog.commit([
      {
        identifier: { namespace: ["gold"], name: "prices" },
        requirements: [],
        updates: [{ action: "set-properties", updates: { a: "b" } }],
      },
    ]);
    await assert.rejects(session.query("select id from gold.prices"), { code: "CLOCK_BEHIND", is_retryable: true });
    assert.deepEqual((await session.query("select 1")).rows, [["1"]]);
    session.close();
  } finally {
    connection.closeSync();
    duckdb.closeSync();
    await lake.close();
  }
});
