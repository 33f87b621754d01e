import assert from "node:assert/strict";
import { AwsClient } from "aws4fetch";
import { after, before, test } from "node:test";
import { crypto } from "../../../pipelines/crypto.ts";
import { SparkSession } from "../../../src/spark/session.ts";
import { openOrCreateLake, rememberAsCurrent } from "../../../src/lake/lake.ts";
import type { ActionReport } from "../../../src/maintain/parts.ts";
import type { PartitionCopy } from "../../../src/maintain/spark/bronze.ts";
import { coinlake } from "../../support/coinlake.ts";
import { Servers } from "../servers.ts";

const BRONZE = crypto.bronze.table;
const FACTS = "gold.fact_crypto_ticks";
const DIMENSION = "gold.dim_crypto";
const COMMITS = 6;
const DAY_MS = 86_400_000;

let servers: Servers;
let spark: SparkSession;

before(async () => {
  servers = await Servers.start("spark");
  rememberAsCurrent(
    servers.data,
    openOrCreateLake(servers.data, {
      name: "live",
      kind: "live",
      pipeline: crypto.name,
      profile: "cluster",
      warehouse: "s3://warehouse",
    }),
  );
  spark = new SparkSession({ remote: servers.environment.SPARK_REMOTE ?? "" });
  for (const layer of ["bronze", "gold"])
    await spark.sql(`create namespace ${layer} with dbproperties ('coinlake.lake' = 'live')`);
  await spark.sql(
    `create table ${BRONZE} (log_topic string, log_partition int, log_offset bigint, ingested_at timestamp) ` +
      "using iceberg",
  );
  await spark.sql(
    `insert into ${BRONZE} select 't', partition, offset, timestamp '2026-01-01' ` +
      "from (select explode(sequence(0, 2)) as partition), (select explode(sequence(5L, 9L)) as offset)",
  );
  await spark.sql(
    `create table ${FACTS} (crypto_id string, price_at timestamp, price decimal(38, 18)) ` +
      `using iceberg tblproperties ('coinlake.log-offsets' = '{"t/0":7}')`,
  );
  await spark.sql(`create table ${DIMENSION} (crypto_id string, name string) using iceberg`);
  for (let commit = 0; commit < COMMITS; commit += 1) {
    await spark.sql(
      `insert into ${FACTS} select concat('coin-', id % 7), timestamp_seconds(id * 60 + ${commit}), ` +
        "cast(id as decimal(38, 18)) / 3 from range(200)",
    );
    await spark.sql(`insert into ${DIMENSION} values ('coin-${commit}', 'Coin ${commit}')`);
  }
});
after(async () => {
  await spark?.release();
  await servers?.leave();
});

const run = (...args: string[]) => coinlake(["maintain", ...args, "--data", servers.data]);
async function json<T>(...args: string[]): Promise<T[]> {
  const { code, stdout, stderr } = await run(...args, "--json");
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as T[];
}
const rowsOf = (table: string) => spark.sql(`select * from ${table} order by all`);

test("the check passes if bronze has every offset once", async () => {
  const copies = await json<PartitionCopy>("check");
  assert.deepEqual(
    copies.map(({ partition, records, first_offset, last_offset, missing, doubled, newest_ingested_at }) => [
      partition,
      records,
      first_offset,
      last_offset,
      missing,
      doubled,
      newest_ingested_at,
    ]),
    [0, 1, 2].map((partition) => [partition, 5, 5, 9, 0, 0, "2026-01-01T00:00:00.000000Z"]),
  );
});

