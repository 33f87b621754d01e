import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { OutcomeOfOrders } from "../producers/orders/truth.ts";
import { QuerySession } from "../src/duckdb/session.ts";
import { findLake } from "../src/lake/lake.ts";
import { openLake } from "../src/lake/open.ts";
import { atLeast, atMost, rate, ratio, round, type Figure } from "./figure.ts";
import { writeOrderFiles } from "./order-files.ts";
import { ordersInCluster, type ClusterRun, type Rows } from "./orders-in-cluster.ts";
import { runCoinlake, runScript, succeeded, type Run } from "./process.ts";

export interface OrdersFigures {
  files: number;
  size_mb: number;
  orders: number;
  elements: number;
  /** Minutes with sales; each equals the independent computation to the cent. */
  minutes: number;
  pipeline: Pick<Run, "seconds" | "cpu_seconds" | "memory">;
  duckdb: Pick<Run, "seconds" | "cpu_seconds" | "memory">;
  /** Null where Spark was left out. */
  cluster: ClusterRun | null;
}

const DUCKDB = fileURLToPath(new URL("duckdb-json.ts", import.meta.url));

/**
 * Takes files of orders to tested gold, as a process, and compares the lake with the independent computation. The peer
 * brings the same elements from files of lines to Parquet, before and after it: the faster one counts, because the
 * first may read from a cold disk. With `with_spark`, a cluster takes the same files to gold. Throws an AssertionError
 * if a lake differs.
 */
export async function benchOrders({
  orders = 100_000,
  files = 200,
  seed = 1,
  with_spark = true,
} = {}): Promise<OrdersFigures> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const [inbox, lines_folder] = [join(folder, "inbox"), join(folder, "lines")];
  const data = join(folder, "data");
  try {
    const { truth, ...written } = writeOrderFiles({ folder: inbox, lines_folder, seed, orders, files });
    const peer = () => succeeded(runScript(DUCKDB, [lines_folder, join(folder, "orders.parquet")]));
    const first = await peer();
    const source = ["--pipeline", "ecommerce", "--source", `files:${inbox}`, "--until-drained"];
    const pipeline = await succeeded(runCoinlake(["start", ...source, "--data", data, "--catalog-port", "0"]));
    const second = await peer();
    const check = (rows: Rows) => compareWithTruth(rows, truth);
    return {
      files: written.files,
      size_mb: written.size_bytes / 1e6,
      orders: truth.orders.size,
      elements: truth.elements,
      minutes: await inLake(data, check),
      pipeline,
      duckdb: first.seconds < second.seconds ? first : second,
      cluster: with_spark ? await ordersInCluster(inbox, check) : null,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function figuresOfOrders({ pipeline, duckdb, cluster, ...measured }: OrdersFigures): Figure[] {
  const { orders, files, size_mb, elements, minutes } = measured;
  return [
    atMost(
      `${round(orders)} orders in ${round(files)} files (${round(size_mb)} MB) → tested gold (s)`,
      pipeline.seconds,
      null,
      `DuckDB read_json → Parquet ${round(duckdb.seconds)}${beside(cluster?.seconds)}`,
    ),
    atMost("  × DuckDB", pipeline.seconds / duckdb.seconds, 3),
    rate(
      "  CPU, of all processes (s)",
      pipeline.cpu_seconds,
      `DuckDB ${round(duckdb.cpu_seconds)}: ${ratio(pipeline.cpu_seconds, duckdb.cpu_seconds)} ×` +
        beside(cluster?.cpu_seconds),
    ),
    rate("  events/s", elements / pipeline.seconds, `DuckDB ${round(elements / duckdb.seconds)}`),
    atMost(
      "  RSS of everything (MB)",
      pipeline.memory.tree_mb,
      1_000,
      `DuckDB ${round(duckdb.memory.process_mb)}${beside(cluster?.memory_mb)}`,
    ),
    atMost("  Node RSS (MB)", pipeline.memory.process_mb, 500),
    atLeast("  minutes whose sales equal the independent computation", minutes, minutes),
  ];
}

function beside(figure: number | undefined): string {
  return figure === undefined ? "" : `; cluster ${round(figure)}`;
}

async function inLake<T>(data_folder: string, check: (rows: Rows) => Promise<T>): Promise<T> {
  const lake = await openLake(findLake(data_folder, null));
  const session = await QuerySession.open(lake);
  try {
    return await check(async (sql) => (await session.query(sql)).rows);
  } finally {
    session.close();
    await lake.close();
  }
}

/** Returns the number of minutes with sales. */
async function compareWithTruth(rows: Rows, truth: OutcomeOfOrders): Promise<number> {
  const sales = await rows(`
    select epoch_ms(minute_at) as minute_ms, (sum(sales) * 100)::bigint as cents from gold.sales_per_minute
    group by 1 having sum(sales) <> 0 order by 1`);
  const expected = [...truth.salesPerMinute()]
    .filter(([, cents]) => cents !== 0n)
    .sort(([a], [b]) => a - b)
    .map(([minute_ms, cents]) => [String(minute_ms), String(cents)]);
  assert.deepEqual(sales, expected, "sales per minute");
  const counts = await rows(`
    select 'accepted' as name, count(*) as count from silver.order_events
    union all select 'duplicates', count(*) from silver.order_duplicates
    union all select 'orders', count(*) from silver.orders_silver
    union all select reason, count(*) from silver.orders_rejected group by reason`);
  assert.deepEqual(
    new Map(counts.map(([name, count]) => [name, Number(count)])),
    new Map<string | null, number>([
      ["accepted", truth.accepted],
      ["duplicates", truth.duplicates],
      ["orders", truth.orders.size],
      ...truth.rejected,
    ]),
  );
  return sales.length;
}
