import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { lostOffsets } from "../../src/ingest/lost-offsets.ts";
import { countOffsets } from "../../src/ingest/offset-ranges.ts";
import type { RepairOptions } from "../../src/repair/repair.ts";
import { TOPIC } from "../dbt/lake.ts";
import { is_whole } from "../support/whole.ts";
import { DAMAGES } from "../verify/damages.ts";
import { flipBit } from "../verify/prepared-lake.ts";
import { BRONZE, RepairedLake, SEED, empty, truncate } from "./lake.ts";

/**
 * Every kind of damage takes minutes: a selection with different repairs is always tested, all of them by
 * `npm run -s test:whole`.
 */
const ALWAYS = new Set([
  "a table's pointer is moved to the previous version",
  "maintenance.db is truncated",
  "a bit of a manifest is flipped",
  "the offsets in a snapshot's summary are changed",
  "a manifest list of an earlier snapshot is deleted",
  "a seed is dropped",
  "bronze's offsets are moved back",
  "a table's offsets are not JSON",
  "another writer appends to bronze",
  "a price of bronze is changed",
  "a column is renamed",
  "a column of bronze is renamed",
]);

/**
 * Damage that `repair` cannot repair: for alerts and other clients' tables, `verify` advises `restore`; a bronze value
 * that was changed through the catalog, and whose record is pruned from the log, has no other copy.
 */
const LEFT = /^alerts\.db|another client's table|^a price of bronze is changed whose record is pruned from the log$/;

let prepared: RepairedLake;
before(async () => {
  prepared = await RepairedLake.make();
});
after(() => prepared.close());
beforeEach(() => prepared.reset());

const UPDATES = "silver.crypto_price_updates";
const MINUTES = "silver.crypto_prices_clean";
const HOURS = "gold.fact_crypto_hourly";
const TICKS = "gold.fact_crypto_ticks";
const COINS = "gold.dim_crypto";

/**
 * Asserts that the dry run reports the actions and changes nothing, that applying them restores the original state, and
 * that another run finds nothing.
 */
async function repairs(expected: readonly RegExp[], options: Partial<RepairOptions> = {}): Promise<void> {
  const found = await prepared.repair(options);
  for (const words of expected)
    assert.ok(
      found.some(({ problem, action }) => words.test(`${problem}: ${action}`)),
      `${words} in ${JSON.stringify(found)}`,
    );
  assert.deepEqual(
    found.filter(({ outcome }) => outcome !== "planned"),
    [],
  );
  const done = await prepared.repair({ ...options, is_applied: true });
  assert.deepEqual(
    done.filter(({ outcome }) => outcome !== "repaired"),
    [],
  );
  assert.equal(done.length, found.length, "the dry run changed something");
  assert.deepEqual(await prepared.repair(), []);
  await prepared.verify();
  assert.deepEqual(await prepared.changedTables(), []);
}

test("an undamaged lake needs no repair", async () => {
  assert.deepEqual(await prepared.repair(), []);
});

