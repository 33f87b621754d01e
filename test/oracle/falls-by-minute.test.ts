import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { ask } from "../../src/query/ask.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { uniform } from "../../producers/simulated/random.ts";
import { Lakes, type TestLake } from "../dbt/lake.ts";

const SECOND_US = 1_000_000;
const START_US = Date.parse("2026-03-10T23:40:00Z") * 1000;
const DRAW = { gap: 1, move: 2 } as const;

/** Two volatile products at irregular times, with silences longer than a window, over midnight. */
function ticks(seed: number): SourceRecord[] {
  const records: SourceRecord[] = [];
  for (const product of ["aaa", "bbb"]) {
    let at_us = START_US + (product === "aaa" ? 0 : 500_000);
    let price = 100;
    for (let number = 0; number < 400; number += 1) {
      const gap = uniform(seed, DRAW.gap, number, product.charCodeAt(0));
      at_us += Math.floor(gap < 0.03 ? 900 * SECOND_US : gap * 20 * SECOND_US);
      price *= 1 + (uniform(seed, DRAW.move, number, product.charCodeAt(0)) - 0.5) / 15;
      const payload = {
        product,
        id: number,
        price: price.toFixed(4),
        volume: 1,
        time: new Date(at_us / 1000).toISOString(),
      };
      records.push({
        key: product,
        source: "bench",
        payload: Buffer.from(JSON.stringify(payload)),
        ingested_at_us: at_us + 1000,
      });
    }
  }
  return records.sort((a, b) => a.ingested_at_us - b.ingested_at_us);
}

interface Point {
  at_us: number;
  price: bigint;
}

/** The question's definition, tick by tick, without any optimisation. */
function episodes(
  points: readonly Point[],
  {
    percent,
    window_us,
    since_us,
    until_us,
  }: { percent: number; window_us: number; since_us: number; until_us: number },
) {
  const found: { fell_at_us: number; until_at_us: number; ticks: number }[] = [];
  let is_open = false;
  points.forEach((point, index) => {
    if (point.at_us <= since_us || point.at_us > until_us) return;
    const window = points.slice(0, index + 1).filter(({ at_us }) => at_us >= point.at_us - window_us);
    const highest = window.reduce((most, { price }) => (price > most ? price : most), 0n);
    const is_fall = (highest - point.price) * 10_000n > highest * BigInt(Math.round(percent * 100));
    const last = found.at(-1);
    if (is_fall && is_open && last) {
      last.until_at_us = point.at_us;
      last.ticks += 1;
    } else if (is_fall) found.push({ fell_at_us: point.at_us, until_at_us: point.at_us, ticks: 1 });
    is_open = is_fall;
  });
  return found;
}

describe("the question about falls, which scans minutes first", () => {
  let lakes: Lakes;
  let lake: TestLake;
  let stream: SourceRecord[];

  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
    stream = ticks(11);
    await lake.append(stream);
    await lake.ingest();
    await lake.catchUp();
  });
  after(() => lakes.close());

  test("finds the same episodes as a scan of every tick, for any parameters", async () => {
    const question = crypto.questions.find(({ number }) => number === 4)!;
    const end_us = Math.max(...stream.map(({ ingested_at_us }) => ingested_at_us));
    let compared = 0;
    for (const [percent, minutes, hours, before_end_s] of [
      [3, 10, 24, 0],
      [5, 10, 24, 0],
      [1, 0.5, 24, 0],
      [2.5, 3, 0.7, 1_111],
      [8, 60, 1, 333],
      [4, 1, 0.25, 2_000],
      [100, 10, 24, 0],
      [0.01, 5, 2, 77],
    ] as const) {
      const as_of_us = Math.floor((end_us - before_end_s * SECOND_US) / 1000) * 1000;
      const as_of = new Date(as_of_us / 1000).toISOString();
      const answer = await ask(lake.session, crypto, question, { as_of, values: { percent, minutes, hours } });
      const { columns, rows } = answer.parts[0]!.result;
      const at = (name: string) => columns.findIndex((column) => column.name === name);
      const micros = (text: string) => Date.parse(`${text.replace(" ", "T").replace(/\+00$/, "")}Z`) * 1000;
      const given = rows.map((row) => ({
        coin: row[at("crypto_id")],
        fell_at_us: micros(row[at("fell_at")]!),
        until_at_us: micros(row[at("until_at")]!),
        ticks: Number(row[at("ticks")]),
      }));
      const expected = ["aaa", "bbb"].flatMap((coin) => {
        const points = stream
          .filter(({ key }) => key === coin)
          .map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as { price: string; time: string })
          .map(({ price, time }) => ({ at_us: Date.parse(time) * 1000, price: BigInt(price.replace(".", "")) }));
        const options = {
          percent,
          window_us: Math.round(minutes * 60) * SECOND_US,
          since_us: as_of_us - Math.round(hours * 3_600) * SECOND_US,
          until_us: as_of_us,
        };
        return episodes(points, options).map((episode) => ({ coin, ...episode }));
      });
      const order = (a: { coin?: string | null; fell_at_us: number }, b: typeof a) =>
        a.fell_at_us - b.fell_at_us || (String(a.coin) < String(b.coin) ? -1 : 1);
      assert.deepEqual(given, expected.toSorted(order), `${percent} % in ${minutes} min, ${hours} h until ${as_of}`);
      compared += given.length;
    }
    assert.ok(compared > 100, `${compared} episodes`);
  });
});
