import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openLake, type OpenLake } from "../../../src/lake/open.ts";
import { findLake } from "../../../src/lake/lake.ts";
import { coinlake, replayed, temporaryFolder } from "../../support/coinlake.ts";
import { Servers } from "../servers.ts";
import { differencesBetween } from "./compare.ts";
import { writeMarket } from "./market.ts";

const EMBEDDED = "replay-market";
const IN_S3 = "replay-market-in-s3";
const CLUSTER = "cluster-replay-market";
let servers: Servers;
let market: string;
let records: number;

before(async () => {
  servers = await Servers.start("kafka", "hive", "spark");
  market = join(servers.data, "market.jsonl");
  records = await writeMarket(market, 11);
  await replay();
});
after(async () => {
  await servers?.leave();
});

/** Runs the pipeline over the recording, as a user would; resolves when gold is complete and every test passes. */
async function replay(...options: string[]): Promise<string> {
  const { code, stdout, stderr } = await coinlake([...replayed(market, servers.data), ...options]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /\d+ tests passed/);
  return stdout;
}

async function withLakes<T>(
  names: readonly [string, string],
  work: (one: OpenLake, other: OpenLake) => Promise<T>,
): Promise<T> {
  const open = await Promise.all(
    names.map((name) => openLake(findLake(servers.data, name), { env: servers.environment })),
  );
  try {
    return await work(open[0]!, open[1]!);
  } finally {
    for (const lake of open) await lake.close();
  }
}

async function answersOf(lake: string): Promise<unknown> {
  const { code, stdout, stderr } = await coinlake(["ask", "all", "--json", "--data", servers.data, "--lake", lake]);
  assert.equal(code, 0, stderr);
  const { answers } = JSON.parse(stdout) as { answers: { parts: Record<string, unknown>[] }[] };
  assert.equal(answers.length, 5);
  // Snapshots, their times and time-travel results differ between lakes.
  return answers.map(({ parts, ...answer }) => ({
    ...answer,
    parts: parts
      .filter(({ lake_at }) => lake_at === null)
      .map(({ title, columns, rows, note }) => ({ title, columns, rows, note })),
  }));
}

async function verify(lake: string): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await coinlake(["verify", "--json", "--data", servers.data, "--lake", lake]);
  assert.equal(code, 0, stderr + stdout);
  return (JSON.parse(stdout) as { figures: Record<string, unknown> }).figures;
}

test("the cluster profile gives the same tables and answers as the embedded profile for the same market", async () => {
  // One process fills the lake and another one transforms it, as in Docker.
  const filled = await coinlake([
    "produce",
    "--source",
    `replay:${market}`,
    "--speed",
    "max",
    "--json",
    "--data",
    servers.data,
  ]);
  assert.equal(filled.code, 0, filled.stderr);
  assert.deepEqual(JSON.parse(filled.stdout), { lake: CLUSTER, topic: "crypto.prices.raw", records });
  await replay("--profile", "cluster", "--no-produce");
  assert.deepEqual(await withLakes([EMBEDDED, CLUSTER], differencesBetween), []);
  assert.deepEqual(await answersOf(CLUSTER), await answersOf(EMBEDDED));
  const figures = await verify(CLUSTER);
  assert.deepEqual(figures, await verify(EMBEDDED));
  assert.equal(figures["bronze_records"], records);
});

test("the cluster reports bronze's lag, and the stream keeps running after the process that started it", async () => {
  const { code, stdout, stderr } = await coinlake(["cluster", "status", "--native", "--json", "--data", servers.data]);
  assert.equal(code, 0, stderr);
  assert.deepEqual((JSON.parse(stdout) as { lag: unknown }).lag, [
    { topic: "crypto.prices.raw", consumer: "coinlake-bronze", records_behind: 0 },
  ]);
  const streams = await coinlake(["streams", "list", "--json", "--data", servers.data]);
  assert.equal((JSON.parse(streams.stdout) as { state: string }[])[0]?.state, "running", streams.stderr);
});

test("an embedded lake with its tables in S3 has the same content as one on the local disk", async () => {
  const other = `${market.replace(/\.jsonl$/, "")}-in-s3.jsonl`;
  await writeMarket(other, 11);
  const { code, stderr } = await coinlake(
    [
      "start",
      "--source",
      `replay:${other}`,
      "--speed",
      "max",
      "--until-drained",
      "--catalog-port",
      "0",
      "--data",
      servers.data,
      "--warehouse",
      "s3://warehouse/embedded",
    ],
    servers.environment,
  );
  assert.equal(code, 0, stderr);
  assert.deepEqual(await withLakes([EMBEDDED, IN_S3], differencesBetween), []);
  assert.equal((await verify(IN_S3))["bronze_records"], records);
});

test("a cluster holds one lake, and another lake is rejected", async () => {
  const { code, stderr } = await coinlake([
    "start",
    "--profile",
    "cluster",
    "--source",
    "simulated",
    "--port",
    "0",
    "--catalog-port",
    "0",
    "--data",
    servers.data,
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /TABLES_OF_ANOTHER_LAKE/);
});

test("start without a cluster fails and names the command that starts one", async () => {
  const nowhere = temporaryFolder();
  const { code, stderr } = await coinlake([
    "start",
    "--profile",
    "cluster",
    "--source",
    "simulated",
    "--data",
    nowhere.path,
  ]);
  nowhere.remove();
  assert.equal(code, 1);
  assert.match(stderr, /CLUSTER_NOT_FOUND/);
  assert.match(stderr, /cluster up/);
});
