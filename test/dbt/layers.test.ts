import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { Transform, type Layer } from "../../src/transform/transform.ts";
import { ask } from "../../src/query/ask.ts";
import { logOffsets } from "../../src/transform/offsets.ts";
import { tableNamed } from "../../src/iceberg/errors.ts";
import { readManifests } from "../../src/iceberg/snapshot-files.ts";
import { currentSnapshot } from "../../src/iceberg/stage.ts";
import type { SourceRecord } from "../../src/producer/producer.ts";
import { Lakes, MODELS, TOPIC, type TestLake } from "./lake.ts";
import { marketStream, shuffled } from "./stream.ts";

let lakes: Lakes;
let stream: SourceRecord[];
before(async () => {
  lakes = await Lakes.open();
  stream = shuffled(await marketStream(11), 3, 0.05);
});
after(() => lakes.close());

/** Small enough that a layer needs several runs to catch up with the previous one. */
const SMALL = 90;

function transformOf(lake: TestLake, max_records_per_run = SMALL): Transform {
  const worker = {
    run: (args: readonly string[]) => lake.dbt(...args, "--vars", JSON.stringify({ max_records_per_run })),
  };
  return new Transform({ pipeline: crypto, catalog: lake.open.catalog, worker });
}

async function contentOf(lake: TestLake): Promise<Record<string, string[]>> {
  const contents: Record<string, string[]> = {};
  for (const table of MODELS)
    contents[table] = (await lake.rows(`select to_json(content)::varchar from ${table} as content order by 1`)).map(
      ([row]) => row ?? "",
    );
  return contents;
}

function assertSame(found: Record<string, string[]>, wanted: Record<string, string[]>): void {
  for (const table of MODELS) {
    const [of_found, of_wanted] = [new Set(found[table]), new Set(wanted[table])];
    assert.deepEqual(
      {
        too_many: [...of_found].filter((row) => !of_wanted.has(row)).slice(0, 3),
        lacking: [...of_wanted].filter((row) => !of_found.has(row)).slice(0, 3),
      },
      { too_many: [], lacking: [] },
      table,
    );
    assert.equal(found[table]?.length, wanted[table]?.length, table);
  }
}

async function standsAt(lake: TestLake, table: string): Promise<number> {
  return (await logOffsets(lake.open.catalog, table))[`${TOPIC}/0`] ?? 0;
}

/** Sets the sort order as Spark's `alter table … write ordered by` does. */
async function sortByFirstColumn(lake: TestLake, table: string): Promise<void> {
  const identifier = tableNamed(table);
  const { metadata } = await lake.open.catalog.loadTable(identifier);
  const [column] =
    metadata.schemas.find((schema) => schema["schema-id"] === metadata["current-schema-id"])?.fields ?? [];
  const order = {
    "order-id": 1,
    fields: [{ transform: "identity", "source-id": column?.id, direction: "asc", "null-order": "nulls-first" }],
  };
  const updates = [
    { action: "add-sort-order", "sort-order": order },
    { action: "set-default-sort-order", "sort-order-id": -1 },
  ];
  await lake.open.catalog.commit([{ identifier, requirements: [], updates }]);
}

/** Asserts that the table keeps its sort order, and that no file that dbt wrote claims it. */
async function assertSortedByOthersOnly(lake: TestLake, table: string): Promise<void> {
  const { metadata } = await lake.open.catalog.loadTable(tableNamed(table));
  assert.equal(metadata["default-sort-order-id"], 1, table);
  const snapshot = currentSnapshot(metadata);
  assert.ok(snapshot !== null);
  const entries = (await readManifests(lake.open.storage, metadata, snapshot)).flatMap((manifest) => manifest.entries);
  assert.deepEqual([...new Set(entries.map(({ data_file }) => data_file.sort_order_id ?? 0))], [0], table);
}

test("separate increments of silver and gold equal whole runs, also with a sort order of another engine", async () => {
  const whole = await lakes.fresh();
  await whole.append(stream);
  await whole.ingest();
  await whole.catchUp();
  const wanted = await contentOf(whole);

  const lake = await lakes.fresh();
  const transform = transformOf(lake);
  const steps: readonly Layer[] = [
    "silver",
    "gold",
    "silver",
    "gold",
    "silver",
    null,
    "silver",
    "silver",
    "silver",
    "gold",
    null,
    "gold",
    "silver",
    null,
  ];
  const share = Math.ceil(stream.length / 5);
  for (const [index, layer] of steps.entries()) {
    if (index % 3 === 0) {
      await lake.append(stream.slice((index / 3) * share, (index / 3 + 1) * share));
      await lake.ingest();
    }
    const gold_before = await standsAt(lake, "gold.fact_crypto_ticks");
    const silver_before = await standsAt(lake, crypto.reconciliation.accepted);
    await transform.increment({ layer });
    // The state of a first increment that has not reached gold.
    if (index === 0)
      for (const question of crypto.questions)
        await assert.rejects(ask(lake.session, crypto, question, { as_of: null, values: {} }), { code: "LAKE_EMPTY" });
    if (index === 5) for (const table of MODELS) await sortByFirstColumn(lake, table);
    const [silver, gold] = [
      await standsAt(lake, crypto.reconciliation.accepted),
      await standsAt(lake, "gold.fact_crypto_ticks"),
    ];
    assert.ok(gold <= silver, `after ${index}`);
    if (layer === "silver") assert.equal(gold, gold_before);
    if (layer === "gold") assert.equal(silver, silver_before);
  }
  await transform.catchUp({ layer: "silver" });
  assert.equal(await standsAt(lake, crypto.reconciliation.accepted), stream.length);
  assert.ok((await standsAt(lake, "gold.fact_crypto_ticks")) < stream.length);
  assert.ok((await transformOf(lake).waitingRecords()) > 0, "gold waits, as after an increment that failed there");
  await transform.catchUp({ layer: "gold" });
  assert.equal(await transformOf(lake).waitingRecords(), 0);
  assertSame(await contentOf(lake), wanted);
  for (const table of MODELS) await assertSortedByOthersOnly(lake, table);

  await lake.dbt("run", "--no-write-json", "--full-refresh", "--exclude", "path:models/gold");
  await lake.dbt("run", "--no-write-json", "--full-refresh", "--exclude", "path:models/silver");
  assertSame(await contentOf(lake), wanted);
});

test("any other selection that leaves out tables is rejected", async () => {
  const lake = await lakes.fresh();
  await lake.append(stream.slice(0, 20));
  await lake.ingest();
  for (const selection of [
    "stg_crypto__elements crypto_price_updates",
    "stg_crypto__elements path:models/gold crypto_listings",
    "path:models/silver",
  ]) {
    const { nodes } = await lake.dbt("run", "--no-write-json", "--select", ...selection.split(" "));
    assert.match(nodes.find(({ status }) => status === "error")?.message ?? "", /This run leaves out/, selection);
  }
  assert.deepEqual(await logOffsets(lake.open.catalog, crypto.reconciliation.accepted), {});
});
