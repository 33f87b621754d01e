import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { Candles, Coin, Coins, UnmappedProducts } from "../../pipelines/crypto/api/schemas.ts";
import { systemClock } from "../../src/base/clock.ts";
import { embeddedMaintainer } from "../../src/maintain/embedded.ts";
import { keepWithin } from "../../src/maintain/retention.ts";
import { MaintenanceStore } from "../../src/maintain/store.ts";
import { COMPACT_AFTER_COMMITS } from "../../src/maintain/schedule.ts";
import { Alerts, BackTest, RuleItem, Rules, Sinks } from "../../src/serve/schemas/alerts.ts";
import { Answer, Answers } from "../../src/serve/schemas/answers.ts";
import { Charts } from "../../src/serve/schemas/charts.ts";
import { PipelineInfo, Subjects } from "../../src/serve/schemas/definition.ts";
import { Messages, Topics } from "../../src/serve/schemas/log.ts";
import { Expectations } from "../../src/serve/schemas/expectations.ts";
import { Maintenance } from "../../src/serve/schemas/maintenance.ts";
import { Conflicts } from "../../src/serve/schemas/conflicts.ts";
import { Quality, RejectedElements } from "../../src/serve/schemas/quality.ts";
import { SqlResult, SqlSchema } from "../../src/serve/schemas/sql.ts";
import { Health, Status } from "../../src/serve/schemas/status.ts";
import { Files, Snapshots, TableDetail, Tables, type SnapshotDetail } from "../../src/serve/schemas/tables.ts";
import { Problem, type Page } from "../../src/serve/schemas/values.ts";
import { BRONZE, Lakes, MODELS, type TestLake } from "../dbt/lake.ts";
import { marketStream } from "../dbt/stream.ts";
import { eventually } from "../support/eventually.ts";
import { parsePrometheus } from "./prometheus.ts";
import { itemsOf, problemOf, SIMULATED_SOURCE, startRunning, type Running } from "./running.ts";

const TOPIC = crypto.topic.name;

