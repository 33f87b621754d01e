import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { positionOf, simulated, SIMULATED_DEFAULTS, type SimulatedOptions } from "../../producers/simulated.ts";
import { decimalText, exponentText } from "../../producers/simulated/decimal.ts";
import { expected, stepsBetween, type Expected } from "../../producers/simulated/truth.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { NO_FOLDER, collect } from "../producer/collect.ts";
import { FakeClock } from "../producer/fake-clock.ts";

const START_US = Date.parse("2025-10-10T12:00:00Z") * 1000;
const base = {
  ...SIMULATED_DEFAULTS,
  speed: "max",
  start_us: START_US,
  until_step: 200,
} as const satisfies SimulatedOptions;
const bytesOf = (records: readonly SourceRecord[]): string =>
  records
    .map((record) => JSON.stringify({ ...record, payload: Buffer.from(record.payload).toString("latin1") }))
    .join("\n");

const anyMarket = fc.record({
  seed: fc.integer(),
  coins: fc.integer({ min: 5, max: 60 }),
  interval_ms: fc.integer({ min: 1, max: 120_000 }),
  dirt_rate: fc.double({ min: 0, max: 1, noNaN: true }),
});

test("the same seed gives the same bytes at any time of the clock, and another seed gives others", async () => {
  await fc.assert(
    fc.asyncProperty(anyMarket, fc.integer({ min: 0, max: 4e9 }), async (market, clock_s) => {
      const options = { ...base, ...market, until_step: 30 };
      const one = await collect(simulated(options));
      const two = await collect(simulated(options), { clock: new FakeClock(clock_s * 1_000_000) });
      assert.equal(bytesOf(one.records), bytesOf(two.records));
      const other = await collect(simulated({ ...options, dirt_rate: 0, seed: market.seed ^ 1 }));
      assert.notEqual(bytesOf(one.records), bytesOf(other.records));
    }),
    { numRuns: 20 },
  );
});

test("a market resumes after any batch with the bytes of an uninterrupted run", async () => {
  const whole = await collect(simulated({ ...base, coins: 10, until_step: 120 }));
  await fc.assert(
    fc.asyncProperty(fc.nat(120), async (step) => {
      const position = JSON.stringify({ start_us: START_US, step });
      const rest = await collect(simulated({ ...base, coins: 10, until_step: 120 }), {
        position,
        clock: new FakeClock(),
      });
      assert.equal(bytesOf(rest.records), bytesOf(whole.records.slice(step)));
    }),
    { numRuns: 30 },
  );
});

test("without start_us, a market starts at the clock's time, and restarts keep that start", async () => {
  const clock = new FakeClock();
  const first = await collect(simulated({ ...SIMULATED_DEFAULTS, speed: 20, until_step: 4 }), { clock });
  assert.equal(positionOf(first.position)?.start_us, START_US);
  clock.jump_ms(3_600_000);
  const second = await collect(simulated({ ...SIMULATED_DEFAULTS, speed: 20, until_step: 6 }), {
    clock,
    position: first.position,
  });
  assert.deepEqual(
    second.records.map(({ ingested_at_us }) => (ingested_at_us - START_US) / 5_000_000),
    [4, 5],
  );
});

test("a live market sends each step at its time, and skips the steps missed in a pause", async () => {
  const clock = new FakeClock();
  const steps: [number, number][] = [];
  const producer = simulated({ coins: 5, until_step: 110 });
  for await (const { records } of producer.batches({
    position: null,
    clock,
    signal: new AbortController().signal,
    folder: NO_FOLDER,
    report: () => {},
  })) {
    for (const { ingested_at_us } of records)
      steps.push([(ingested_at_us - START_US) / 5_000_000, (clock.now_us() - START_US) / 5_000_000]);
    if (steps.length === 3) clock.jump_ms(100 * 5000 + 2000);
  }
  assert.deepEqual(steps.slice(0, 5), [
    [0, 0],
    [1, 1],
    [2, 2],
    [102, 102.4],
    [103, 103],
  ]);
  assert.equal(steps.at(-1)?.[0], 109);
});

test("at speed 10, ten steps take the time of one", async () => {
  const clock = new FakeClock();
  await collect(simulated({ coins: 5, speed: 10, until_step: 11 }), { clock });
  assert.equal(clock.now_us() - START_US, 5_000_000);
});

test("a live market sends all steps of its history at once, then follows the clock", async () => {
  const clock = new FakeClock(START_US);
  const options = { coins: 5, interval_ms: 5000, history_ms: 60_000, until_step: 15 };
  const { records, position } = await collect(simulated(options), { clock });
  const start_us = START_US - 60_000_000;
  assert.deepEqual(
    records.map(({ ingested_at_us }) => Math.round((ingested_at_us - start_us) / 5_000_000)).slice(0, 12),
    [...Array(12).keys()],
  );
  assert.equal(positionOf(position)?.start_us, start_us);
  assert.equal(clock.now_us(), records.at(-1)?.ingested_at_us);
});

