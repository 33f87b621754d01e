import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { EVENT_POSITION } from "../../pipelines/crypto/columns.ts";
import { systemClock } from "../../src/base/clock.ts";
import { OperatingError } from "../../src/base/errors.ts";
import { TAIL, TailDatabase } from "../../src/duckdb/tail-database.ts";
import { instanceMemory } from "../../src/duckdb/instances.ts";
import { LiveLake, type AbsorbedBatch, type LiveLakeOptions } from "../../src/live/live-lake.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { prepareModels, type LiveModels } from "../../src/transform/models.ts";
import { BRONZE, Lakes, MODELS, TOPIC, type TestLake } from "../dbt/lake.ts";
import { marketStream } from "../dbt/stream.ts";

const TABLES = [BRONZE, ...MODELS];

/** Rows of a relation as sorted text, with columns ordered by name. */
async function rowsOf(live: LiveLake, relation: string): Promise<string[]> {
  const { columns, rows } = await live.query(`from ${relation}`);
  const order = columns.map(({ name }, index) => ({ name, index })).sort((a, b) => (a.name < b.name ? -1 : 1));
  return rows.map((row) => order.map(({ name, index }) => `${name}=${row[index]}`).join(" ")).sort();
}

/** Coin, offset and index of the newest accepted event of each coin from an offset on. */
async function newestFrom(live: LiveLake, offset: number): Promise<string[]> {
  const { rows } = await live.query(
    `select crypto_id || ' ' || arg_max(log_offset || ' ' || element_index, ${EVENT_POSITION})
     from live.crypto_price_updates
     where log_offset >= ${offset} group by crypto_id`,
  );
  return rows.map((row) => row.join(" ")).sort();
}

function assertSameRows(promised: readonly string[], held: readonly string[], what: string): void {
  const missing = held.filter((row) => !promised.includes(row));
  const extra = promised.filter((row) => !held.includes(row));
  assert.deepEqual({ missing: missing.slice(0, 3), extra: extra.slice(0, 3) }, { missing: [], extra: [] }, what);
  assert.equal(promised.length, held.length, what);
}

