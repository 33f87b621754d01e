import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { systemClock } from "../../src/base/clock.ts";
import { LiveLake } from "../../src/live/live-lake.ts";
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

  async function live(lake: TestLake): Promise<LiveLake> {
    // Seeds are loaded into each lake; the compiled SQL is the same.
    models = await prepareModels({ run: (args) => lake.dbt(...args) }, crypto.transform.project, lake.data_folder);
    return LiveLake.open({ open: lake.open, pipeline: crypto, models, clock: systemClock });
  }

  test("wait for no record that neither the log nor bronze has: a drain fails", async () => {
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

  test("hold, row for row and before any table has it, what the tables will hold once they have absorbed the log", async () => {
    const lake = await lakes.fresh();
    const tail = await live(lake);
    try {
      for (let from = 0, part = 0; from < stream.length; part += 1) {
        const to = Math.min(stream.length, from + [37, 200, 11, 90][part % 4]!);
        await lake.append(stream.slice(from, to));
        await tail.catchUp();
        const promised = new Map<string, string[]>();
        for (const table of TABLES) promised.set(table, await rowsOf(tail, `live.${table.split(".")[1]}`));
        from = to;
        await lake.ingest();
        // In some rounds bronze is ahead of the models.
        if (part % 3 === 1 && to < stream.length) continue;
        await lake.catchUp();
        for (const table of TABLES)
          assertSameRows(promised.get(table) ?? [], await rowsOf(tail, table), `${table} after ${to} records`);
      }
    } finally {
      tail.close();
    }
  });
});