test("an abort ends a live market that waits for its next step", async () => {
  const abort = new AbortController();
  let records = 0;
  for await (const batch of simulated().batches({
    position: null,
    clock: new FakeClock(),
    signal: abort.signal,
    folder: NO_FOLDER,
    report: () => {},
  })) {
    records += batch.records.length;
    abort.abort();
  }
  assert.equal(records, 1);
});

interface Judged {
  verdict: string;
  reason: string | null;
  id: unknown;
  price: string | null;
}

/** A second implementation of the rules, from the bytes alone. */
function judge(records: readonly SourceRecord[]): Judged[] {
  const seen = new Set<string>();
  return records.flatMap((record): Judged[] => {
    const whole = (reason: string): Judged[] => [{ verdict: "rejected", reason, id: undefined, price: null }];
    if (record.payload.length === 0) return whole("empty_payload");
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(record.payload);
    } catch {
      return whole("not_utf8");
    }
    let elements: unknown;
    try {
      elements = JSON.parse(text, (name, value: unknown, context?: { source?: string }) =>
        name === "current_price" && typeof value === "number" ? { number: context?.source } : value,
      );
    } catch {
      return whole("invalid_json");
    }
    if (!Array.isArray(elements) || elements.length === 0) return whole("unrecognised_shape");
    return elements.map((element: unknown) => {
      const { reason, identity, price = null } = judgeElement(element, record.ingested_at_us);
      const verdict = reason !== null ? "rejected" : seen.has(identity) ? "duplicate" : "accepted";
      if (verdict === "accepted") seen.add(identity);
      return { verdict, reason, id: (element as { id?: unknown } | null)?.id, price };
    });
  });
}

function judgeElement(
  element: unknown,
  ingested_at_us: number,
): { reason: string | null; identity: string; price?: string } {
  const reject = (reason: string) => ({ reason, identity: "" });
  if (typeof element !== "object" || element === null) return reject("element_not_object");
  const { id, current_price, last_updated } = element as Record<string, unknown>;
  if (typeof id !== "string") return reject("missing_id");
  if (current_price === null || current_price === undefined) return reject("missing_price");
  const price = typeof current_price === "object" ? (current_price as { number: string }).number : current_price;
  if (typeof price !== "string" || Number.isNaN(Number(price))) return reject("price_not_a_number");
  if (Number(price) <= 0) return reject("price_not_positive");
  if (Number(price) > 1e9 || Number(price) < 5e-19) return reject("price_out_of_range");
  if (last_updated === null || last_updated === undefined) return reject("missing_time");
  const at_us = Date.parse(String(last_updated)) * 1000;
  if (Number.isNaN(at_us)) return reject("invalid_time");
  if (ingested_at_us - at_us > 300_000_000) return reject("late_event");
  if (at_us - ingested_at_us > 300_000_000) return reject("future_event");
  return { reason: null, identity: `${id} ${at_us}`, price };
}

test("the expected verdicts equal a second implementation's from the bytes, for any market and dirt rate", async () => {
  const reasons = new Set<string>();
  await fc.assert(
    fc.asyncProperty(anyMarket, async (market) => {
      const options = { ...base, ...market, until_step: 60 };
      const { records } = await collect(simulated(options));
      const announced: Expected[] = [...expected({ ...market, start_us: START_US }, stepsBetween(0, 60))];
      const judged = judge(records);
      assert.deepEqual(
        announced.map(({ verdict, reason }) => [verdict, reason]),
        judged.map(({ verdict, reason }) => [verdict, reason]),
      );
      for (const [index, { verdict, quote, reason }] of announced.entries()) {
        reasons.add(reason ?? verdict);
        if (verdict !== "accepted") continue;
        assert.equal(quote?.coin_id, judged[index]?.id);
        assert.equal(Number(quote?.price), Number(judged[index]?.price));
        assert.match(quote?.price ?? "", /^\d+(\.\d{1,18})?$/);
      }
    }),
    // One market dirty enough for every outcome, independent of the random markets.
    {
      numRuns: 30,
      examples: [
        [{ seed: 1, coins: 20, interval_ms: 5000, dirt_rate: 1 }],
        [{ seed: 2, coins: 20, interval_ms: 5000, dirt_rate: 0.5 }],
      ],
    },
  );
  assert.equal(reasons.size, 16, [...reasons].join(", "));
});

test("steps that were never sent do not make later elements duplicates", async () => {
  const market = { seed: 3, coins: 5, interval_ms: 5000, dirt_rate: 0.5, start_us: START_US };
  const producer = simulated({ ...market, speed: "max", until_step: 80 });
  const { records } = await collect(producer, { position: JSON.stringify({ start_us: START_US, step: 40 }) });
  const announced = [...expected(market, stepsBetween(40, 80))].map(({ verdict, reason }) => [verdict, reason]);
  assert.deepEqual(
    announced,
    judge(records).map(({ verdict, reason }) => [verdict, reason]),
  );
});

