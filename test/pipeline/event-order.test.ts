import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import * as fc from "fast-check";
import { EVENT_ORDER, EVENT_POSITION } from "../../pipelines/crypto/columns.ts";
import { openDuckDB } from "../../src/duckdb/duckdb.ts";
import { readRows } from "../../src/duckdb/read.ts";
import { projectFolder } from "../../src/lake/tools.ts";
import { compareLogPosition, compareEvents, type EventPosition } from "../../src/pipeline/event-order.ts";

/** Names with common prefixes, and characters that UTF-16 and UTF-8 sort differently. */
const NAMES = ["a", "a|b", "a.b", "A", "币安", "\uFF21", "\u{1F600}", "BTC-USD", "BTC-USDT"];

const position: fc.Arbitrary<EventPosition> = fc.record({
  at_us: fc.integer({ min: 0, max: 2 }),
  source: fc.constantFrom(...NAMES),
  product: fc.constantFrom(null, "", ...NAMES),
  number: fc.constantFrom(null, 0n, 9n, 10n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n),
  partition: fc.integer({ min: 0, max: 1 }),
  offset: fc.integer({ min: 0, max: 20 }),
  element_index: fc.integer({ min: 0, max: 2 }),
});

describe("the order of events", () => {
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;

  before(async () => {
    instance = await openDuckDB();
    connection = await instance.connect();
  });
  after(() => {
    connection.closeSync();
    instance.closeSync();
  });

  test("is the same in TypeScript and in SQL", async () => {
    const positions = fc.array(position, { minLength: 2, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(positions, async (events) => {
        const rows = events.map(({ at_us, source, product, number, partition, offset, element_index }, index) => {
          const name = product === null ? "null" : `'${product}'`;
          const place = `${partition}, ${offset}, ${element_index}`;
          return `(${index}, make_timestamptz(${at_us}), '${source}', ${name}, ${number}::bigint, ${place})`;
        });
        const names = "index, price_at, source, product, trade_number, log_partition, log_offset, element_index";
        const table = `(values ${rows.join(", ")}) as t(${names})`;
        // Both sorts keep the list order of equal positions.
        const sorted = await readRows(
          connection,
          `select index from ${table} order by ${EVENT_ORDER.join(", ")}, index`,
        );
        const wanted = [...events.entries()]
          .sort(([, one], [, other]) => compareEvents(one, other))
          .map(([index]) => String(index));
        assert.deepEqual(
          sorted.rows.map(([index]) => index),
          wanted,
        );
        const [[last] = []] = (await readRows(connection, `select arg_max(index, ${EVENT_POSITION}) from ${table}`))
          .rows;
        assert.equal(
          compareEvents(events[Number(last)] ?? assert.fail(), events[Number(wanted.at(-1))] ?? assert.fail()),
          0,
        );
      }),
      { numRuns: 60 },
    );
  });

  test("is a total order: different events are never equal", () => {
    fc.assert(
      fc.property(position, position, position, (a, b, c) => {
        assert.equal(Math.sign(compareEvents(a, b)) + Math.sign(compareEvents(b, a)), 0);
        if (compareEvents(a, b) <= 0 && compareEvents(b, c) <= 0) assert.ok(compareEvents(a, c) <= 0);
        const is_same = a.partition === b.partition && a.offset === b.offset && a.element_index === b.element_index;
        if (!is_same) assert.notEqual(compareEvents(a, b), 0);
      }),
    );
  });

  test("by log position is offset order between records and event order within a record", () => {
    const event = (offset: number, at_us: number) => {
      return { at_us, source: "a", product: null, number: null, partition: 0, offset, element_index: 9 - at_us };
    };
    const sorted = [event(2, 1), event(1, 8), event(1, 3), event(1, 5)].sort(compareLogPosition);
    assert.deepEqual(
      sorted.map(({ offset, at_us }) => [offset, at_us]),
      [
        [1, 3],
        [1, 5],
        [1, 8],
        [2, 1],
      ],
    );
  });

  test("is the same in the dbt project", () => {
    const macro = readFileSync(join(projectFolder(), "dbt_crypto", "macros", "event_order.sql"), "utf8");
    const [, list = ""] = /return\(\[([\s\S]*)\]\)/.exec(macro) ?? [];
    const expressions = [...list.matchAll(/"([^"]*)"|'([^']*)'/g)].map(([, double, single]) => double ?? single);
    assert.deepEqual(expressions, EVENT_ORDER);
  });
});
