import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { tableNamed } from "../../src/iceberg/errors.ts";
import { openLake } from "../../src/lake/open.ts";
import { LiveFiles } from "../../src/iceberg/live-files.ts";
import { currentSnapshot } from "../../src/iceberg/stage.ts";
import { claimLake } from "../../src/lake/ownership.ts";
import { findLake } from "../../src/lake/lake.ts";
import { claimMaintenance } from "../../src/maintain/run.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { coinlake, temporaryFolder } from "../support/coinlake.ts";
import { coinlakeByKind } from "../support/warm-coinlake.ts";

const MINUTE_MS = 60_000;
const folder = temporaryFolder();
const recording = join(folder.path, "candles.csv");
const data = ["--data", join(folder.path, "lakes")];
const start = [
  "start",
  "--source",
  `replay:${recording}`,
  "--speed",
  "max",
  "--until-drained",
  "--catalog-port",
  "0",
  ...data,
];
const HOURS = "select * from gold.fact_crypto_hourly order by all";

before(async () => {
  // The loop of ingest deletes records older than an hour from the log; bronze could not be repaired from those.
  const start_ms = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 25 * MINUTE_MS;
  const rows = Array.from(
    { length: 24 },
    (_, minute) => `ETH,${start_ms + minute * MINUTE_MS},10,11,9.5,10.${minute},2`,
  );
  writeFileSync(recording, ["symbol,open_time_ms,open,high,low,close,volume", ...rows, ""].join("\n"));
  const { code, stderr } = await coinlake(start);
  assert.equal(code, 0, stderr);
});
after(() => folder.remove());

const lakeOf = () => findLake(join(folder.path, "lakes"), null);

/** Paths of the files that a power cut may leave empty, as the catalog names them. */
async function newestFiles(): Promise<{ metadata: string; bronze: string; silver: string; bronze_rows: number }> {
  const open = await openLake(lakeOf());
  try {
    const dataFile = async (table: string): Promise<{ path: string; rows: number }> => {
      const { metadata } = await open.catalog.loadTable(tableNamed(table));
      const snapshot = currentSnapshot(metadata);
      const [file] = snapshot === null ? [] : await new LiveFiles(open.storage).of(metadata, snapshot);
      assert.ok(file !== undefined, `${table} has no file`);
      return { path: pathOfLocation(file.path), rows: file.rows };
    };
    const bronze = await dataFile("bronze.crypto_ticks_raw");
    return {
      metadata: pathOfLocation((await open.catalog.loadTable(tableNamed("gold.fact_crypto_hourly"))).metadata_location),
      bronze: bronze.path,
      silver: (await dataFile("silver.crypto_prices_clean")).path,
      bronze_rows: bronze.rows,
    };
  } finally {
    await open.close();
  }
}

async function hours(): Promise<unknown> {
  const { code, stdout, stderr } = await coinlakeByKind(["query", HOURS, "--json", ...data]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

test("start repairs files that a power cut left empty, and reports it in one line", async () => {
  const before_damage = await hours();
  const { bronze_rows, ...files } = await newestFiles();
  for (const path of Object.values(files)) writeFileSync(path, "");

  const shown = await coinlake(["repair", ...data]);
  assert.equal(shown.code, 1, shown.stderr);
  assert.match(shown.stdout, /fact_crypto_hourly: the metadata file[\s\S]*would: take version \d+/);
  assert.match(shown.stderr, /Dry run: nothing was changed/);

  // As after a kill before the first increment reached it: an increment builds it, and nothing is damaged.
  const open = await openLake(lakeOf());
  await open.catalog.dropTable(tableNamed("gold.dim_time"), { is_purging: true });
  await open.close();
  const started = await coinlake(start);
  assert.equal(started.code, 0, started.stderr);
  const recovered = started.stderr.split("\n").filter((line) => line.startsWith("Recovered damaged files"));
  assert.equal(recovered.length, 1, started.stderr);
  assert.match(
    recovered[0] ?? "",
    new RegExp(`take ${bronze_rows} from the log.*crypto_prices_clean.*rebuild it from bronze`),
  );
  assert.doesNotMatch(recovered[0] ?? "", /dim_time/);
  const verified = await coinlakeByKind(["verify", ...data]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  assert.deepEqual(await hours(), before_damage);
});

test("start recreates an empty catalog before it writes to it", async () => {
  const before_damage = await hours();
  const { catalog_file } = lakeOf();
  new DatabaseSync(catalog_file).exec("pragma wal_checkpoint(truncate)");
  writeFileSync(catalog_file, "");
  const started = await coinlake(start);
  assert.equal(started.code, 0, started.stderr);
  assert.match(started.stderr, /Recovered damaged files: catalog\.db is empty: recreate it with \d+ tables/);
  assert.equal((await coinlakeByKind(["verify", ...data])).code, 0);
  assert.deepEqual(await hours(), before_damage);
});

test("repair --apply repairs damage, also after a kill, but not beside a writer or maintenance", async () => {
  const before_damage = await hours();
  const { silver } = await newestFiles();
  writeFileSync(silver, "");
  for (const { code, claim } of [
    { code: "LAKE_IN_USE", claim: claimLake(lakeOf(), "start") },
    { code: "MAINTENANCE_RUNNING", claim: claimMaintenance(lakeOf(), "maintain") },
  ])
    try {
      const rejected = await coinlake(["repair", "--apply", ...data]);
      assert.deepEqual([rejected.code, rejected.stderr.includes(code)], [1, true], rejected.stderr);
    } finally {
      claim.release();
    }
  const { code, stdout, stderr } = await coinlake(["repair", "--apply", "--json", ...data]);
  assert.equal(code, 0, stderr);
  const { is_applied, items } = JSON.parse(stdout);
  assert.deepEqual([is_applied, items.map(({ outcome }: { outcome: string }) => outcome)], [true, ["repaired"]]);
  assert.deepEqual(await hours(), before_damage);
  const again = await coinlake(["repair", ...data]);
  assert.deepEqual([again.code, again.stdout], [0, "Nothing to repair.\n"]);

  // Killed after a table lost its damaged rows, and after the first commit that builds it again.
  for (const kill_at of ["after pointer:1", "after pointer:2"]) {
    writeFileSync((await newestFiles()).silver, "");
    const killed = await coinlake(["repair", "--apply", ...data], { COINLAKE_KILL_AT: kill_at });
    assert.equal(killed.signal, "SIGKILL", `${kill_at}: ${killed.stderr}`);
    const second = await coinlake(["repair", "--apply", ...data]);
    assert.equal(second.code, 0, `${kill_at}: ${second.stdout}${second.stderr}`);
    assert.match(second.stdout, /earlier repair emptied it and was interrupted/);
    assert.equal((await coinlakeByKind(["verify", ...data])).code, 0, kill_at);
    assert.deepEqual(await hours(), before_damage, kill_at);
  }
  assert.equal((await coinlake(["repair", "--tables", ...data])).code, 2);
});