test("invalid elements occur at the dirt rate: none at 0, about one in a hundred by default", () => {
  const share = (dirt_rate: number): number => {
    const announced = [...expected({ ...base, coins: 20, dirt_rate }, stepsBetween(0, 1000))];
    return announced.filter(({ verdict }) => verdict === "rejected").length / announced.length;
  };
  assert.equal(share(0), 0);
  assert.ok(share(0.01) > 0.004 && share(0.01) < 0.012, String(share(0.01)));
});

test("a market renames one coin, lists one and delists one in its first minutes, and its ranks change", () => {
  for (const seed of [1, 2, 3]) {
    const accepted = [...expected({ ...base, seed }, stepsBetween(0, 200))].filter(
      ({ verdict }) => verdict === "accepted",
    );
    const names = Map.groupBy(accepted, ({ quote }) => quote!.coin_id);
    const renamed = [...names.values()].filter(
      (listings) => new Set(listings.map(({ quote }) => quote!.name)).size === 2,
    );
    const listed = [...names.values()].filter((listings) => listings[0]!.step > 40);
    const delisted = [...names.values()].filter((listings) => listings.at(-1)!.step < 110);
    const moved = [...names.values()].filter(
      (listings) => new Set(listings.map(({ quote }) => quote!.market_cap_rank)).size > 1,
    );
    assert.deepEqual([renamed.length, listed.length, delisted.length], [1, 1, 1], `seed ${seed}`);
    assert.notEqual(renamed[0], delisted[0]);
    assert.ok(moved.length > 2, `${moved.length} coins of seed ${seed} changed rank`);
    const settled = new Set(["bitcoin", "ethereum"]);
    for (const [id, listings] of names)
      if (settled.has(id)) assert.ok(listings.length > 180 && !renamed.includes(listings));
  }
});

test("dogwifcoin falls by more than 5 percent within ten minutes soon after the start, and Tether never does", () => {
  for (const seed of [1, 2, 3]) {
    const accepted = [...expected({ ...base, coins: 5, seed }, stepsBetween(0, 200))].filter(
      ({ verdict }) => verdict === "accepted",
    );
    const falls = (coin_id: string): number => {
      const prices = accepted
        .filter(({ quote }) => quote!.coin_id === coin_id)
        .map(({ quote }) => Number(quote!.price));
      return prices.reduce(
        (worst, price, index) =>
          Math.min(worst, price / Math.max(...prices.slice(Math.max(0, index - 115), index + 1)) - 1),
        0,
      );
    };
    assert.ok(falls("dogwifcoin") < -0.05);
    assert.ok(falls("tether") > -0.01);
  }
});

test("two coins mostly move in the same direction", () => {
  const accepted = [...expected({ ...base, coins: 5, dirt_rate: 0, interval_ms: 60_000 }, stepsBetween(0, 1500))];
  const returns = (coin_id: string): number[] => {
    const prices = accepted
      .filter(({ quote }) => quote!.coin_id === coin_id)
      .map(({ quote }) => Math.log(Number(quote!.price)));
    return prices.slice(10).map((price, index) => price - prices[index]!);
  };
  const ethereum = returns("ethereum");
  const together = returns("bitcoin").filter((change, index) => change * ethereum[index]! > 0).length;
  assert.ok(together / ethereum.length > 0.6, `${together} of ${ethereum.length}`);
});

test("numbers are written as plain decimals, however small, and the exponent form has the same value", () => {
  assert.deepEqual([0.000_000_012, 67_187.34, 100, 0.5, 1e-15, 99_999.999].map(decimalText), [
    "0.000000012",
    "67187.34",
    "100",
    "0.5",
    "0.000000000000001",
    "100000",
  ]);
  assert.deepEqual(["0.000000012", "67187.34", "100"].map(exponentText), ["12e-9", "6718734e-2", "100e+0"]);
  fc.assert(
    fc.property(fc.double({ min: 1e-12, max: 1e9, noNaN: true }), (value) => {
      const text = decimalText(value);
      assert.match(text, /^\d+(\.\d{1,18})?$/);
      assert.ok(Math.abs(Number(text) - value) <= value * 1e-5);
      assert.equal(Number(exponentText(text)), Number(text));
    }),
  );
});

test("options out of range are rejected with a RangeError", () => {
  for (const options of [
    { coins: 4 },
    { coins: 251 },
    { interval_ms: 0 },
    { dirt_rate: 1.1 },
    { start_us: 1 },
    { seed: 0.5 },
    { speed: 0 },
  ]) {
    assert.throws(() => simulated(options), RangeError, JSON.stringify(options));
  }
});

test("an invalid stored position stops the market instead of starting another one", async () => {
  for (const position of ["", "{}", '{"start_us":1}'])
    await assert.rejects(collect(simulated(base), { position }), { code: "INVALID_POSITION" });
});
