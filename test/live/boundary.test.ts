import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { systemClock } from "../../src/base/clock.ts";
import { LiveLake } from "../../src/live/live-lake.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { prepareModels } from "../../src/transform/models.ts";
import { Lakes, type TestLake } from "../dbt/lake.ts";

const RECORDS = 3_000;
const START_US = Date.parse("2026-03-01T23:58:00Z") * 1000;

/**
 * Figures that a lake must yield when it has the first records of the stream, for any split between tables and tail.
 */
interface Figures {
  accepted: number;
  duplicates: number;
  rejected: number;
  /** Volume of the accepted trades, in whole units. */
  volume: number;
}

/** Trades over midnight; a tenth are copies of earlier ones, another tenth lack a price. */
function knownStream(): { records: SourceRecord[]; after: Figures[] } {
  const records: SourceRecord[] = [];
  const figures: Figures[] = [{ accepted: 0, duplicates: 0, rejected: 0, volume: 0 }];
  const payloads: string[] = [];
  for (let number = 0; number < RECORDS; number += 1) {
    const at_us = START_US + number * 80_000;
    const kind = number % 10 === 3 && number > 50 ? "copy" : number % 10 === 7 ? "priceless" : "trade";
    const price = kind === "priceless" ? "null" : `"${100 + (number % 17)}.5"`;
    const volume = (number % 5) + 1;
    const payload =
      kind === "copy"
        ? (payloads[number - 31 - (number % 3) * 3] ?? "")
        : `{"product":"COIN${number % 7}","id":${number},"price":${price},"volume":${volume},` +
          `"time":"${new Date(at_us / 1000).toISOString()}"}`;
    payloads.push(payload);
    records.push({ key: "venue", source: "venue", payload: Buffer.from(payload), ingested_at_us: at_us });
    const before_it = figures[number]!;
    const is_copy_of_priceless = kind === "copy" && payload.includes('"price":null');
    figures.push({
      accepted: before_it.accepted + (kind === "trade" ? 1 : 0),
      duplicates: before_it.duplicates + (kind === "copy" && !is_copy_of_priceless ? 1 : 0),
      rejected: before_it.rejected + (kind === "priceless" || is_copy_of_priceless ? 1 : 0),
      volume: before_it.volume + (kind === "trade" ? volume : 0),
    });
  }
  // A copy of a copy counts as a copy of the original.
  return { records, after: figures };
}

const QUESTION = `
  select (select count(*) from live.crypto_ticks_raw), (select max(log_offset) + 1 from live.crypto_ticks_raw),
    (select count(*) from live.crypto_price_updates), (select count(*) from live.crypto_price_duplicates),
    (select count(*) from live.crypto_prices_rejected),
    (select sum(traded_volume)::bigint from live.crypto_price_updates), (select count(*) from live.fact_crypto_ticks),
    (select sum(price_updates) from live.crypto_prices_clean), (select sum(price_updates) from live.fact_crypto_hourly),
    (select count(*) from (select distinct crypto_id, minute_at from live.crypto_prices_clean))
    - (select count(*) from live.crypto_prices_clean)`;

describe("the boundary between tables and live tail", () => {
  let lakes: Lakes;
  let lake: TestLake;
  let live: LiveLake;

  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
    const models = await prepareModels(
      { run: (args) => lake.dbt(...args) },
      crypto.transform.project,
      lake.data_folder,
    );
    live = await LiveLake.open({ open: lake.open, pipeline: crypto, models, clock: systemClock });
  });
  after(async () => {
    live.close();
    await lakes.close();
  });

  test("every read sees each record exactly once while bronze, silver and gold commit independently", async () => {
    const { records, after: expected } = knownStream();
    const stop = new AbortController();
    const running = live.run(stop.signal);
    const appended = new AbortController();
    const appending = (async () => {
      for (let from = 0; from < records.length && !stop.signal.aborted; from += 25) {
        await lake.append(records.slice(from, from + 25));
        await wait(60);
      }
      appended.abort();
    })();
    let commits = 0;
    const committing = (async () => {
      while ((!appended.signal.aborted || commits < 3) && !stop.signal.aborted) {
        await lake.ingest();
        await lake.catchUp();
        commits += 1;
      }
    })();

    let reads = 0;
    let seen = 0;
    try {
      for (; seen < records.length; reads += 1) {
        const figures = (await live.query(QUESTION)).rows[0]!.map((figure) => Number(figure ?? 0));
        const [raw, end, accepted, duplicates, rejected, volume, facts, in_minutes, in_hours, doubled_minutes] =
          figures;
        assert.equal(raw, end, "bronze is gapless and without doubles");
        const should = expected[end!]!;
        const held = { accepted, duplicates, rejected, volume };
        assert.deepEqual(held, should, `after ${end} records`);
        assert.deepEqual(
          [facts, in_minutes, in_hours, doubled_minutes],
          [should.accepted, should.accepted, should.accepted, 0],
          `after ${end} records`,
        );
        assert.ok(end! >= seen, "what was visible stays visible");
        seen = end!;
      }
    } finally {
      if (seen < records.length) stop.abort();
      await Promise.all([appending, committing]);
      stop.abort();
      await running;
    }
    assert.ok(commits >= 3 && reads >= 8, `${commits} rounds of commits, ${reads} reads`);
  });
});
