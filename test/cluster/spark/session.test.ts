import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { cacheFolder } from "../../../src/services/fetch/cache.ts";
import { freePorts } from "../../../src/services/machine/port.ts";
import { spark } from "../../../src/services/definitions/spark.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { OperatingError } from "../../../src/base/errors.ts";
import { SparkRejected } from "../../../src/spark/failure.ts";
import { SparkSession } from "../../../src/spark/session.ts";
import { projectFolder, pythonExecutable } from "../../../src/lake/tools.ts";
import { sparkPython } from "../../../src/transform/engine.ts";
import { endLeftStatements, remoteInSession } from "../../../src/transform/spark-session.ts";
import { temporaryFolder } from "../../support/coinlake.ts";
import { Servers } from "../servers.ts";

const folder = temporaryFolder();
let servers: Servers;
let remote: string;
let session: SparkSession;

before(async () => {
  servers = await Servers.start("spark");
  remote = servers.environment.SPARK_REMOTE!;
  session = new SparkSession({ remote });
});
after(async () => {
  session?.disconnect();
  await servers?.leave();
  folder.remove();
});

test("the client's protocol files are those of the Spark that is fetched", async () => {
  const { folder: files } = await spark.fetch({
    folder: cacheFolder(),
    say() {},
    progress: () => ({ update() {}, end() {} }),
  });
  const [jar = ""] = globSync(join(files, "spark", "spark-connect_*.jar"));
  const unpacked = join(folder.path, "protocol");
  execFileSync(pythonExecutable(), ["-m", "zipfile", "-e", jar, unpacked]);
  const lines = globSync("spark/connect/*.proto", { cwd: unpacked })
    .sort()
    .map(
      (file) =>
        `${createHash("sha256")
          .update(readFileSync(join(unpacked, file)))
          .digest("hex")}  ${file}\n`,
    );
  assert.equal(lines.join(""), readFileSync(join(projectFolder(), "requirements", "spark", "protocol.sha256"), "utf8"));
});

test("values of every type are returned exactly", async () => {
  const [row] = await session.sql(`
    select
      9007199254740993 as whole,
      cast('-0.000000000000000001' as decimal(38, 18)) as price,
      cast(-7 as decimal(3, 0)) as small,
      timestamp '1969-12-31 23:59:59.999999' as at,
      timestamp_ntz '2026-01-01 00:00:00' as local,
      date '1969-12-31' as day,
      'ü' as text,
      x'ff00' as bytes,
      array(timestamp '2026-01-01', null) as list,
      named_struct('a', 1, 'b', array(1.50)) as struct,
      map('k', 2L) as map,
      null as nothing,
      true as yes,
      0.1D as half`);
  assert.deepEqual(row, {
    whole: 9007199254740993n,
    price: "-0.000000000000000001",
    small: "-7",
    at: "1969-12-31T23:59:59.999999Z",
    local: "2026-01-01T00:00:00.000000",
    day: "1969-12-31",
    text: "ü",
    bytes: Uint8Array.of(255, 0),
    list: ["2026-01-01T00:00:00.000000Z", null],
    struct: { a: 1, b: ["1.50"] },
    map: { k: 2n },
    nothing: null,
    yes: true,
    half: 0.1,
  });
  assert.equal((await session.sql("select id from range(50000)")).length, 50_000);
});

test("failures have different errors: rejected by Spark, closed session, no server, invalid address", async () => {
  await assert.rejects(
    session.sql("select nothing_such from range(1)"),
    (error) => error instanceof SparkRejected && error.condition === "UNRESOLVED_COLUMN.WITH_SUGGESTION",
  );
  await assert.rejects(
    session.sql("select 1 +"),
    (error) => error instanceof SparkRejected && error.condition === "PARSE_SYNTAX_ERROR",
  );
  const [port] = await freePorts(1);
  await assert.rejects(new SparkSession({ remote: `sc://127.0.0.1:${port}` }).version(), {
    code: "SPARK_UNREACHABLE",
    is_retryable: true,
  });
  assert.throws(() => new SparkSession({ remote: "127.0.0.1:15002" }), { code: "INVALID_SPARK_REMOTE" });
  const brief = new SparkSession({ remote });
  await brief.sql("select 1");
  await brief.release();
  const again = new SparkSession({ remote, session_id: brief.session_id });
  await assert.rejects(again.sql("select 1"), { code: "SPARK_SESSION_CLOSED" });
  again.disconnect();
});

test("a query that times out or is aborted ends in Spark too", async () => {
  const endless = "select count(*) from range(10000000000000) where id % 7 = hash(id)";
  await assert.rejects(session.sql(endless, { timeout_ms: 2_000 }), { code: "SPARK_TIMED_OUT", is_retryable: true });
  const ending = new AbortController();
  const left = session.sql(endless, { signal: ending.signal });
  setTimeout(() => ending.abort(new Error("enough")), 500);
  await assert.rejects(left, /enough/);
  // It would have waited for the cores of the other queries.
  assert.deepEqual(await session.sql("select count(*) as rows from range(1000)", { timeout_ms: 30_000 }), [
    { rows: 1000n },
  ]);
});

test("the query of a killed client runs in Spark until it is ended, and its end is awaited", async () => {
  const python = await sparkPython({ clock: systemClock, say: () => {} });
  const endless =
    "from pyspark.sql import SparkSession; " +
    "SparkSession.builder.getOrCreate().range(10**13).where('id % 7 = hash(id)').count()";
  const client = spawn(python, ["-c", endless], {
    env: { ...process.env, SPARK_REMOTE: remoteInSession(remote) },
    stdio: "inherit",
  });
  const exit = once(client, "exit");
  // The query uses both cores, so later queries wait.
  const isBusy = async (): Promise<boolean> => {
    try {
      await session.sql("select count(*) from range(1000)", { timeout_ms: 3_000 });
      return false;
    } catch (error) {
      if (error instanceof OperatingError && error.code === "SPARK_TIMED_OUT") return true;
      throw error;
    }
  };
  while (!(await isBusy())) await systemClock.wait(100);
  client.kill("SIGKILL");
  await exit;
  assert.equal(await isBusy(), true);
  assert.equal(await endLeftStatements(remote), 1);
  assert.equal(await isBusy(), false);
  assert.equal(await endLeftStatements(remote), 0);
});

test("a table is created, filled and read, with its files in MinIO", async () => {
  await session.sql("create namespace lake.bronze");
  await session.sql("create table bronze.made (id bigint, day date) using iceberg partitioned by (day)");
  await session.sql("insert into bronze.made values (1, date '2026-01-01'), (2, date '2026-01-02')");
  assert.deepEqual(await session.sql("select * from bronze.made order by id"), [
    { id: 1n, day: "2026-01-01" },
    { id: 2n, day: "2026-01-02" },
  ]);
  const files = await session.sql("select file_path from bronze.made.files");
  assert.ok(
    files.length === 2 && files.every(({ file_path }) => String(file_path).startsWith("s3://warehouse/bronze.db/")),
  );
  assert.deepEqual(await session.sql("drop table bronze.made"), []);
});
