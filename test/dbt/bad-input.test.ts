import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { CASES, type Case } from "./bad-input.ts";
import { BRONZE, Lakes, type TestLake } from "./lake.ts";

const NOW = "2026-03-01T12:00:00.000000Z";

/**
 * Each message has a separate source and, if its text contains COIN, a separate coin, so that cases are independent.
 */
function recordOf({ payload }: Case, offset: number): SourceRecord {
  const bytes =
    typeof payload === "string"
      ? Buffer.from(payload.replaceAll("COIN", coinOf(offset)).replaceAll("NOW", NOW))
      : payload;
  return { key: "bad input", source: `source-${offset}`, payload: bytes, ingested_at_us: Date.parse(NOW) * 1000 };
}

function coinOf(offset: number): string {
  return String(1000 + offset);
}

describe("bad input", () => {
  let lakes: Lakes;
  let lake: TestLake;
  const records = CASES.map(recordOf);
  /** Silver's rows of each record, by offset, in element order. */
  const verdicts = new Map<number, Record<string, string | null>[]>();

  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
    await lake.append(records);
    await lake.ingest();
    await lake.catchUp();
    const rows = await lake.rows(`
      select log_offset::varchar, to_json(verdict)::varchar
      from (
        select * replace (price::varchar as price, price_at::varchar as price_at, market_cap::varchar as market_cap,
          volume_24h::varchar as volume_24h, trade_number::varchar as trade_number,
          traded_volume::varchar as traded_volume,
          traded_volume_usd::varchar as traded_volume_usd)
        from silver.crypto_price_updates
        union all by name select *, 'duplicate' as reason from silver.crypto_price_duplicates
        union all by name from silver.crypto_prices_rejected
      ) as verdict
      order by verdict.log_offset, element_index`);
    for (const [offset, verdict] of rows) {
      const of_record = verdicts.get(Number(offset)) ?? [];
      verdicts.set(Number(offset), [...of_record, JSON.parse(verdict ?? "{}") as Record<string, string | null>]);
    }
  });
  after(() => lakes.close());

  for (const [offset, { title, outcomes }] of CASES.entries()) {
    test(`${title.slice(0, 100)} gets the expected verdict`, () => {
      const found = (verdicts.get(offset) ?? []).map((verdict, index) => {
        const outcome = outcomes[index];
        if (typeof outcome !== "object" || verdict["reason"]) return verdict["reason"];
        return Object.fromEntries(Object.keys(outcome).map((name) => [name, verdict[name] ?? null]));
      });
      const wanted = outcomes.map((outcome) => {
        if (typeof outcome === "string") return outcome;
        return JSON.parse(
          JSON.stringify(outcome).replaceAll("SOURCE", `source-${offset}`).replaceAll("COIN", coinOf(offset)),
        ) as object;
      });
      assert.deepEqual(found, wanted);
    });
  }

  test("bronze keeps every message byte for byte", async () => {
    const rows = await lake.rows(
      `select sha256(coalesce(payload_bytes, encode(payload))) from ${BRONZE} order by log_offset`,
    );
    assert.deepEqual(
      rows.flat(),
      records.map(({ payload }) => createHash("sha256").update(payload).digest("hex")),
    );
  });

  test("the reconciliation succeeds, and the next valid record is accepted", async () => {
    const figures = await lake.reconcile();
    assert.equal(figures.bronze_records, CASES.length);
    assert.equal(figures.elements, CASES.flatMap(({ outcomes }) => outcomes).length);
    await lake.append([
      recordOf({ title: "good", payload: '{"product":"COIN","price":"2","time":"NOW"}', outcomes: [] }, CASES.length),
    ]);
    await lake.ingest();
    await lake.catchUp();
    assert.equal((await lake.reconcile()).accepted, figures.accepted + 1);
  });

  test("every dbt test of the data passes", async () => {
    const { nodes } = await lake.dataTests();
    assert.ok(nodes.length > 0);
    const failed = nodes
      .filter(({ status }) => status === "fail" || status === "error")
      .map(({ name, message }) => `${name}: ${message}`);
    assert.deepEqual(failed, []);
  });
});
