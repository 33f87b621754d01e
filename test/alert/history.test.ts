import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { crypto } from "../../pipelines/crypto.ts";
import { textOf } from "../../src/alert/evaluate/decimal.ts";
import { sqlHistory, windowPages, type TickRange } from "../../src/alert/history.ts";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { readRows } from "../../src/duckdb/read.ts";
import type { Tick } from "../../src/pipeline/definition.ts";
import { START_US } from "./streams.ts";

const SECOND_US = 1_000_000;
const topic = crypto.topic.name;

/**
 * Two partitions; each record holds three elements, one second apart, with values that no double represents exactly.
 */
const ticks: Tick[] = [0, 1].flatMap((partition) =>
  Array.from({ length: 1_200 }, (_, index) => ({
    subject: `s${index % 7}`,
    source: "test",
    // Within a record, event order is the reverse of element order.
    product: index % 2 === 0 ? "x" : null,
    number: index % 5 === 0 ? null : 2n ** 53n + BigInt(index),
    value: 12_345_678_901_234_567_890n + BigInt(index),
    amount: index % 2 === 0 ? null : 1n,
    at_us: START_US + index * SECOND_US + partition,
    ingested_at_us: START_US + index * SECOND_US + 5,
    partition,
    offset: Math.floor(index / 3),
    element_index: 2 - (index % 3),
  })),
);

describe("the history of a lake, read by SQL", () => {
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;
  let pages = 0;

  before(async () => {
    instance = await openDuckDB();
    connection = await instance.connect();
    const { subject, source, value, amount, at, date, product, number } = crypto.live.columns;
    await connection.run(`create schema live;
      create table live.crypto_price_updates (${subject} varchar, ${source} varchar, ${value} decimal(38, 24),
      ${amount} decimal(38, 24), ${at} timestamptz, ${date} date, ingested_at timestamptz,
      log_partition integer, log_offset bigint, element_index integer, ${product} varchar, ${number} bigint)`);
    const rows = ticks.map((tick) => {
      const [at_tz, ingested_tz] = [`make_timestamptz(${tick.at_us})`, `make_timestamptz(${tick.ingested_at_us})`];
      const amount_text = tick.amount === null ? "null" : `'${textOf(tick.amount)}'`;
      const product_text = tick.product === null ? "null" : `'${tick.product}'`;
      const place = `${tick.partition}, ${tick.offset}, ${tick.element_index}, ${product_text}, ${tick.number}`;
      return (
        `('${tick.subject}', '${tick.source}', '${textOf(tick.value)}', ${amount_text}, ${at_tz}, ` +
        `(${at_tz} at time zone 'UTC')::date, ${ingested_tz}, ${place})`
      );
    });
    await connection.run(
      `insert into live.crypto_price_updates select * from (values ${rows.join(", ")}) order by random()`,
    );
  });
  after(() => {
    connection.closeSync();
    instance.closeSync();
  });

  const history = () =>
    sqlHistory({ query: (sql) => readRows(connection, sql), pipeline: crypto, over: "live", page_rows: 200 });

  async function read(range: TickRange): Promise<Tick[]> {
    const found: Tick[] = [];
    for await (const page of history().pages(range)) {
      pages += 1;
      const [last, next] = [found.at(-1), page[0]];
      assert.ok(
        page.length > 0 && !(last?.partition === next?.partition && last?.offset === next?.offset),
        "a page ended within a record",
      );
      found.push(...page);
    }
    return found;
  }

  test("yields every tick exactly, in log order, page by page", async () => {
    assert.deepEqual(await read({}), ticks);
    assert.ok(pages > 6, `${pages} pages`);
  });

  test("is limited by offsets, where an absent partition means its beginning", async () => {
    const from = { [`${topic}/0`]: 100 };
    const before_offsets = { [`${topic}/0`]: 150, [`${topic}/1`]: 20, "another/1": 400 };
    const wanted = ticks.filter(({ partition, offset }) =>
      partition === 0 ? offset >= 100 && offset < 150 : offset < 20,
    );
    assert.deepEqual(await read({ from, before: before_offsets }), wanted);
    assert.deepEqual(await read({ before: {} }), []);
  });

  test("is limited by event time: the start is inclusive, the end exclusive", async () => {
    const range = { since_us: START_US + 100 * SECOND_US, until_us: START_US + 110 * SECOND_US };
    assert.deepEqual(
      await read(range),
      ticks.filter(({ at_us }) => at_us >= range.since_us && at_us < range.until_us),
    );
  });

  test("fills windows back from the newest evaluated tick, not from later ones", async () => {
    const judged = { [`${topic}/0`]: 100 };
    const found: Tick[] = [];
    for await (const page of windowPages(history(), judged, 30 * SECOND_US)) found.push(...page);
    assert.equal(await history().newest_us(judged), START_US + 299 * SECOND_US);
    assert.deepEqual(
      found,
      ticks.filter(
        ({ partition, offset, at_us }) => partition === 0 && offset < 100 && at_us >= START_US + 269 * SECOND_US,
      ),
    );
    assert.equal(await history().newest_us({}), null);
  });
});