describe("silver and gold are rebuilt from bronze", () => {
  test("if data files are truncated, empty or missing", async () => {
    truncate(await prepared.dataFile(MINUTES));
    empty(await prepared.dataFile("silver.crypto_listings"));
    rmSync(await prepared.dataFile(COINS));
    await repairs([
      /crypto_prices_clean: data file .* has \d+ of \d+ bytes: rebuild it .*its dependents: .*fact_crypto_hourly/,
      /crypto_listings: data file .* has 0 of/,
      /dim_crypto: data file .* is missing/,
    ]);
  });

  test("if manifests, manifest lists and a seed's file are missing or empty, and bronze is damaged", async () => {
    // A rebuild reads all of bronze: its damage is repaired before a table is emptied.
    flipBit(await prepared.dataFile(BRONZE));
    const manifests = await prepared.manifests(HOURS);
    for (const manifest of manifests) rmSync(manifest);
    empty(await prepared.manifestList("gold.dim_time"));
    rmSync(await prepared.dataFile(SEED));
    await repairs([
      /fact_crypto_hourly: manifest .* is missing/,
      /dim_time: manifest list .* cannot be read/,
      /crypto_products: data file .*reload its file/,
      /crypto_ticks_raw lacks .*: data file .* has changed since its commit.*from the log/,
    ]);
  });

  test("if the newest metadata file is empty, or all of them", async () => {
    empty(await prepared.metadataFile(TICKS));
    for (const file of await prepared.metadataFiles(MINUTES)) empty(file);
    await repairs([
      /fact_crypto_ticks: the metadata file .* take version \d+/,
      /crypto_prices_clean: .*rebuild it from bronze with dbt/,
    ]);
  });

  test("if a table with changed rows is named, together with its dependents", async () => {
    await prepared.sql(`update lake.${UPDATES} set price = price * 3 where log_offset % 7 = 0`);
    await prepared.sql(`delete from lake.${HOURS}`);
    assert.deepEqual(await prepared.repair(), []);
    await repairsNamed(UPDATES);
  });

  async function repairsNamed(table: string): Promise<void> {
    const found = await prepared.repair({ table });
    assert.match(found.map(({ action }) => action).join(), /rebuild it from bronze.*fact_crypto_hourly/);
    const done = await prepared.repair({ table, is_applied: true });
    assert.deepEqual(
      done.filter(({ outcome }) => outcome !== "repaired"),
      [],
    );
    await prepared.verify();
    assert.deepEqual(await prepared.changedTables(), []);
  }

  test("and earlier snapshots are kept", async () => {
    const { metadata } = await prepared.load(HOURS);
    rmSync(await prepared.dataFile("gold.dim_time"));
    await prepared.repair({ is_applied: true, table: HOURS });
    const now = (await prepared.load(HOURS)).metadata;
    const ids = new Set(now.snapshots.map((snapshot) => String(snapshot["snapshot-id"])));
    assert.ok(metadata.snapshots.every((snapshot) => ids.has(String(snapshot["snapshot-id"]))));
  });

  test("but an unknown table is rejected", async () => {
    await assert.rejects(prepared.repair({ table: "gold.nonsense" }), { code: "TABLE_NOT_FOUND" });
  });
});