describe("the live views", () => {
  let lakes: Lakes;
  let models: LiveModels;
  let stream: SourceRecord[];

  before(async () => {
    lakes = await Lakes.open();
    stream = await marketStream(7);
  });
  after(() => lakes.close());

  async function live(lake: TestLake, options: Partial<LiveLakeOptions> = {}): Promise<LiveLake> {
    // Seeds are loaded into each lake; the compiled SQL is the same.
    models = await prepareModels({ run: (args) => lake.dbt(...args) }, crypto.transform.project, lake.data_folder);
    return LiveLake.open({ open: lake.open, pipeline: crypto, models, clock: systemClock, ...options });
  }

  test("fail a drain if records are in neither the log nor bronze", async () => {
    const lake = await lakes.fresh();
    const tail = await live(lake);
    try {
      await lake.append(stream.slice(0, 20));
      await tail.catchUp();
      await lake.append(stream.slice(20, 30));
      const bounds = await lake.open.log.bounds(TOPIC);
      const ends = Object.fromEntries(bounds.map(({ partition, end }) => [`${TOPIC}/${partition}`, end]));
      // The state after a loss of bronze, whose records had been pruned from the log.
      for (const { partition, end } of bounds)
        await lake.open.log.prune(TOPIC, partition, end, Number.MAX_SAFE_INTEGER);
      await assert.rejects(tail.until(ends, new AbortController().signal), {
        code: "RECORDS_LOST",
        message: /Records 0 to 29 of .* are gone/,
      });
    } finally {
      tail.close();
    }
  });

  test("have no record of a snapshot that the tail has not absorbed yet", async () => {
    const lake = await lakes.fresh();
    const { log } = lake.open;
    const reading = Promise.withResolvers<undefined>();
    const released = Promise.withResolvers<undefined>();
    const slow_log = new Proxy(log, {
      get:
        (target, name: keyof typeof log) =>
        async (...args: never[]) => {
          if (name === "read") {
            reading.resolve(undefined);
            await released.promise;
          }
          return (target[name] as (...args: never[]) => unknown)(...args);
        },
    });
    const tail = await live(lake, { open: { ...lake.open, log: slow_log } });
    const counts = async (): Promise<string> => {
      const verdicts = ["crypto_price_updates", "crypto_prices_rejected", "crypto_price_duplicates"]
        .map((view) => `select log_offset from live.${view}`)
        .join(" union all ");
      const { rows } = await tail.query(
        `select (select count(*) from live.crypto_ticks_raw), (select count(distinct log_offset) from (${verdicts}))`,
      );
      return rows.join();
    };
    try {
      await lake.append(stream.slice(0, 40));
      await lake.ingest();
      const caught_up = tail.catchUp();
      await reading.promise;
      assert.equal(await counts(), "0,0");
      released.resolve(undefined);
      await caught_up;
      assert.match(await counts(), /^40,[1-9]/);
      const bronze = tail.state().tables.find(({ table }) => table === BRONZE);
      assert.notEqual(bronze?.snapshot_id, null, "the view has the newer snapshot by then");
    } finally {
      released.resolve(undefined);
      tail.close();
    }
  });

  test("say why they stand still, and continue with the first record that they lack", async () => {
    const lake = await lakes.fresh();
    const { log } = lake.open;
    let is_away = true;
    const flaky_log = new Proxy(log, {
      get:
        (target, name: keyof typeof log) =>
        async (...args: never[]) => {
          if (name === "read" && is_away)
            throw new OperatingError("LOG_LOCKED", "The log is away", { next_step: "Wait." });
          return (target[name] as (...args: never[]) => unknown)(...args);
        },
    });
    const events: string[] = [];
    const tail = await live(lake, {
      open: { ...lake.open, log: flaky_log },
      failed: ({ code }) => {
        events.push(code, String(tail.state().stalled));
        is_away = false;
      },
      recovered: () => events.push("recovered"),
    });
    const stop = new AbortController();
    await lake.append(stream.slice(0, 40));
    const running = tail.run(stop.signal);
    try {
      await tail.until({ [`${TOPIC}/0`]: 40 }, AbortSignal.timeout(60_000));
      const { rows } = await tail.query("select count(*) from live.crypto_ticks_raw");
      assert.deepEqual([rows, events], [[["40"]], ["LOG_LOCKED", "The log is away", "recovered"]]);
      assert.equal(tail.state().stalled, null);
    } finally {
      stop.abort();
      await running;
      tail.close();
    }
  });

  test("are those of the rows that a query sees, also while rows are added and views replaced", async () => {
    const lake = await lakes.fresh();
    const tail = await TailDatabase.open(lake.open, { memory_limit_mb: 64, threads: 1 });
    try {
      await tail.run(`CREATE TABLE ${TAIL}.numbers (number BIGINT)`);
      await tail.replaceViews(new Map([["live.promised", "select 0 as number"]]));
      let rounds = 0;
      const reading = (async () => {
        for (let query = 0; query < 300; query += 1) {
          const { rows } = await tail.query(
            `select (select count(*) from ${TAIL}.numbers) >= (select number from live.promised)`,
          );
          assert.deepEqual(rows, [["true"]], `query ${query}`);
        }
      })();
      const has_ended = reading.then(
        () => true,
        () => true,
      );
      while (!(await Promise.race([has_ended, Promise.resolve(false)]))) {
        rounds += 1;
        await tail.run(`INSERT INTO ${TAIL}.numbers VALUES (${rounds})`);
        await tail.replaceViews(new Map([["live.promised", `select ${rounds} as number`]]));
      }
      await reading;
      assert.ok(rounds > 50, `${rounds} changes`);
    } finally {
      tail.close();
    }
  });

  test("have, row for row, what the tables will have once they have absorbed the log", async () => {
    const lake = await lakes.fresh();
    const tail = await live(lake);
    // Leaves backlogs to the tables that the other one absorbs.
    const small = await live(lake, { tail_limits: { max_records: 90, max_bytes: 1e9 } });
    const batches: AbsorbedBatch[] = [];
    small.onAbsorbed((batch) => batches.push(batch));
    const rounds = { absorbed: 0, left: 0 };
    try {
      for (let from = 0, part = 0; from < stream.length; part += 1) {
        const to = Math.min(stream.length, from + [55, 300, 16, 135][part % 4]!);
        await lake.append(stream.slice(from, to));
        await tail.catchUp();
        await small.catchUp();
        const has_left = small.state().stalled !== null;
        rounds[has_left ? "left" : "absorbed"] += 1;
        const promised = new Map<string, string[]>();
        for (const table of TABLES) {
          const view = `live.${table.split(".")[1]}`;
          promised.set(table, await rowsOf(tail, view));
          if (!has_left)
            assertSameRows(await rowsOf(small, view), promised.get(table) ?? [], `${view} at ${to} records`);
        }
        from = to;
        await lake.ingest();
        // In some rounds bronze is ahead of the models. Views that are opened then agree with each other at once.
        if (part % 3 === 1 && to < stream.length) {
          const opened = await live(lake);
          try {
            for (const table of TABLES) {
              const view = `live.${table.split(".")[1]}`;
              assertSameRows(await rowsOf(opened, view), promised.get(table) ?? [], `${view}, opened at ${to} records`);
            }
          } finally {
            opened.close();
          }
          continue;
        }
        await lake.catchUp();
        for (const table of TABLES)
          assertSameRows(promised.get(table) ?? [], await rowsOf(tail, table), `${table} after ${to} records`);
        if (!has_left) continue;
        await small.catchUp();
        assert.equal(small.state().stalled, null);
        assert.equal(small.state().tail_records, 0);
        // Listeners receive the newest tick of each coin among those that it skipped.
        const [before, { ticks, records } = { ticks: [], records: -1 }] = batches.slice(-2);
        const received = ticks.map(({ subject, offset, element_index }) => [subject, offset, element_index].join(" "));
        assert.deepEqual([records, received.sort()], [0, await newestFrom(tail, before?.next[`${TOPIC}/0`] ?? 0)]);
      }
      await tail.catchUp();
      await small.catchUp();
      // The tables of a batch keep no deleted rows; they once kept 55 MB.
      const held = (await instanceMemory()).filter(({ name }) => name === "live");
      const sizes = held.map(({ tags }) => tags.reduce((sum, { size_bytes }) => sum + size_bytes, 0));
      assert.ok(sizes.length === 2 && Math.max(...sizes) < 15_000_000, sizes.join(" "));
      assert.ok(rounds.absorbed > 1 && rounds.left > 1, JSON.stringify(rounds));
    } finally {
      tail.close();
      small.close();
    }
  });
});