describe("the API over a running lake", () => {
  let lakes: Lakes;
  let lake: TestLake;
  let running: Running;

  before(async () => {
    lakes = await Lakes.open();
    lake = await lakes.fresh();
    const stream = await marketStream(7);
    const committed = Math.floor(stream.length * 0.8);
    await lake.append(stream.slice(0, committed));
    await lake.ingest();
    await lake.catchUp();
    running = await startRunning(lake);
    // Records that no table has yet: only the live tail has them.
    await lake.append(stream.slice(committed));
    await running.caughtUp();
  });
  after(async () => {
    await running.close();
    await lakes.close();
  });

  const all = <T>(path: string, limit: number) => itemsOf<T>(running, path, limit);
  const problem = (path: string, init?: RequestInit) => problemOf(running, path, init);

  test("answers each route in the form of its schema", async () => {
    const routes: [path: string, schema: { parse(value: unknown): unknown }][] = [
      ["/healthz", Health],
      ["/readyz", Health],
      ["/api/status", Status],
      ["/api/pipeline", PipelineInfo],
      ["/api/subjects", Subjects],
      ["/api/charts", Charts],
      ["/api/answers", Answers],
      ...crypto.questions.map(({ number }): [string, typeof Answer] => [`/api/answers/${number}`, Answer]),
      ["/api/coins", Coins],
      ["/api/coins/bitcoin", Coin],
      ["/api/coins/bitcoin/candles", Candles],
      ["/api/unmapped", UnmappedProducts],
      ["/api/rules", Rules],
      ["/api/sinks", Sinks],
      ["/api/alerts", Alerts],
      ["/api/tables", Tables],
      ["/api/tables/gold.dim_crypto", TableDetail],
      ["/api/tables/gold.dim_crypto/snapshots", Snapshots],
      ["/api/tables/gold.dim_crypto/files", Files],
      ["/api/lake/maintenance", Maintenance],
      ["/api/log/topics", Topics],
      [`/api/log/topics/${TOPIC}/messages`, Messages],
      ["/api/quality", Quality],
      ["/api/quality/rejected", RejectedElements],
      ["/api/quality/expectations", Expectations],
      ["/api/quality/conflicts", Conflicts],
      ["/api/sql/schema", SqlSchema],
    ];
    for (const [path, schema] of routes) {
      const response = await running.get(path);
      assert.equal(response.status, 200, path);
      assert.equal(response.headers.get("content-type"), "application/json", path);
      assert.doesNotThrow(async () => schema.parse(await response.json()), path);
    }
    assert.deepEqual(running.errors, []);
  });

  test("describes the pipeline and its questions, and lists the subjects of the lake", async () => {
    const info = await running.json<PipelineInfo>("/api/pipeline");
    assert.deepEqual(
      [info.name, info.start_page, info.subject, info.charts],
      ["crypto", "market", { noun: "coin", plural: "coins" }, []],
    );
    assert.deepEqual(
      info.questions.map(({ number, title }) => [number, title]),
      crypto.questions.map(({ number, title }) => [number, title]),
    );
    assert.ok(info.resources.includes("unmapped"));
    const subjects = await all<{ id: string; name: string; rank: number | null }>("/api/subjects", 2);
    const coins = await all<Coin>("/api/coins", 100);
    assert.deepEqual(
      subjects.map(({ id, name, rank }) => [id, name, rank]),
      coins.map(({ id, name, rank }) => [id, name, rank]),
    );
    const delisted = coins.filter(({ is_delisted }) => is_delisted);
    assert.ok(delisted.length > 0);
    for (const { id, rank } of delisted) assert.equal(rank, null, `${id} is delisted; another coin has its rank now`);
    const { rows } = (await (await running.post("/api/sql", { sql: info.example_sql })).json()) as { rows: unknown[] };
    assert.equal(rows.length, 100);
  });

  test("reports the disk usage of each table beyond its live files, and the resolution of time travel", async () => {
    for (const { table, ...summary } of await all<Tables["items"][number]>("/api/tables", 100)) {
      const { location, retention, ...detail } = await running.json<TableDetail>(`/api/tables/${table}`);
      let [files, bytes] = [0, 0];
      for await (const { size_bytes } of lake.open.storage.list(location))
        [files, bytes] = [files + 1, bytes + size_bytes];
      assert.deepEqual([summary.disk_files, summary.disk_bytes], [files, bytes], table);
      assert.equal(summary.amplification, bytes / summary.size_bytes, table);
      // A manifest list and a metadata file beside the data, its deletes and its manifests.
      assert.ok(files >= summary.files + summary.delete_files + summary.manifests + 2 && summary.manifests > 0, table);
      assert.deepEqual([detail.disk_bytes, detail.manifests], [summary.disk_bytes, summary.manifests]);
      const oldest = (await all<{ committed_at: string }>(`/api/tables/${table}/snapshots`, 100)).at(-1);
      assert.equal(detail.oldest_snapshot_at, oldest?.committed_at, table);
      assert.match(
        retention.description,
        /^every snapshot of the last \d+ minutes, then one per .* after that; the newest \d+ at any age$/,
      );
      assert.equal(retention.tiers[0]?.every_s, 0);
      assert.equal(retention.tiers.at(-1)?.within_s, null);
    }
  });

  test("sends a weak ETag with what is read, and 304 without a body to a client that has it", async () => {
    for (const path of ["/api/coins?limit=5", "/api/tables/gold.dim_crypto/snapshots", "/api/log/topics"]) {
      const first = await running.get(path);
      const etag = first.headers.get("etag") ?? "";
      assert.match(etag, /^W\/"[\w-]+"$/);
      await first.arrayBuffer();
      const second = await running.get(path, { headers: { "if-none-match": `"other", ${etag}` } });
      assert.equal(second.status, 304);
      assert.equal(await second.text(), "");
    }
  });

  test("reports invalid requests as RFC 9457 problems with a code and a next step", async () => {
    const cases: [path: string, status: number, code: string][] = [
      ["/api/nothing", 404, "NOT_FOUND"],
      ["/api/coins/nobody", 404, "SUBJECT_NOT_FOUND"],
      ["/api/coins/nobody/candles", 404, "SUBJECT_NOT_FOUND"],
      ["/api/answers/1?coin=bitcoyn", 404, "SUBJECT_NOT_FOUND"],
      ["/api/coins?limit=0", 400, "INVALID_REQUEST"],
      ["/api/coins?limit=1e9", 400, "INVALID_REQUEST"],
      ["/api/coins?sort=colour", 400, "INVALID_REQUEST"],
      ["/api/coins?cursor=%00%ff", 400, "INVALID_CURSOR"],
      ["/api/coins?cursor=bm9wZQ", 400, "INVALID_CURSOR"],
      ["/api/coins/bitcoin/candles?interval=7m", 400, "INVALID_REQUEST"],
      ["/api/coins/bitcoin/candles?from=yesterday", 400, "INVALID_REQUEST"],
      ["/api/coins/bitcoin/candles?at=2026-02-31T00:00:00Z", 400, "INVALID_REQUEST"],
      ["/api/answers/6", 404, "QUESTION_NOT_FOUND"],
      ["/api/answers/1?percent=3", 400, "INVALID_REQUEST"],
      ["/api/answers/4?percent=-3", 400, "INVALID_REQUEST"],
      ["/api/answers/4?percent=1;drop", 400, "INVALID_REQUEST"],
      ["/api/answers/1?as_of=now", 400, "INVALID_REQUEST"],
      ["/api/tables/gold.nothing", 404, "TABLE_NOT_FOUND"],
      ["/api/tables/nowhere.at_all/files", 404, "TABLE_NOT_FOUND"],
      ["/api/log/topics/nothing/messages", 404, "TOPIC_NOT_FOUND"],
      [`/api/log/topics/${TOPIC}/messages?offset=3`, 400, "INVALID_REQUEST"],
      ["/api/rules/nothing", 404, "RULE_NOT_FOUND"],
      ["/api/alerts/nothing", 404, "ALERT_NOT_FOUND"],
      ["/api/status?unknown=1", 400, "INVALID_REQUEST"],
    ];
    for (const [path, status, code] of cases) {
      const found = await problem(path);
      assert.deepEqual({ path, status: found.status, code: found.code }, { path, status, code });
      assert.ok(found.detail.length > 0 && found.next_step.length > 0, path);
    }
    assert.equal((await problem("/api/status", { method: "DELETE" })).code, "METHOD_NOT_ALLOWED");
    assert.deepEqual(running.errors, []);
  });

  test("answers questions from the live tail exactly as the tables do after they caught up", async () => {
    const promised: Record<number, unknown> = {};
    const withoutSnapshots = ({ parts }: Answer) => parts.map(({ rows }) => rows);
    for (const number of [1, 2, 4, 5])
      promised[number] = withoutSnapshots(await running.json(`/api/answers/${number}?as_of=2026-02-28T03:30:00Z`));
    await lake.ingest();
    await lake.catchUp();
    const { ask } = await import("../../src/query/ask.ts");
    for (const number of [1, 2, 4, 5]) {
      const question = crypto.questions.find((candidate) => candidate.number === number)!;
      const answer = await ask(lake.session, crypto, question, { as_of: "2026-02-28T03:30:00.000Z", values: {} });
      const held = answer.parts.map(({ result }) =>
        result.rows.map((row) => Object.fromEntries(result.columns.map(({ name }, index) => [name, row[index]]))),
      );
      assert.deepEqual(promised[number], held, `question ${number}`);
    }
  });

  test("lists coins in any order, page by page, without a duplicate or a gap", async () => {
    for (const sort of ["rank", "price", "change_1h", "change_24h", "volume_24h", "market_cap"]) {
      for (const order of ["asc", "desc"]) {
        const whole = await running.json<Coins>(`/api/coins?sort=${sort}&order=${order}&limit=1000`);
        const paged = await all<Coin>(`/api/coins?sort=${sort}&order=${order}`, 3);
        assert.deepEqual(
          paged.map(({ id }) => id),
          whole.items.map(({ id }) => id),
          `${sort} ${order}`,
        );
        assert.equal(whole.total, whole.items.length);
      }
    }
    const prices = (await running.json<Coins>("/api/coins?sort=price&limit=1000")).items.map(({ price }) => price);
    const known = prices.filter((price) => price !== null).map(Number);
    assert.deepEqual(
      known,
      known.toSorted((a, b) => b - a),
    );
    assert.deepEqual(
      prices.slice(known.length).filter((price) => price !== null),
      [],
      "what has no price comes last",
    );
    const found = await running.json<Coins>("/api/coins?search=ETHER");
    assert.ok(
      found.items.length > 0 &&
        found.items.every(({ id, name, symbol }) =>
          [id, name, symbol].some((text) => text.toLowerCase().includes("ether")),
        ),
    );
  });

  test("returns the same price and 1-hour change of a coin as the answer to the first question", async () => {
    const [answer] = (await running.json<Answers>("/api/answers")).answers;
    const row = answer!.parts[0]!.rows[0]!;
    const coin = await running.json<Coin>(`/api/coins/${row["crypto_id"]}`);
    assert.equal(Number(coin.price), Number(row["price_usd"]));
    assert.equal(coin.change_1h_percent, Number(row["change_percent"]));
  });

  test("accepts a coin's id, symbol or name everywhere, and suggests the nearest coin for an unknown one", async () => {
    const bitcoin = await running.json<Coin>("/api/coins/bitcoin");
    const candles = await running.json<Candles>("/api/coins/bitcoin/candles");
    const minutes = await running.json<Candles>("/api/coins/bitcoin/candles?interval=1m");
    const { price, price_at } = minutes.last_price ?? {};
    assert.deepEqual([price, price_at], [minutes.items.at(-1)?.close, bitcoin.price_at]);
    assert.deepEqual(candles.last_price, minutes.last_price);
    for (const name of ["BTC", "btc", "Bitcoin", "BITCOIN"]) {
      assert.equal((await running.json<Coin>(`/api/coins/${name}`)).id, bitcoin.id);
      assert.deepEqual((await running.json<Candles>(`/api/coins/${name}/candles`)).items, candles.items);
      const answer = await running.json<Answer>(`/api/answers/1?coin=${name}`);
      assert.equal(answer.parts[0]?.rows[0]?.["crypto_id"], "bitcoin");
      const rule = {
        id: "named",
        name: "Named",
        subjects: [name, "bitcoin"],
        condition: { kind: "change", direction: "rise", percent: 2.5, window_minutes: 15 },
      };
      assert.deepEqual(((await (await running.post("/api/rules", rule)).json()) as { subjects: unknown }).subjects, [
        "bitcoin",
      ]);
      await running.get("/api/rules/named", { method: "DELETE" });
    }
    const rule = {
      name: "Unknown",
      subjects: ["bitcoyn"],
      condition: { kind: "change", direction: "rise", percent: 2.5, window_minutes: 15 },
    };
    for (const rejected of [
      await problem("/api/coins/bitcoyn"),
      await problem("/api/rules", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(rule),
      }),
    ]) {
      assert.equal(rejected.code, "SUBJECT_NOT_FOUND");
      assert.match(rejected.next_step ?? "", /bitcoin \(BTC, Bitcoin\)/);
    }
    assert.deepEqual(await running.json("/api/alerts?subject=BTC"), await running.json("/api/alerts?subject=bitcoin"));
  });

  test("builds candles of every interval from the same updates, and pages back to the first one", async () => {
    const counted = await lake.rows(
      "select crypto_id, count(*) from silver.crypto_price_updates group by all order by 2 desc, 1 limit 3",
    );
    for (const [id, updates] of counted) {
      const [sum] = await lake.rows(
        `select min(price)::varchar, max(price)::varchar from silver.crypto_price_updates where crypto_id = '${id}'`,
      );
      for (const interval of ["1m", "5m", "15m", "1h", "4h", "1d"]) {
        const pages: Candles[] = [];
        for (let cursor: string | null = ""; cursor !== null;) {
          const page: Candles = Candles.parse(
            await running.json(
              `/api/coins/${id}/candles?interval=${interval}&limit=40${cursor === "" ? "" : `&cursor=${cursor}`}`,
            ),
          );
          pages.unshift(page);
          cursor = page.next;
        }
        const items = pages.flatMap((page) => page.items);
        const times = items.map(({ time }) => time);
        assert.deepEqual(times, [...new Set(times)].sort(), `${id} ${interval}`);
        assert.equal(
          items.reduce((total, candle) => total + candle.price_updates, 0),
          Number(updates),
          `${id} ${interval}`,
        );
        assert.deepEqual(
          [Math.min(...items.map(({ low }) => Number(low))), Math.max(...items.map(({ high }) => Number(high)))],
          sum!.map(Number),
        );
      }
    }
  });

  test("returns candles as of a lake time, with the snapshot that they come from", async () => {
    const [first] = (
      await running.json<{ items: { committed_at: string }[] }>("/api/tables/gold.fact_crypto_hourly/snapshots")
    ).items.toReversed();
    const at = first!.committed_at;
    const then = Candles.parse(await running.json(`/api/coins/bitcoin/candles?interval=1h&at=${at}`));
    assert.equal(then.at, at);
    assert.deepEqual(
      then.snapshots.map(({ table, committed_at }) => ({ table, committed_at })),
      [{ table: "gold.fact_crypto_hourly", committed_at: at }],
    );
    const before = new Date(Date.parse(at) - 3_600_000).toISOString();
    assert.deepEqual((await running.json<Candles>(`/api/coins/bitcoin/candles?at=${before}`)).items, []);
    const updates = (candles: Candles) => candles.items.reduce((total, { price_updates }) => total + price_updates, 0);
    assert.ok(updates(await running.json("/api/coins/bitcoin/candles?interval=1h")) > updates(then));
  });

  test("lists the lake's tables with the row counts of a scan", async () => {
    const tables = await all<Tables["items"][number]>("/api/tables", 4);
    assert.deepEqual(
      tables
        .map(({ table }) => table)
        .filter((table) => [BRONZE, ...MODELS].includes(table as never))
        .toSorted(),
      [BRONZE, ...MODELS].toSorted(),
    );
    for (const { table, rows } of tables) {
      const [[counted] = []] = await lake.rows(`select count(*) from ${table}`);
      assert.equal(rows, Number(counted), table);
    }
    const detail = await running.json<TableDetail>("/api/tables/silver.crypto_prices_rejected");
    assert.equal(
      detail.by_partition.reduce((total, { rows }) => total + rows, 0),
      detail.rows,
    );
    assert.deepEqual(detail.partition_by, ["ingestion_date"]);
    const files = await all<{ rows: number; content: string }>("/api/tables/gold.fact_crypto_ticks/files", 1);
    assert.equal(
      files.filter(({ content }) => content === "data").length,
      (await running.json<TableDetail>("/api/tables/gold.fact_crypto_ticks")).files,
    );
  });

  test("lists snapshots with the row count of a query, the size of their files and their committer", async () => {
    await lake.change("create table lake.gold.scratch (id int)");
    for (const sql of [
      "insert into lake.gold.scratch select * from range(10)",
      "delete from lake.gold.scratch where id < 4",
      "insert into lake.gold.scratch values (7)",
    ])
      await lake.change(sql);
    const snapshots = await all<SnapshotDetail>("/api/tables/gold.scratch/snapshots", 2);
    assert.deepEqual(
      snapshots.map(({ operation, committer, total_rows }) => [operation, committer, total_rows]),
      [
        ["append", "duckdb", 7],
        ["delete", "duckdb", 6],
        ["append", "duckdb", 10],
      ],
    );
    for (const { table, rows, files, size_bytes } of await all<Tables["items"][number]>("/api/tables", 100)) {
      const [newest] = (await running.json<Page<SnapshotDetail>>(`/api/tables/${table}/snapshots?limit=1`)).items;
      assert.deepEqual(
        [newest?.total_rows, newest?.total_files, newest?.total_size_bytes],
        [rows, files, size_bytes],
        table,
      );
      assert.notEqual(newest?.committer, "not named", table);
    }
    await lake.change("drop table lake.gold.scratch");
  });

  test("lists maintenance runs with their figures, newest first, optionally of one table", async () => {
    const none = Maintenance.parse(await running.json("/api/lake/maintenance"));
    assert.deepEqual(none, { items: [], next: null, compacts_after_commits: COMPACT_AFTER_COMMITS });
    await lake.change("create table lake.gold.scratch (id int)");
    for (let value = 0; value < 3; value += 1) await lake.change(`insert into lake.gold.scratch values (${value})`);
    const store = new MaintenanceStore(lake.open.lake.folder);
    try {
      const maintainer = embeddedMaintainer({
        open: lake.open,
        store,
        clock: systemClock,
        signal: AbortSignal.timeout(60_000),
      });
      const [report] = await maintainer.maintain("gold.scratch", ["expire"], { expire: { policy: keepWithin(0) } });
      for (const table of ["gold.a", "gold.b", "gold.a"])
        store.record("2026-01-01T00:00:00.000Z", { ...report!, table });
      const runs = await all<Maintenance["items"][number]>("/api/lake/maintenance", 1);
      assert.deepEqual(
        runs.map(({ table }) => table),
        ["gold.a", "gold.b", "gold.a", "gold.scratch"],
      );
      const real = runs.at(-1)!;
      assert.deepEqual(
        [real.action, real.before.snapshots, real.after.snapshots, real.expired_snapshots],
        ["expire", 3, 1, 2],
      );
      assert.ok(real.deleted_files > 0 && real.before.files === 3 && real.after.rows === 3);
      assert.deepEqual(
        (await all<{ table: string }>("/api/lake/maintenance?table=gold.a", 1)).map(({ table }) => table),
        ["gold.a", "gold.a"],
      );
      assert.deepEqual((await running.json<Maintenance>("/api/lake/maintenance?table=gold.none")).items, []);
      assert.equal((await problem("/api/lake/maintenance?cursor=nonsense")).code, "INVALID_CURSOR");
    } finally {
      store.close();
      await lake.change("drop table lake.gold.scratch");
    }
  });

  test("lists the log's messages in both directions, each once, and finds those with a search text", async () => {
    const { items } = Topics.parse(await running.json("/api/log/topics"));
    const { begin, end } = items[0]!.partitions[0]!;
    const newest = await all<Messages["items"][number]>(`/api/log/topics/${TOPIC}/messages`, 97);
    assert.deepEqual(
      newest.map(({ offset }) => offset),
      Array.from({ length: end - begin }, (_, index) => end - 1 - index),
    );
    const oldest = await all<Messages["items"][number]>(
      `/api/log/topics/${TOPIC}/messages?partition=0&offset=${begin}`,
      100,
    );
    assert.deepEqual(
      oldest.map(({ offset }) => offset),
      newest.map(({ offset }) => offset).toReversed(),
    );
    const found = await all<Messages["items"][number]>(`/api/log/topics/${TOPIC}/messages?search=SOLEUR`, 50);
    assert.deepEqual(
      found.map(({ offset }) => offset),
      newest.filter(({ key, payload }) => /soleur/i.test(key + payload)).map(({ offset }) => offset),
    );
    const [whole] = (
      await running.json<Messages>(`/api/log/topics/${TOPIC}/messages?partition=0&offset=${begin}&limit=1`)
    ).items;
    assert.equal(whole!.is_truncated, false);
    assert.equal(Buffer.byteLength(whole!.payload), whole!.size_bytes);
  });

  test("lists every rejected element once, with its reason, as often as the reconciliation counts it", async () => {
    const quality = Quality.parse(await running.json("/api/quality"));
    const elements = await all<{ reason: string; offset: number; element_index: number; partition: number }>(
      "/api/quality/rejected",
      13,
    );
    const places = elements.map(({ partition, offset, element_index }) => `${partition}/${offset}/${element_index}`);
    assert.equal(new Set(places).size, places.length);
    const counted = Object.fromEntries(quality.rejected.map(({ reason, count }) => [reason, count]));
    const listed = Object.fromEntries(
      [...Map.groupBy(elements, ({ reason }) => reason)].map(([reason, own]) => [reason, own.length]),
    );
    assert.deepEqual(listed, counted);
    const [reason = ""] = Object.keys(counted);
    assert.ok(
      (await all<{ reason: string }>(`/api/quality/rejected?reason=${reason}`, 50)).every(
        (element) => element.reason === reason,
      ),
    );
    assert.equal(quality.tests, null);
  });

  test("lists conflicting duplicates with both values", async () => {
    const { total, items } = Conflicts.parse(await running.json("/api/quality/conflicts"));
    // The simulated market repeats coins with a different price.
    assert.ok(total > 0 && items.length === Math.min(total, 50), `${total} conflicts, ${items.length} listed`);
    for (const { differences } of items)
      assert.deepEqual(
        differences.map(({ column }) => column),
        ["price"],
      );
    const [{ differences, partition, offset, element_index } = assert.fail()] = items;
    const where = `log_partition = ${partition} and log_offset = ${offset} and element_index = ${element_index}`;
    const [[price] = []] = (await running.live.query(`select price from live.crypto_price_duplicates where ${where}`))
      .rows;
    assert.equal(differences[0]?.repeated, price);
    assert.notEqual(differences[0]?.accepted, price);
  });

  test("stores rules unchanged, and rejects invalid ones", async () => {
    const rule = {
      id: "eth-jump",
      name: "Ethereum jumps",
      subjects: ["ethereum"],
      condition: { kind: "change", direction: "rise", percent: 2.5, window_minutes: 15 },
    };
    const made = await running.post("/api/rules", rule);
    assert.equal(made.status, 201);
    assert.equal(RuleItem.parse(await made.json()).revision, 1);
    assert.equal(
      (
        await problem("/api/rules", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(rule),
        })
      ).code,
      "RULE_EXISTS",
    );
    const edited = await running.get("/api/rules/eth-jump", {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...rule, name: "Ethereum leaps" }),
    });
    assert.equal(RuleItem.parse(await edited.json()).name, "Ethereum leaps");
    const bad = await problem("/api/rules", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...rule, id: "x", condition: { ...rule.condition, percent: -1 } }),
    });
    assert.deepEqual([bad.status, bad.code], [422, "INVALID_RULE"]);
    assert.match(bad.detail, /percent/);
    const tested = await running.post("/api/rules/eth-jump/test", {});
    assert.ok(BackTest.parse(await tested.json()).ticks > 0);
    assert.equal((await running.get("/api/rules/eth-jump", { method: "DELETE" })).status, 204);
    assert.equal((await problem("/api/rules/eth-jump")).code, "RULE_NOT_FOUND");
  });

  test("runs SQL over tables, live views and past snapshots, and reports errors with their position", async () => {
    const count = async (body: object) => SqlResult.parse(await (await running.post("/api/sql", body)).json());
    const live = await count({ sql: "select count(*) from live.crypto_price_updates" });
    const [[held] = []] = (await running.live.query("select count(*) from live.crypto_price_updates")).rows;
    assert.deepEqual(live.rows, [[held]]);
    assert.deepEqual(
      live.snapshots.map(({ table }) => table),
      ["silver.crypto_price_updates"],
    );
    const cut = await count({ sql: "select * from range(100000)", max_rows: 7 });
    assert.deepEqual([cut.row_count, cut.is_truncated, cut.truncated_by, cut.rows.length], [7, true, "rows", 7]);
    const shown = await count({ sql: "describe gold.dim_crypto" });
    assert.ok(shown.rows.some(([name]) => name === "crypto_id"));
    const explained = await count({ sql: "/* why */ explain select * from gold.dim_crypto" });
    assert.ok(explained.row_count > 0);
    const past = await count({ sql: "select count(*) from gold.dim_crypto", at: new Date().toISOString() });
    assert.equal(past.row_count, 1);
    const wrong = await running.post("/api/sql", { sql: "select 'é', nope from gold.dim_crypto" });
    const problem = Problem.parse(await wrong.json());
    assert.deepEqual([problem.code, problem.position], ["INVALID_SQL", 12]);
    const before = await running.post("/api/sql", { sql: "select 1 from gold.dim_crypto", at: "2020-01-01T00:00:00Z" });
    assert.equal(before.status, 400);
  });

  test("reports with a SQL result how many of a table's files and rows its scans read", async () => {
    const ask = async (body: object) => SqlResult.parse(await (await running.post("/api/sql", body)).json()).scans;
    const table = "gold.fact_crypto_ticks";
    const { files, rows } = TableDetail.parse(await running.json(`/api/tables/${table}`));
    const there = { files, rows };
    const whole = [{ table, files_read: there.files, rows_read: there.rows, ...there }];
    // The totals are unknown until the console's process has seen the latest commit.
    const isKnown = async () => (await ask({ sql: `select sum(price_usd) from ${table}` }))[0]?.files !== null;
    await eventually(isKnown, { what: "the console reads the latest snapshot" });
    assert.deepEqual(await ask({ sql: `select sum(price_usd) from ${table}` }), whole);
    assert.deepEqual(await ask({ sql: `select sum(price_usd) from ${table}`, at: new Date().toISOString() }), whole);
    const [bitcoin] = (await lake.rows(`select count(*) from ${table} where crypto_id = 'bitcoin'`)).flat();
    assert.deepEqual(await ask({ sql: `select max(price_at) from ${table} where crypto_id = 'bitcoin'` }), [
      { ...whole[0], rows_read: Number(bitcoin) },
    ]);
    assert.deepEqual(
      await ask({ sql: `select * from ${table} where crypto_id = 'zz'` }),
      [{ ...whole[0], files_read: 0, rows_read: 0 }],
      "bounds left nothing",
    );
    for (const at of [undefined, new Date().toISOString()]) {
      const [cut] = await ask({ sql: `select * from ${table}`, max_rows: 1, at });
      assert.ok(cut !== undefined && cut.files_read > 0 && cut.rows_read > 0, JSON.stringify(cut));
    }
    assert.deepEqual(
      (await ask({ sql: "select max(price_at) from live.crypto_price_updates" })).map((scan) => scan.table),
      ["silver.crypto_price_updates"],
    );
    for (const sql of ["select 1", `explain analyze select * from ${table}`])
      assert.deepEqual(await ask({ sql }), [], sql);
    const together = await Promise.all(
      ["bitcoin", "zz", "bitcoin", "zz"].map((coin) =>
        ask({ sql: `select price_at from ${table} where crypto_id = '${coin}'` }),
      ),
    );
    assert.deepEqual(
      together.map(([scan]) => scan?.rows_read),
      [Number(bitcoin), 0, Number(bitcoin), 0],
      "each its own",
    );
  });

  test("answers more concurrent queries than Node's thread pool has threads", { timeout: 60_000 }, async () => {
    const many = Array.from({ length: 2 * Number(process.env["UV_THREADPOOL_SIZE"]) }, (_, index) => index);
    const answers = await Promise.all(
      many.map((index) => running.live.query(`select ${index}, count(*) > 0 from gold.fact_crypto_ticks`)),
    );
    assert.deepEqual(
      answers.map(({ rows }) => rows),
      many.map((index) => [[String(index), "true"]]),
    );
  });

  test("exports results as CSV and Parquet", async () => {
    const sql = "select crypto_id, count(*) as updates from gold.fact_crypto_ticks group by all order by all; -- done";
    const csv = await running.post("/api/sql/export", { sql, format: "csv" });
    assert.equal(csv.headers.get("content-type"), "text/csv; charset=utf-8");
    const lines = (await csv.text()).trim().split("\n");
    assert.equal(lines[0], "crypto_id,updates");
    const held = await lake.rows("select crypto_id, count(*) from gold.fact_crypto_ticks group by all order by all");
    assert.deepEqual(
      lines.slice(1),
      held.map((row) => row.join(",")),
    );
    const parquet = Buffer.from(
      await (await running.post("/api/sql/export", { sql, format: "parquet" })).arrayBuffer(),
    );
    assert.equal(parquet.subarray(0, 4).toString(), "PAR1");
    assert.equal(parquet.subarray(-4).toString(), "PAR1");
  });

  test("shows a struct's fields in order, and escapes formulas in CSV values and headers but not numbers", async () => {
    const structs =
      "select {'__proto__': 1, 'a': 2} as s, {'a': {'__proto__': {'x': 'it''s'}}} as t, " +
      "[{'2': 1, '1': null}] as u, map {'k': {'__proto__': 5}} as v";
    const { rows } = SqlResult.parse(await (await running.post("/api/sql", { sql: structs })).json());
    assert.deepEqual(rows, [
      [
        "{'__proto__': 1, 'a': 2}",
        "{'a': {'__proto__': {'x': 'it''s'}}}",
        "[{'2': 1, '1': NULL}]",
        "{'k': {'__proto__': 5}}",
      ],
    ]);
    const sql = `select '=1+1' as a, '+cmd|x' as "=b", '-5.2' as c, -5.2 as d, '@x' as e, chr(9) || 'x' as f,
      {'k': '=1'} as g, null as h, '-' as i, '1-1' as j, 'x' as a,
      '=1'::blob as k, date '2026-01-01' as l, '＝1' as m, [1, -2] as n, '-1e5' as o, interval '-1 day' as p`;
    const csv = await (await running.post("/api/sql/export", { sql, format: "csv" })).text();
    assert.equal(
      csv,
      (
        "a,'=b,c,d,e,f,g,h,i,j,a_1,k,l,m,n,o,p\n" +
        `'=1+1,'+cmd|x,-5.2,-5.2,'@x,'\tx,{'k': '=1'},,'-,1-1,x,'=1,2026-01-01,'＝1,"[1, -2]",-1e5,'-1 day\n`
      ).replace("{'k': '=1'}", csv.includes('"{') ? "\"{'k': '=1'}\"" : "{'k': '=1'}"),
    );
  });

  test("truncates the wide results of four concurrent queries by their bytes", async () => {
    const sql = "select i, repeat('x', 300) as a, repeat('y', 300) as b from range(100000) t(i)";
    const ask = async () => SqlResult.parse(await (await running.post("/api/sql", { sql, max_rows: 100_000 })).json());
    for (const result of await Promise.all([ask(), ask(), ask(), ask()])) {
      assert.equal(result.truncated_by, "bytes");
      assert.ok(result.row_count > 1_000);
    }
  });

  test("sends a hello event with an id before the first event, so that clients can resume", async () => {
    const stop = new AbortController();
    const { body } = await running.get("/api/events", { signal: stop.signal });
    let said = "";
    for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
      said += Buffer.from(chunk).toString("utf8");
      if (said.includes("data: ")) break;
    }
    stop.abort();
    assert.match(said, /^retry: 2000\n\nid: \w+-\d+\nevent: hello\ndata: \{"server_time":"[^"]+Z"\}\n\n/);
  });

  test("exports the figures of the other routes to Prometheus", async () => {
    const response = await running.get("/metrics");
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    const families = parsePrometheus(await response.text());
    const [[rows] = []] = await lake.rows("select count(*) from gold.dim_crypto");
    assert.equal(
      families.get("coinlake_table_rows")?.samples.find(({ labels }) => labels["table"] === "gold.dim_crypto")?.value,
      Number(rows),
    );
    const detail = await running.json<TableDetail>("/api/tables/gold.dim_crypto");
    const figures = {
      files: "files",
      delete_files: "delete_files",
      bytes: "size_bytes",
      manifests: "manifests",
      snapshots: "snapshots",
    } as const;
    for (const figure of [...Object.keys(figures), "disk_files", "disk_bytes"]) {
      const by_table = families.get(`coinlake_table_${figure}`)?.samples ?? [];
      assert.equal(
        families.get(`coinlake_lake_${figure}`)?.samples[0]?.value,
        by_table.reduce((sum, { value: own }) => sum + own, 0),
        figure,
      );
      const own = by_table.find(({ labels }) => labels["table"] === "gold.dim_crypto")?.value;
      if (figure in figures) assert.equal(own, detail[figures[figure as keyof typeof figures]], figure);
      else assert.ok((own ?? 0) > 0, figure);
    }
    const [bound] = await lake.open.log.bounds(TOPIC);
    assert.equal(families.get("coinlake_log_records_total")?.samples[0]?.value, bound?.end);
    assert.ok((families.get("coinlake_http_requests_total")?.samples.length ?? 0) > 10);
    assert.ok(families.has("nodejs_eventloop_delay_seconds") && families.has("coinlake_console_query_seconds"));
    const value = (name: string, wanted: Readonly<Record<string, string>> = {}) =>
      families
        .get(name)
        ?.samples.find(({ labels }) => Object.entries(wanted).every(([key, text]) => labels[key] === text))?.value ??
      NaN;
    // The live tail's rows, and the one child process that the test names.
    const rows_bytes = value("coinlake_duckdb_tag_memory_bytes", { instance: "live", tag: "in_memory_table" });
    assert.ok(rows_bytes > 0 && rows_bytes <= value("coinlake_duckdb_memory_bytes", { instance: "live" }));
    if (process.platform === "linux")
      assert.ok(value("coinlake_process_resident_memory_bytes", { process: "dbt" }) > 50_000_000);
    assert.ok(value("coinlake_catalog_cached_versions") > 0 && value("coinlake_sse_kept_bytes") > 0);
    assert.ok(
      value("nodejs_array_buffers_bytes") > 0 &&
        value("nodejs_array_buffers_bytes") <= value("nodejs_external_memory_bytes"),
    );
  });

  test("is not ready, and says why, while a source is silent or has failed, or a loop reports a failure", async () => {
    const ready = async () => {
      const response = await running.get("/readyz");
      const { is_ok, problems } = Health.parse(await response.json());
      assert.equal(response.status, is_ok ? 200 : 503);
      return problems.map(({ code }) => code);
    };
    assert.deepEqual(await ready(), []);
    const minute_ago_us = Date.now() * 1000 - 61_000_000;
    running.sources = [{ ...SIMULATED_SOURCE, heard_at_us: minute_ago_us }];
    assert.deepEqual(await ready(), ["SOURCE_SILENT"]);
    running.sources = [{ ...SIMULATED_SOURCE, state: "ended", heard_at_us: minute_ago_us }];
    assert.deepEqual(await ready(), []);
    running.sources = [{ ...SIMULATED_SOURCE, state: "failed", message: "no route to host" }];
    running.failures = [{ code: "MODEL_FAILED", message: "dbt could not build x" }];
    assert.deepEqual(await ready(), ["SOURCE_FAILED", "MODEL_FAILED"]);
    running.sources = [SIMULATED_SOURCE];
    running.failures = [];
    assert.deepEqual(await ready(), []);
  });

  test("documents its routes in OpenAPI 3.1", async () => {
    const document = await running.json<{
      openapi: string;
      paths: Record<string, object>;
      components: { schemas: object };
    }>("/api/openapi.json");
    assert.equal(document.openapi, "3.1.0");
    const documented = new Set(
      Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
      ),
    );
    for (const route of [
      "GET /api/coins/{id}/candles",
      "POST /api/sql",
      "GET /api/events",
      "PUT /api/rules/{id}",
      "GET /metrics",
      "GET /readyz",
    ])
      assert.ok(documented.has(route), route);
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g);
    for (const [, name] of references)
      assert.ok(Object.hasOwn(document.components.schemas, name!), `${name} is referred to and not there`);
    for (const path of Object.keys(document.paths)) assert.doesNotMatch(path, /:/);
  });
});
