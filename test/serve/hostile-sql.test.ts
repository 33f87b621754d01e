import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { checkParsed, withoutExplain } from "../../src/serve/sql-console/allowed.ts";
import { Problem } from "../../src/serve/schemas/values.ts";
import { ConsoleProcess } from "../../src/serve/sql-console/process.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import { Lakes, type TestLake } from "../dbt/lake.ts";
import { marketStream } from "../dbt/stream.ts";
import { startRunning, type Running } from "./running.ts";

const SECRET = "what nobody may read 4711";

describe("the SQL console under hostile statements", () => {
  let lakes: Lakes;
  let lake: TestLake;
  let running: Running;
  let network: Server;
  let calls = 0;
  let secret_file: string;
  let files_before: string[];

  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
    await lake.append((await marketStream(7)).slice(0, 200));
    running = await startRunning(lake, { console_limits: { timeout_ms: 1_500 } });
    network = createServer((_request, response) => {
      calls += 1;
      response.end("a\n1\n");
    });
    await new Promise<void>((resolve) => network.listen(0, "127.0.0.1", resolve));
    secret_file = join(lake.data_folder, "secret.csv");
    writeFileSync(secret_file, `${SECRET}\n`);
    process.env["COINLAKE_TEST_SECRET"] = SECRET;
    await (await running.post("/api/sql", { sql: "select 1" })).arrayBuffer();
    files_before = filesIn(pathOfLocation(lake.open.lake.warehouse));
  });
  after(async () => {
    network.close();
    await running.close();
    await lakes.close();
  });

  function filesIn(folder: string): string[] {
    return readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted();
  }

  async function run(body: object): Promise<{ status: number; text: string; code: string | null }> {
    const response = await running.post("/api/sql", body);
    const text = await response.text();
    return { status: response.status, text, code: response.ok ? null : Problem.parse(JSON.parse(text)).code };
  }

  /** Null where the system has no /proc. */
  async function consoleMemoryMb(): Promise<number | null> {
    const metrics = await (await running.get("/metrics")).text();
    const value = /^coinlake_process_resident_memory_bytes\{.*process="console".*\} (\d+)$/m.exec(metrics)?.[1];
    assert.ok(value !== undefined || !existsSync("/proc/self/statm"), metrics);
    return value === undefined ? null : Math.round(Number(value) / 2 ** 20);
  }

  test("reads no file, network address, setting or secret", async () => {
    const url = `http://127.0.0.1:${(network.address() as AddressInfo).port}/x.csv`;
    const file = secret_file;
    const statements = [
      `select * from '${file}'`,
      `from '${file}'`,
      `select * from "${file}"`,
      `table "${file}"`,
      `select * from read_csv('${file}')`,
      `select * from read_csv_auto(['${file}'])`,
      `select * from read_text('${file}')`,
      `select * from read_blob('${file}')`,
      `select * from read_json('${file}')`,
      `select * from read_parquet('${file}')`,
      `select * from parquet_scan('${file}')`,
      `select * from parquet_metadata('${file}')`,
      `select * from sniff_csv('${file}')`,
      `select * from glob('${lake.data_folder}/*')`,
      `select * from iceberg_scan('${lake.data_folder}')`,
      `select * from iceberg_metadata('${lake.data_folder}')`,
      `select * from read_avro('${file}')`,
      `select * from read_duckdb('${file}')`,
      `select * from '${url}'`,
      `select * from read_csv('${url}')`,
      `describe from '${file}'`,
      `summarize '${file}'`,
      `explain from '${file}'`,
      `explain analyze select * from read_text('${file}')`,
      `select (select content from read_text('${file}'))`,
      `with t as (select * from read_text('${file}')) select * from t`,
      `select * from (values (1)) v, lateral (select * from read_text('${file}'))`,
      `pivot (from read_csv('${file}')) on a`,
      `select * from query('select * from read_text(''${file}'')')`,
      `select * from query_table('${file}')`,
      `from query_table(['${file}'])`,
      `select * from json_execute_serialized_sql(json_serialize_sql('select 1'))`,
      `/* harmless */ select/**/*/**/from/**/read_text/**/('${file}')`,
      `-- x\nselect * from READ_TEXT('${file}')`,
      `select * from "read_text"('${file}')`,
      `select * from main.read_text('${file}')`,
      `select * from system.main.read_text('${file}')`,
      `with "${file}" as (select 1) select * from "${file}", read_text('${file}')`,
      `with x as (select 1) select * from x, '${file}'`,
      `with x as (select 1) from "${file}"`,
      "select getenv('COINLAKE_TEST_SECRET')",
      "select current_setting('temp_directory')",
      "select getvariable('x')",
      "select * from duckdb_settings()",
      "select * from duckdb_secrets()",
      "select * from duckdb_databases()",
      "select * from duckdb_extensions()",
      "select * from duckdb_logs()",
      "select * from duckdb_temporary_files()",
      "select * from pragma_database_list",
      "select * from duckdb_settings",
      "show databases",
      "select * from which_secret('s3://x', 's3')",
      "select * from sql_auto_complete('select ')",
      "select * from live.tail.arrived",
      "select * from lake.gold.dim_crypto",
      "select * from system.information_schema.tables",
    ];
    for (const sql of statements) {
      const { status, text } = await run({ sql });
      assert.ok(status === 403 || status === 400, `${sql}: ${status} ${text}`);
      assert.doesNotMatch(text, new RegExp(SECRET), sql);
    }
    assert.equal(calls, 0, "nobody was called");
  });

  test("changes nothing", async () => {
    const out = join(tmpdir(), `coinlake-hostile-${process.pid}.csv`);
    const inside = join(pathOfLocation(lake.open.lake.warehouse), "evil.csv");
    const statements = [
      `copy (select 1) to '${out}'`,
      `copy (select 1) to '${inside}'`,
      `copy gold.dim_crypto to '${inside}' (format parquet)`,
      `export database '${lake.data_folder}/out'`,
      `import database '${lake.data_folder}'`,
      `attach '${out}' as evil`,
      "attach ':memory:' as evil",
      `attach '${lake.open.lake.catalog_file}' as evil (type sqlite)`,
      "detach lake",
      "use lake.silver",
      "install httpfs",
      "install spatial from community",
      "load httpfs",
      "force install json",
      "update extensions",
      "set memory_limit = '100GB'",
      "set global threads = 64",
      "reset memory_limit",
      "set enable_external_access = true",
      "set lock_configuration = false",
      "pragma memory_limit = '1TB'",
      "pragma database_list",
      "pragma enable_profiling",
      "pragma version",
      "call enable_logging()",
      "call force_checkpoint()",
      "checkpoint",
      "vacuum",
      "analyze",
      "create table evil (a int)",
      "create temp table evil as select 1",
      "create or replace view gold.dim_crypto as select 1",
      "create macro evil() as 1",
      "create secret evil (type s3, key_id 'x', secret 'y')",
      "create schema evil",
      "create type evil as enum ('a')",
      "drop table gold.dim_crypto",
      "drop view live.dim_crypto",
      "drop schema gold cascade",
      "alter table gold.dim_crypto add column x int",
      "truncate gold.dim_crypto",
      "insert into gold.dim_crypto select * from gold.dim_crypto",
      "update gold.dim_crypto set name = 'x'",
      "delete from gold.dim_crypto",
      "merge into gold.dim_crypto using (select 1) s on true when matched then delete",
      "begin",
      "begin; delete from gold.dim_crypto; commit",
      "rollback",
      "prepare evil as select 1",
      "execute evil",
      "deallocate evil",
      "set variable x = 1",
      "comment on table gold.dim_crypto is 'x'",
      "call set_iceberg_table_properties('gold.dim_crypto', {'a': 'b'})",
      "select * from set_iceberg_table_properties('gold.dim_crypto', {'a': 'b'})",
      "select * from remove_iceberg_table_properties('gold.dim_crypto', ['a'])",
      "select * from force_checkpoint()",
      "select 1; drop table gold.dim_crypto",
      "select 1;;select 2",
      "select 1 /* ; */; delete from gold.dim_crypto --",
      "explain delete from gold.dim_crypto",
      "explain analyze copy (select 1) to '/tmp/x'",
      "explain explain select 1",
      "explain (format json) select 1",
      `/* /* */ explain select 1 -- */ COPY (select 1) TO '${inside}'`,
      `--\rCOPY (select 1) TO '${inside}' /*\n explain select 1 -- */`,
      `/* /* */ */ explain copy (select 1) to '${inside}'`,
      "select write_log('x')",
      "select nextval('x')",
      "select sleep_ms(100000)",
      "select pg_sleep(100000)",
      "",
      ";",
      "--",
      "/*",
      "select",
      "\u0000",
      "select '\u0000'",
    ];
    for (const sql of statements) {
      const { status, text } = await run({ sql });
      assert.ok(status === 403 || status === 400, `${sql}: ${status} ${text}`);
    }
    assert.equal(existsSync(out), false);
    assert.deepEqual(filesIn(pathOfLocation(lake.open.lake.warehouse)), files_before);
    const { status } = await run({ sql: "select count(*) from live.dim_crypto" });
    assert.equal(status, 200, "the console still works");
    for (const sql of [
      "copy (select 1) to 'x'",
      "select 1) to '/tmp/evil.csv' (format csv); copy (select 1",
      "explain select 1",
      "select 1; select 2",
    ]) {
      const response = await running.post("/api/sql/export", { sql, format: "csv" });
      assert.ok(response.status === 403 || response.status === 400, `${sql}: ${response.status}`);
    }
  });

  test("stops endless and memory-hungry queries while other requests are answered", async () => {
    let beats = 0;
    const over = new AbortController();
    const heartbeat = (async () => {
      while (!over.signal.aborted) {
        for (const path of ["/api/status", "/api/coins?limit=5"]) {
          const response = await running.get(path);
          assert.equal(response.status, 200);
          await response.arrayBuffer();
          beats += 1;
        }
      }
    })();
    const bombs = [
      "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t",
      "select count(*) from range(1000000000000) a, range(1000000000000) b",
      "select list(range) from range(1000000000)",
      "select string_agg(repeat('x', 1000000), '') from range(1000000)",
      "select repeat(repeat(repeat('x', 10000), 10000), 1000)",
      "select * from range(1000000000) order by hash(range) desc",
      "select regexp_matches(repeat('a', 100000), '(a*)*b')",
      "select list_reduce(range(100000000), lambda x, y: x + y)",
      `select ${"(".repeat(5_000)}1${")".repeat(5_000)}`,
      `select 1 ${"union all select 1 ".repeat(4_000)}`,
      `select * from ${Array.from({ length: 60 }, (_, index) => `range(1000) t${index}`).join(", ")}`,
    ];
    try {
      for (const sql of bombs) {
        const { status, code } = await run({ sql, max_rows: 100_000 });
        assert.ok(
          status === 200 ||
            ["QUERY_TIMED_OUT", "QUERY_OUT_OF_MEMORY", "CONSOLE_DIED", "INVALID_SQL", "SQL_NOT_ALLOWED"].includes(
              code ?? "",
            ),
          `${sql.slice(0, 80)}: ${status} ${code}`,
        );
        const after_it = await run({ sql: "select 42" });
        assert.equal(after_it.status, 200, `after ${sql.slice(0, 80)}: ${after_it.text}`);
        // The memory of a query that has ended must not count against the next one.
        const used_mb = await consoleMemoryMb();
        assert.ok(used_mb === null || used_mb < 600, `after ${sql.slice(0, 80)}: ${code}, ${used_mb} MB`);
      }
    } finally {
      over.abort();
      await heartbeat;
    }
    assert.ok(beats > bombs.length, `${beats} beats`);
  });

  test("limits the rows and bytes of a result", async () => {
    const many = JSON.parse((await run({ sql: "select * from range(10000000)", max_rows: 100_000 })).text);
    assert.deepEqual([many.row_count, many.truncated_by], [100_000, "rows"]);
    const large = await running.post("/api/sql", {
      sql: "select repeat('x', 20000) from range(5000)",
      max_rows: 100_000,
    });
    const text = await large.text();
    assert.ok(text.length < 40 * 1024 * 1024, `${text.length} bytes`);
    assert.equal(JSON.parse(text).truncated_by, "bytes", text.slice(0, 300));
  });

  test("cancels a query by id and when its client disconnects, and limits concurrent queries", async () => {
    const endless = "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t";
    const cancelled = run({ sql: endless, query_id: "mine" });
    let status = 404;
    while (status === 404) status = (await running.get("/api/sql/mine", { method: "DELETE" })).status;
    assert.equal(status, 204);
    assert.equal((await cancelled).code, "QUERY_CANCELLED");
    const leaving = new AbortController();
    const left = running.post("/api/sql", { sql: endless, query_id: "left" }, { signal: leaving.signal });
    left.catch(() => {});
    while ((await run({ sql: "select 1", query_id: "left" })).code !== "QUERY_ID_IN_USE");
    leaving.abort();
    await assert.rejects(left);
    while ((await run({ sql: "select 1", query_id: "left" })).code !== null);
    const all = await Promise.all(Array.from({ length: 8 }, () => run({ sql: endless })));
    const codes = all.map(({ code }) => code).toSorted();
    assert.deepEqual([...new Set(codes)], ["QUERY_TIMED_OUT", "TOO_MANY_QUERIES"]);
    assert.equal(codes.filter((code) => code === "TOO_MANY_QUERIES").length, 4);
  });

  test("cancels a query whose process has not started yet", async (context) => {
    const starting = new ConsoleProcess(process.execPath, ["-e", "process.once('disconnect', process.exit)"]);
    context.after(() => starting.end());
    const cancelled = new AbortController();
    const limits = { timeout_ms: 1_000, max_rows: 1, max_bytes: 1_000 };
    const queries = [1, 2].map(() => starting.run({ sql: "select 1", at_ms: null, limits }, cancelled.signal));
    const outcomes = Promise.allSettled(queries);
    cancelled.abort();
    const codes = (await outcomes).map((outcome) => outcome.status === "rejected" && outcome.reason.code);
    assert.deepEqual(codes, ["QUERY_CANCELLED", "QUERY_CANCELLED"]);
  });

  test("counts an export as running until it is sent completely, cancelled or abandoned", async (context) => {
    const printed = context.mock.method(console, "error", () => {});
    const sql = "select repeat('x', 1000) || range from range(40000)";
    const exported = async (query_id: string) => {
      const response = await running.post("/api/sql/export", { sql, format: "csv", query_id });
      assert.equal(response.status, 200);
      return response;
    };
    // No client reads: data beyond the sockets' buffers waits in the file.
    const [cancelled, left, read, unread] = [
      await exported("a"),
      await exported("b"),
      await exported("c"),
      await exported("d"),
    ];
    assert.equal((await run({ sql: "select 1" })).code, "TOO_MANY_QUERIES");
    assert.equal((await running.get("/api/sql/a", { method: "DELETE" })).status, 204);
    await assert.rejects(cancelled.text());
    await left.body?.cancel();
    assert.equal((await read.text()).split("\n").length, 40_002);
    for (const query_id of ["a", "b", "c"]) while ((await run({ sql: "select 1", query_id })).code !== null);
    assert.equal((await run({ sql: "select 1", query_id: "d" })).code, "QUERY_ID_IN_USE");
    await unread.body?.cancel();
    assert.deepEqual(
      printed.mock.calls.map((call) => call.arguments),
      [],
    );
  });

  test("has reported no error and requested no address after these statements", () => {
    assert.deepEqual(running.errors, []);
    assert.equal(calls, 0);
  });
});