describe("bronze is restored", () => {
  test("from the log, with the same offsets and rows", async () => {
    const [first = "", second = ""] = await prepared.dataFiles(BRONZE);
    truncate(first);
    rmSync(second);
    await repairs([/bronze\.crypto_ticks_raw lacks \d+ records: data file .* is missing.*take \d+ from the log/]);
  });

  test("from the log, if its newest metadata file is empty and silver is ahead", async () => {
    empty(await prepared.metadataFile(BRONZE));
    await repairs([
      /crypto_ticks_raw: the metadata file .* take version \d+/,
      /lacks [\d,]+ records: take \d+ from the log/,
    ]);
  });

  test("from data files in its folder, if manifests are empty and the log is pruned", async () => {
    await prepared.pruneLog();
    for (const manifest of await prepared.manifests(BRONZE)) empty(manifest);
    await repairs([/lacks [\d,]+ records: manifest .*: take \d+ from \d+ other data files/]);
  });

  test("from an earlier version and its data files, if the newest metadata is empty and the log pruned", async () => {
    await prepared.pruneLog();
    empty(await prepared.metadataFile(BRONZE));
    await repairs([
      /crypto_ticks_raw: the metadata file .* take version \d+/,
      /lacks \d+ records: take \d+ from 1 other data files/,
    ]);
  });

  test("from data files in its folder, if no metadata file can be read and the log is pruned", async () => {
    for (const file of await prepared.metadataFiles(BRONZE)) empty(file);
    await prepared.pruneLog();
    await repairs([/crypto_ticks_raw: the metadata file/, /lacks [\d,]+ records: take \d+ from \d+ other data files/]);
  });

  test("from a backup, under the same file name", async () => {
    const backup = await prepared.backUp();
    await prepared.pruneLog();
    const file = await prepared.dataFile(BRONZE);
    truncate(file);
    rmSync(await prepared.dataFile(TICKS));
    const bytes = statSync(file).size;
    await repairs([/replace it by the backup's copy/], { backup });
    assert.ok(statSync(file).size > bytes);
    assert.equal(globSync("damaged/**/*.parquet", { cwd: prepared.lake.folder }).length, 1);
  });

  test("or the lost offsets are reported, and nothing changes until the loss is accepted", async () => {
    await prepared.pruneLog();
    rmSync(await prepared.dataFile(BRONZE));
    const [item] = await prepared.repair({ is_applied: true });
    assert.equal(item?.outcome, "impossible");
    assert.match(item?.action ?? "", /crypto\.prices\.raw\/0 offsets \d+ to \d+/);
    assert.match(item?.action ?? "", /--accept-loss/);

    const done = await prepared.repair({ is_applied: true, is_loss_accepted: true });
    assert.deepEqual(
      done.map(({ outcome }) => outcome),
      ["repaired"],
    );
    const lost = lostOffsets((await prepared.load(BRONZE)).metadata, TOPIC);
    assert.ok(countOffsets(lost) > 0);
    const checks = await prepared.verify();
    assert.match(JSON.stringify(checks), new RegExp(`${countOffsets(lost)} acknowledged as lost`));
    assert.deepEqual(await prepared.changedTables(), [BRONZE]);
    // Rows whose records bronze does not have any more are not dropped.
    rmSync(await prepared.dataFile(TICKS));
    const [ticks] = await prepared.repair({ is_applied: true });
    assert.equal(ticks?.outcome, "impossible");
  });
});

describe("the catalog is recreated from the warehouse", () => {
  const damages: Record<string, (file: string) => void> = {
    missing: (file) => rmSync(file),
    empty,
    overwritten: (file) => writeFileSync(file, Buffer.alloc(8192, 7)),
  };
  for (const [name, damage] of Object.entries(damages)) {
    test(`if it is ${name}`, async () => {
      damage(prepared.lake.catalog_file);
      await repairs([/catalog\.db .*: recreate it with \d+ tables/]);
      if (name === "overwritten")
        assert.equal(globSync("damaged/*/catalog.db", { cwd: prepared.lake.folder }).length, 1);
    });
  }

  test("if it is an old copy and the log is pruned", async () => {
    await prepared.pruneLog();
    prepared.restoreOldCatalog();
    await repairs([/the catalog names version \d+, but its folder has version \d+: take version/]);
  });
});

describe("a lost or damaged log", () => {
  test("restarts at bronze's offsets once the loss is accepted", async () => {
    rmSync(prepared.lake.log_file);
    rmSync(`${prepared.lake.log_file}-wal`, { force: true });
    const [item] = await prepared.repair({ is_applied: true });
    assert.equal(item?.outcome, "impossible");
    assert.match(item?.problem ?? "", /log\.db is missing: records that bronze did not have yet are gone/);
    assert.equal(existsSync(prepared.lake.log_file), false);

    const done = await prepared.repair({ is_applied: true, is_loss_accepted: true });
    assert.deepEqual(
      done.map(({ outcome }) => outcome),
      ["repaired"],
    );
    assert.deepEqual(await prepared.repair(), []);
    await prepared.verify();
    assert.deepEqual(await prepared.changedTables(), []);
    await prepared.with(async ({ log }) => {
      const [bounds] = await log.bounds(TOPIC);
      assert.ok(bounds !== undefined && bounds.begin > 0 && bounds.begin === bounds.end);
    });
  });

  test("is moved aside, not deleted", async () => {
    writeFileSync(prepared.lake.log_file, Buffer.alloc(65_536, 7));
    await prepared.repair({ is_applied: true, is_loss_accepted: true });
    const [kept = ""] = globSync("damaged/*/log.db", { cwd: prepared.lake.folder });
    assert.equal(readFileSync(join(prepared.lake.folder, kept)).length, 65_536);
    await prepared.verify();
  });
});

test("every damage that is always tested exists", () => {
  const titles = new Set(DAMAGES.map(({ title }) => title));
  assert.deepEqual(
    [...ALWAYS].filter((title) => !titles.has(title)),
    [],
  );
});

for (const { title, damage, code, table, remedy } of DAMAGES) {
  if (LEFT.test(title) || (!ALWAYS.has(title) && !is_whole)) continue;
  test(`repair as advised by verify succeeds: ${title}`, async () => {
    await damage(prepared.made);
    const named = table === undefined || remedy !== undefined ? {} : { table };
    const found = await prepared.repair(named);
    assert.notDeepEqual(found, [], code);
    // The loss of a log must be accepted explicitly.
    const is_loss_accepted = found.some(
      ({ outcome, action }) => outcome === "impossible" && /accept the loss/.test(action),
    );
    assert.equal(is_loss_accepted, /\blog\.db\b/.test(title), JSON.stringify(found));
    const done = await prepared.repair({ ...named, is_loss_accepted, is_applied: true });
    assert.deepEqual(
      done.filter(({ outcome }) => outcome !== "repaired"),
      [],
    );
    await prepared.verify();
    assert.deepEqual(await prepared.changedTables(), []);
  });
}