test("compaction merges files, sorts facts by two columns at once, and changes no row and no property", async () => {
  const was = { facts: await rowsOf(FACTS), dimension: await rowsOf(DIMENSION) };
  const done = new Map((await json<ActionReport>("compact")).map((compaction) => [compaction.table, compaction]));
  assert.deepEqual([...done.keys()], [BRONZE, DIMENSION, FACTS]);
  assert.deepEqual(
    [done.get(FACTS)?.strategy, done.get(DIMENSION)?.strategy],
    ["z-order by crypto_id, price_at", "pack"],
  );
  for (const table of [FACTS, DIMENSION]) {
    const { before: was_files, after: is_files } = done.get(table) ?? assert.fail(table);
    assert.ok(
      was_files.files >= COMMITS && is_files.files === 1,
      `${table}: ${was_files.files} to ${is_files.files} files`,
    );
  }
  assert.equal(done.get(BRONZE)?.rewritten_files, 0);
  assert.deepEqual({ facts: await rowsOf(FACTS), dimension: await rowsOf(DIMENSION) }, was);
  const [property] = await spark.sql(`show tblproperties ${FACTS} ('coinlake.log-offsets')`);
  assert.equal(property?.value, '{"t/0":7}');
});

test("expiry keeps young snapshots, and the newest ten at any age", async () => {
  for (let commit = 0; commit < 8; commit += 1)
    await spark.sql(`insert into ${DIMENSION} values ('later-${commit}', 'x')`);
  const was = await rowsOf(DIMENSION);
  const [young] = await json<ActionReport>("expire", "--table", DIMENSION);
  assert.equal(young?.before.snapshots, young?.after.snapshots);
  const [old] = await json<ActionReport>("expire", "--table", DIMENSION, "--older-than", "0");
  assert.ok(
    (old?.before.snapshots ?? 0) > 10 && old?.after.snapshots === 10 && old.deleted_files > 0,
    JSON.stringify(old),
  );
  assert.deepEqual(await rowsOf(DIMENSION), was);
});

test("old orphan files are deleted; young ones and the table's files are kept", async () => {
  const [file] = await spark.sql(`select file_path from ${FACTS}.files`);
  const beside = (name: string) => String(file?.file_path).replace(/[^/]+$/, name);
  const was = await rowsOf(FACTS);
  await put(beside("young.parquet"), Date.now());
  await put(beside("old.parquet"), Date.now() - 4 * DAY_MS);
  const removed = (await json<ActionReport>("orphans")).flatMap((report) => report.removed ?? []);
  assert.deepEqual(removed, [beside("old.parquet")]);
  assert.deepEqual([await exists(beside("old.parquet")), await exists(beside("young.parquet"))], [false, true]);
  assert.deepEqual(await rowsOf(FACTS), was);
});

test("the check fails and names the partition if bronze lacks an offset or has one twice", async () => {
  await spark.sql(`delete from ${BRONZE} where log_partition = 1 and log_offset = 7`);
  await spark.sql(`insert into ${BRONZE} values ('t', 2, 6, timestamp '2026-01-02')`);
  const { code, stderr } = await run("check");
  assert.equal(code, 1);
  assert.match(
    stderr,
    /t\/1: 1 offsets missing, 0 rows duplicated; t\/2: 0 offsets missing, 1 rows duplicated.*BRONZE_DIFFERS_FROM_LOG/s,
  );
});

test("an unknown table is rejected with the names of the existing tables", async () => {
  const { code, stderr } = await run("compact", "--table", "gold.none");
  assert.equal(code, 2);
  assert.match(stderr, new RegExp(`TABLE_NOT_FOUND[\\s\\S]*${FACTS}`));
});

function client(): AwsClient {
  const { AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "", AWS_REGION = "" } = servers.environment;
  return new AwsClient({
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    service: "s3",
    region: AWS_REGION,
  });
}

const urlOf = (location: string) => location.replace(/^s3a?:\//, servers.environment.AWS_ENDPOINT_URL_S3 ?? "");

/** MinIO accepts a modification time for a copy of an object. */
async function put(location: string, changed_at_ms: number): Promise<void> {
  const headers = { "X-Minio-Source-Mtime": new Date(changed_at_ms).toISOString() };
  const { ok, status } = await client().fetch(urlOf(location), { method: "PUT", body: "x", headers });
  assert.ok(ok, String(status));
}

async function exists(location: string): Promise<boolean> {
  return (await client().fetch(urlOf(location), { method: "HEAD" })).ok;
}