describe("the check of SQL statements", () => {
  test("rejects forbidden nodes of the engine's parse tree at any nesting depth", () => {
    const table = (schema_name: string, table_name: string, catalog_name = "") => ({
      type: "BASE_TABLE",
      schema_name,
      table_name,
      catalog_name,
    });
    const select = (from_table: object, extra: object = {}) => ({
      error: false,
      statements: [{ node: { type: "SELECT_NODE", from_table, ...extra } }],
    });
    assert.doesNotThrow(() => checkParsed(select(table("gold", "x"))));
    assert.doesNotThrow(() => checkParsed(select(table("", "T"), { cte_map: { map: [{ key: "t", value: {} }] } })));
    for (const rejected of [
      table("", "x"),
      table("main", "x"),
      table("gold", "x", "lake"),
      { type: "TABLE_FUNCTION", function: { function_name: "READ_TEXT" } },
      { type: "TABLE_FUNCTION" },
      { type: "SHOW_REF", table_name: '"databases"' },
    ]) {
      assert.throws(() => checkParsed(select(rejected)), { code: "SQL_NOT_ALLOWED" });
      let nested: object = rejected;
      for (let depth = 0; depth < 50_000; depth += 1) nested = { child: [nested] };
      assert.throws(() => checkParsed(select(nested)), { code: "SQL_NOT_ALLOWED" });
    }
  });

  test("recognises EXPLAIN after any comments", () => {
    assert.deepEqual(withoutExplain("/* a */ -- b\n EXPLAIN  ANALYZE select 1"), {
      prefix: "/* a */ -- b\n EXPLAIN  ANALYZE ",
      query: "select 1",
      explain: "EXPLAIN ANALYZE ",
    });
    assert.deepEqual(withoutExplain("select 'explain '"), { prefix: "", query: "select 'explain '", explain: "" });
    assert.deepEqual(withoutExplain("explainer"), { prefix: "", query: "explainer", explain: "" });
    assert.equal(withoutExplain("-- b\r\nexplain select 1").explain, "EXPLAIN ");
  });

  test("does not take EXPLAIN from within the engine's nested comments, and handles 20,000 comments", () => {
    for (const sql of ["/* /* */ explain select 1 -- */ copy x", "--\rcopy x /*\n explain select 1 -- */"])
      assert.equal(withoutExplain(sql).query, sql);
    const comments = "/**/".repeat(20_000);
    assert.equal(withoutExplain(`${comments}select 1`).explain, "");
    assert.equal(withoutExplain(`${comments}explain select 1`).query, "select 1");
  });
});
