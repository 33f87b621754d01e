import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { crypto } from "../../../pipelines/crypto.ts";
import type { SourceRecord } from "../../../src/producer/producer.ts";
import { logOffsets } from "../../../src/transform/offsets.ts";
import { coversOffsets } from "../../../src/log/offsets.ts";
import { CASES } from "../../dbt/bad-input.ts";
import { BRONZE } from "../../dbt/lake.ts";
import { marketStream, shuffled } from "../../dbt/stream.ts";
import { Servers } from "../servers.ts";
import { TwoLakes } from "./two-lakes.ts";

const NOW = "2026-03-01T12:00:00.000000Z";
/** Size of large payloads, of which a few fill a run; their verdicts do not depend on the engine. */
const LARGE_BYTES = 5_000_000;

let servers: Servers;
let lakes: TwoLakes;
/** Pages, ticks and trades of many sources, with late records, duplicates and disorder. */
let thirds: SourceRecord[][];
before(async () => {
  servers = await Servers.start("kafka", "spark");
  lakes = await TwoLakes.open(servers.environment, { partitions: 2 });
  const stream = shuffled(await marketStream(7), 5, 0.05);
  thirds = [0, 1, 2].map((part) =>
    stream.slice(Math.ceil((part * stream.length) / 3), Math.ceil(((part + 1) * stream.length) / 3)),
  );
});
after(async () => {
  await lakes?.close();
  await servers?.leave();
});

async function append(records: readonly SourceRecord[]): Promise<void> {
  await lakes.append(records);
  await lakes.embedded.catchUp();
}

test("an increment on Spark gives the same tables as in the embedded lake", async () => {
  await append(thirds[0]!);
  await lakes.transform().catchUp();
  await lakes.assertSame();
});

test("a build of silver alone leaves gold unchanged, and a build of gold follows", async () => {
  await append(thirds[1]!);
  const before_silver = await logOffsets(lakes.catalog, "gold.fact_crypto_ticks");
  await lakes.transform().catchUp({ layer: "silver" });
  assert.deepEqual(await logOffsets(lakes.catalog, "gold.fact_crypto_ticks"), before_silver);
  assert.ok(
    coversOffsets(
      await logOffsets(lakes.catalog, crypto.reconciliation.accepted),
      await logOffsets(lakes.catalog, BRONZE),
    ),
  );
  await lakes.transform().catchUp({ layer: "gold" });
  await lakes.assertSame();
});

test("dbt, killed between two tables and restarted, resumes each table at its last commit", async () => {
  await append(thirds[2]!);
  lakes.onNode = (name) => {
    if (name === "crypto_price_updates") process.kill(lakes.worker.pid!, "SIGKILL");
  };
  await assert.rejects(lakes.transform().increment(), { code: "DBT_WORKER_DIED" });
  lakes.onNode = () => {};
  await lakes.transform().catchUp();
  await lakes.assertSame();
});

test("a commit without its offsets property is not repeated: its snapshot has the offsets", async () => {
  const { accepted } = crypto.reconciliation;
  const place = await logOffsets(lakes.catalog, accepted);
  await lakes.streams.session.sql(`alter table ${accepted} unset tblproperties ('coinlake.log-offsets')`);
  // A foreign snapshot without committed offsets, as compaction writes them.
  await lakes.streams.session.sql(`insert into ${accepted} select * from ${accepted} where false`);
  assert.deepEqual(await logOffsets(lakes.catalog, accepted), place);
  await lakes.transform().increment();
  await lakes.assertSame();
});

/** Records that are valid separately but overflow a decimal together: a change in percent, a minute's volume. */
function extremes(): SourceRecord[] {
  const tick = (minutes_ago: number, members: object): SourceRecord => {
    const at_ms = Date.parse(NOW) - minutes_ago * 60_000;
    const payload = Buffer.from(JSON.stringify({ time: new Date(at_ms).toISOString(), ...members }));
    return { key: "extremes", source: "extremes", payload, ingested_at_us: at_ms * 1000 };
  };
  return [
    tick(62, { product: "RISEN", price: "0.000000000000001" }),
    tick(0, { product: "RISEN", price: "60000" }),
    ...[7, 8].map((trade_id) => tick(0, { product: "HUGE", price: "1", volume: "90000000000000000000", trade_id })),
  ];
}

test("records of every kind get the same verdicts on Spark as in the embedded lake", async () => {
  const records = CASES.map(({ payload }, number) => ({
    key: String(number),
    source: `source-${number}`,
    payload:
      typeof payload === "string"
        ? Buffer.from(payload.replaceAll("COIN", String(1000 + number)).replaceAll("NOW", NOW))
        : payload,
    ingested_at_us: Date.parse(NOW) * 1000,
  }));
  await append([...records.filter(({ payload }) => payload.length < LARGE_BYTES), ...extremes()]);
  await lakes.transform().catchUp();
  await lakes.assertSame();
});

test("a full refresh on Spark changes nothing", async () => {
  const { nodes, is_success } = await lakes.dbt("run", "--full-refresh", "--no-write-json");
  assert.ok(is_success, JSON.stringify(nodes.filter(({ status }) => status === "error")));
  await lakes.assertSame();
});

test("a decimal of another scale is converted from the table's own rows, also after an interruption", async () => {
  const sql = (statement: string) => lakes.streams.session.sql(statement);
  const [facts, minutes] = ["gold.fact_crypto_ticks", "silver.crypto_prices_clean"];
  await sql(`alter table ${facts} rename column price_usd to price_before`);
  await sql(`alter table ${facts} add column price_usd decimal(38, 26)`);
  await sql(`update ${facts} set price_usd = cast(price_before as decimal(38, 26))`);
  await sql(`alter table ${facts} drop column price_before`);
  await sql(`alter table ${minutes} rename column price to price__rescaled`);
  await append([
    {
      key: "last",
      source: "last",
      payload: Buffer.from(JSON.stringify({ product: "LAST", price: "3.2e-20", time: NOW })),
      ingested_at_us: Date.parse(NOW) * 1000,
    },
  ]);
  await lakes.transform().catchUp();
  await lakes.assertSame();
});

test("every test of the project passes on Spark", async () => {
  const { nodes } = await lakes.transform().test();
  assert.ok(nodes.length > 40);
  assert.deepEqual(
    nodes
      .filter(({ status }) => status === "fail" || status === "error")
      .map(({ name, message }) => `${name}: ${message}`),
    [],
  );
});
