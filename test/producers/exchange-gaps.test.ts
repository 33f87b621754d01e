import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { GapBook, type GapLimits, type SavedBook } from "../../producers/exchange/gaps.ts";

const LIMITS: GapLimits = {
  max_gap: 1_000,
  max_jump: 1_000_000,
  max_open: 100,
  max_recent: 1_000,
  max_saved: 1_000,
  settle_ms: 1_000,
};
const PRODUCTS = new Set(["A", "B"]);
const trade = (id: number, product = "A", cursor: string | null = null) => ({ product, id, cursor });
const restored = (book: GapBook, products = PRODUCTS, limits = LIMITS): GapBook =>
  new GapBook(limits, JSON.parse(JSON.stringify(book.save())) as SavedBook, products);
const bounds = (gaps: readonly { first_id: number; last_id: number }[]): number[][] =>
  gaps.map(({ first_id, last_id }) => [first_id, last_id]);

/** The ids in the ranges. */
const spread = (runs: readonly { first_id: number; last_id: number }[]): number[] =>
  runs
    .flatMap(({ first_id, last_id }) => Array.from({ length: last_id - first_id + 1 }, (_, index) => first_id + index))
    .sort((a, b) => a - b);

describe("GapBook", () => {
  test("agrees with a model made of sets, for any order of arrival, duplicates and restarts", () => {
    const arrival = fc.record({
      id: fc.integer({ min: 10, max: 60 }),
      how: fc.constantFrom("message", "page", "settle", "restart", "lost"),
    });
    fc.assert(
      fc.property(fc.array(arrival, { minLength: 1, maxLength: 150 }), (arrivals) => {
        let book = new GapBook(LIMITS, null, PRODUCTS);
        let now_us = 0;
        let first: number | null = null;
        let newest = 0;
        const came = new Set<number>();
        const lost = new Set<number>();
        const settled = new Set<number>();
        let filled_count = 0;
        const comes = (id: number): void => {
          if (settled.has(id) && !came.has(id)) filled_count += 1;
          came.add(id);
          lost.delete(id);
        };
        const missing = (): number[] =>
          spread(first === null ? [] : [{ first_id: first, last_id: newest }]).filter(
            (id) => !came.has(id) && !lost.has(id),
          );
        for (const { id, how } of arrivals) {
          if (how === "message") {
            book.saw(trade(id), now_us);
            first ??= id;
            newest = Math.max(newest, id);
            comes(id);
          } else if (how === "page") {
            assert.equal(book.fetched("A", id), settled.has(id) && !came.has(id));
            if (settled.has(id)) comes(id);
          } else if (how === "lost") {
            const range = { first_id: id, last_id: id + 2 };
            const meant = spread([range]).filter((one) => settled.has(one) && !came.has(one) && !lost.has(one));
            assert.equal(book.lose("A", range, "a test"), meant.length);
            for (const one of meant) lost.add(one);
          } else {
            now_us += how === "settle" ? 1_000_000 : 0;
            const expected = how === "settle" ? missing().filter((one) => !settled.has(one)) : [];
            if (how === "settle") assert.deepEqual(spread(book.settled(now_us)), expected);
            else book = restored(book);
            for (const one of missing()) settled.add(one);
          }
          assert.equal(book.counts().open, missing().filter((one) => settled.has(one)).length);
        }
        book.settled(now_us + 1_000_000);
        assert.deepEqual(
          spread(book.gaps().filter(({ state }) => state === "open")).filter((one) => !came.has(one) && !lost.has(one)),
          missing(),
        );
        assert.equal(book.counts().lost, lost.size);
        assert.equal(book.counts().filled, filled_count);
        for (const one of missing()) book.saw(trade(one), now_us);
        assert.deepEqual(book.save().open, []);
        assert.deepEqual(
          spread(book.gaps().filter(({ state }) => state === "lost")),
          [...lost].sort((a, b) => a - b),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test("reports each contiguous run of missing trades as one gap, per product", () => {
    const book = new GapBook(LIMITS, null, PRODUCTS);
    for (const id of [1, 5, 6, 9]) book.saw(trade(id), 0);
    for (const id of [100, 102]) book.saw(trade(id, "B"), 0);
    book.saw(trade(3), 0);
    assert.deepEqual(book.settled(999_999), []);
    assert.equal(book.nextSettling_us(), 1_000_000);
    assert.deepEqual(bounds(book.settled(1_000_000)), [
      [2, 2],
      [4, 4],
      [7, 8],
      [101, 101],
    ]);
    assert.equal(book.nextSettling_us(), Infinity);
  });

  test("settles a suspicion although the clock was set back", () => {
    const book = new GapBook(LIMITS, null, PRODUCTS);
    for (const id of [1, 3]) book.saw(trade(id), 3_600_000_000);
    assert.deepEqual(bounds(book.settled(3_600_500_000)), []);
    assert.deepEqual(bounds(book.settled(1_000_000)), [[2, 2]]);
  });

  test("requests a product's first missing trades across its gaps, at most one page at a time", () => {
    const book = new GapBook(LIMITS, null, PRODUCTS);
    for (const id of [1, 5, 9, 2_000]) book.saw(trade(id, "A", `after ${id}`), 0);
    book.settled(1_000_000);
    assert.deepEqual(book.toAsk(1_000), [{ product: "A", cursor: "after 1", first_id: 2, last_id: 1_001 }]);
    assert.deepEqual(book.toAsk(5), [{ product: "A", cursor: "after 1", first_id: 2, last_id: 6 }]);
    for (let id = 10; id < 2_000; id += 1) book.fetched("A", id);
    assert.deepEqual(book.toAsk(1_000), [{ product: "A", cursor: "after 1", first_id: 2, last_id: 8 }]);
    assert.equal(book.missingWithin("A", { first_id: 4, last_id: 7 }), 3);
  });

  test("opens a gap up to an announced number, and starts counting a product that has not traded yet", () => {
    const book = new GapBook(LIMITS, null, PRODUCTS);
    book.announced("A", 10, 0);
    book.saw(trade(11), 0);
    book.announced("A", 9, 0);
    book.announced("A", 13, 0);
    assert.deepEqual(bounds(book.settled(1_000_000)), [[12, 13]]);
  });

  test("drops the gaps of products that are no longer subscribed, and keeps the lost trades of the others", () => {
    const book = new GapBook(LIMITS, null, PRODUCTS);
    for (const id of [1, 3]) book.saw(trade(id), 0);
    for (const id of [1, 3]) book.saw(trade(id, "B"), 0);
    book.settled(1_000_000);
    book.lose("B", { first_id: 2, last_id: 2 }, "a test");
    const later = restored(book, new Set(["B"]));
    assert.deepEqual(later.counts(), { open: 0, filled: 0, lost: 1 });
    assert.deepEqual(Object.keys(later.save().products), ["B"]);
  });

  test("counts a lost trade that arrives late as filled, once, also after a restart; the others stay lost", () => {
    const book = new GapBook(LIMITS, null, PRODUCTS);
    for (const id of [1, 5]) book.saw(trade(id), 0);
    book.settled(1_000_000);
    book.lose("A", { first_id: 2, last_id: 4 }, "a test");
    const later = restored(book);
    for (const id of [3, 3]) later.saw(trade(id), 2_000_000);
    later.saw(trade(3, "B"), 2_000_000);
    assert.deepEqual(later.counts(), { open: 0, filled: 1, lost: 2 });
    assert.deepEqual(
      later.gaps().map(({ first_id, last_id, state }) => [first_id, last_id, state]),
      [
        [2, 2, "lost"],
        [4, 4, "lost"],
      ],
    );
    assert.deepEqual([later.fetched("A", 4), later.fetched("A", 4)], [true, false]);
    assert.deepEqual(later.counts(), { open: 0, filled: 2, lost: 1 });
  });

  test("restarts the count after a jump beyond the limit, up and back down, without reporting a gap", () => {
    const book = new GapBook(LIMITS, null, PRODUCTS);
    for (const id of [1_000, 9_000_000_000_000, 1_001, 1_003]) book.saw(trade(id), 0);
    book.announced("A", 8_000_000_000_000, 0);
    assert.deepEqual(bounds(book.settled(1_000_000)), [[1_002, 1_002]]);
    assert.deepEqual(
      book.takeCountedAnew().map(({ id }) => id),
      [9_000_000_000_000, 1_001],
    );
    assert.deepEqual(book.counts(), { open: 1, filled: 0, lost: 0 });
  });

  test("bounds the size and number of gaps, and reports trades beyond the limits as lost once, with the reason", () => {
    const book = new GapBook({ ...LIMITS, max_gap: 10, max_jump: 1_000_000, max_open: 2 }, null, PRODUCTS);
    for (const id of [1, 101, 103, 105]) book.saw(trade(id), 7);
    assert.deepEqual(book.takeLostAtOnce(), [
      {
        product: "A",
        first_id: 2,
        last_id: 90,
        found_at_us: 7,
        state: "lost",
        reason: "at most 10 trades of a gap are requested",
      },
      {
        product: "A",
        first_id: 104,
        last_id: 104,
        found_at_us: 7,
        state: "lost",
        reason: "more than 2 gaps were open at once",
      },
    ]);
    assert.deepEqual(book.takeLostAtOnce(), []);
    book.settled(2_000_000);
    assert.deepEqual(book.counts(), { open: 11, filled: 0, lost: 90 });
  });
});
