import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { projectFolder } from "../src/lake/tools.ts";
import { ExchangeServer } from "../test/producers/exchange-server.ts";
import { watchMemory } from "./memory.ts";
import { percentile } from "./percentile.ts";
import { EventClient, metricOf, startCoinlake } from "./running.ts";

export interface LiveFigures {
  messages_per_s: number;
  /**
   * Delay from receipt by the producer to the commit after which queries see the record, from the process's own
   * histogram: upper bounds of buckets, ms.
   */
  visible_p50_ms: number;
  visible_p99_ms: number;
  /** Age of the newest row when an SQL client has its answer, ms. */
  sql_age_p50_ms: number;
  sql_age_p99_ms: number;
  /** Delay from sending a trade to the arrival of its alert at a webhook, ms. */
  alert_p50_ms: number;
  alert_p99_ms: number;
  alerts: number;
  /** Delay from sending a trade to the arrival of its price event, over all clients, ms. */
  sse_p50_ms: number;
  sse_p99_ms: number;
  sse_clients: number;
  /** Commits of the table with the most. */
  commits_per_minute: number;
  /** Commits to bronze that conflicted with another writer; each was retried. */
  commit_conflicts: number;
  rss_max_mb: number;
  /** Ratio of resident memory in the last quarter of the run to that in the second quarter. */
  rss_growth: number;
}

interface Options {
  messages_per_s: number;
  symbols: number;
  seconds: number;
  sse_clients: number;
  /** False disables compaction and expiry, for comparison. */
  is_maintained: boolean;
}

const MAIN = join(projectFolder(), "src", "cli", "main.ts");
const TICK_MS = 10;
/** The price of this product crosses a line twice a second; its alerts go to a webhook. */
const ALARM = "ALARMUSDT";
const ALARM_EVERY_MS = 500;
const LINE = 100;
const SQL_SECONDS = 20;

/** Runs a complete Coinlake, as `start` does, fed by a local exchange; measures from outside with one clock. */
export async function benchLive({
  messages_per_s = 1_000,
  symbols = 200,
  seconds = 120,
  sse_clients = 50,
  is_maintained = true,
}: Partial<Options> = {}): Promise<LiveFigures> {
  const folder = mkdtempSync(join(tmpdir(), "coinlake-bench-"));
  const products = Array.from({ length: symbols - 1 }, (_, index) => `SYM${String(index).padStart(3, "0")}USDT`);
  const exchange = await ExchangeServer.start("binance");
  const hook = await startWebhook();
  const coinlake = startCoinlake(
    folder,
    ["--source", "binance", ...(is_maintained ? [] : ["--no-maintain"])],
    exchange.environment([...products, ALARM]),
  );
  try {
    const url = await coinlake.url;
    await addAlarm(folder, url, hook.url);
    const clients = Array.from({ length: sse_clients }, () => new EventClient(`${url}/api/events`));
    while (!products.every((product) => exchange.isSubscribed(product))) await wait(50);
    const stop = new AbortController();
    const feeding = feed(exchange, products, messages_per_s, stop.signal);
    // The first increment of a new lake creates every table; the measurement starts after it.
    await untilGold(url);
    for (const client of clients) client.latencies_ms.length = 0;
    hook.latencies_ms.length = 0;
    const server = await watchServer(url, coinlake.pid, seconds);
    // Measured separately: user SQL runs in another process with its own live tail.
    const ages_ms = await askRepeatedly(url, SQL_SECONDS);
    stop.abort();
    await feeding;
    for (const client of clients) client.close();
    if (exchange.trades.size === 0) throw new Error("the exchange sent nothing");
    const sse_ms = clients.flatMap(({ latencies_ms }) => latencies_ms);
    return {
      messages_per_s,
      ...server,
      sql_age_p50_ms: percentile(ages_ms, 0.5),
      sql_age_p99_ms: percentile(ages_ms, 0.99),
      alert_p50_ms: percentile(hook.latencies_ms, 0.5),
      alert_p99_ms: percentile(hook.latencies_ms, 0.99),
      alerts: hook.latencies_ms.length,
      sse_p50_ms: percentile(sse_ms, 0.5),
      sse_p99_ms: percentile(sse_ms, 0.99),
      sse_clients: clients.filter(({ latencies_ms }) => latencies_ms.length > 0).length,
    };
  } finally {
    await coinlake.stop();
    await exchange.stop();
    hook.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

type ServerFigures = Pick<
  LiveFigures,
  "visible_p50_ms" | "visible_p99_ms" | "commits_per_minute" | "commit_conflicts" | "rss_max_mb" | "rss_growth"
>;

/** Watches the process for this long: its own metrics, and its memory from outside. */
async function watchServer(url: string, pid: number, seconds: number): Promise<ServerFigures> {
  const before = await visibility(url);
  const memory = watchMemory(pid);
  const rss_mb: number[] = [];
  for (let second = 0; second < seconds; second += 1) {
    rss_mb.push((await processRss(url)) / 1e6);
    await wait(1000);
  }
  const after = await visibility(url);
  const quarter = Math.floor(rss_mb.length / 4);
  return {
    visible_p50_ms: bucketOf(before, after, 0.5),
    visible_p99_ms: bucketOf(before, after, 0.99),
    commits_per_minute: await commitsLastMinute(url),
    commit_conflicts: metricOf(await metrics(url), "coinlake_commit_conflicts_total"),
    rss_max_mb: memory().process_mb,
    rss_growth: mean(rss_mb.slice(-quarter)) / mean(rss_mb.slice(quarter, 2 * quarter)),
  };
}

/** Sends trades at a steady rate, round robin over the products, until `stop` is called. */
async function feed(
  exchange: ExchangeServer,
  products: readonly string[],
  messages_per_s: number,
  signal: AbortSignal,
): Promise<void> {
  const started_ms = performance.now();
  let sent = 0;
  let alarmed_ms = -Infinity;
  let is_above = false;
  while (!signal.aborted) {
    const elapsed_ms = performance.now() - started_ms;
    const due = Math.floor((elapsed_ms * messages_per_s) / 1000);
    for (; sent < due; sent += 1) exchange.deliver(exchange.make(products[sent % products.length] ?? ""));
    if (elapsed_ms - alarmed_ms >= ALARM_EVERY_MS / 2) {
      is_above = !is_above;
      alarmed_ms = elapsed_ms;
      exchange.deliver(exchange.make(ALARM, { price: is_above ? String(LINE + 1) : String(LINE - 1) }));
    }
    await wait(TICK_MS);
  }
}

/** Receives alerts and records the delay of each after its trade. */
async function startWebhook(): Promise<{ url: string; latencies_ms: number[]; close(): void }> {
  const latencies_ms: number[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString("utf8")));
    request.on("end", () => {
      const arrived_ms = Date.now();
      response.end();
      const { type, data } = JSON.parse(body) as { type: string; data: { opened_at: string } };
      if (type !== "alert.recovered") latencies_ms.push(arrived_ms - Date.parse(data.opened_at));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    latencies_ms,
    close: () => server.close(),
  };
}

async function addAlarm(folder: string, url: string, hook_url: string): Promise<void> {
  const sink = JSON.stringify({ id: "bench", kind: "webhook", url: hook_url });
  const added = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", MAIN, "rules", "sinks", "add", sink, "--data", folder],
    { stdio: "ignore" },
  );
  const code = await new Promise((resolve) => added.once("exit", resolve));
  if (code !== 0) throw new Error(`adding the sink ended with ${code}`);
  const rule = {
    id: "alarm",
    name: "the line",
    subjects: [ALARM.toLowerCase()],
    condition: { kind: "crosses", direction: "above", level: String(LINE) },
    is_recovery_notified: false,
    sinks: ["bench"],
  };
  const response = await fetch(`${url}/api/rules`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(rule),
  });
  if (!response.ok) throw new Error(`the rule was rejected: ${await response.text()}`);
}

async function untilGold(url: string): Promise<void> {
  for (;;) {
    const status = (await (await fetch(`${url}/api/status`)).json()) as {
      layers: { layer: string; committed_at: string | null }[];
    };
    if (status.layers.find(({ layer }) => layer === "gold")?.committed_at) break;
    await wait(250);
  }
}

async function metrics(url: string): Promise<string> {
  return (await fetch(`${url}/metrics`)).text();
}

/** Histogram of visibility: cumulative counts of records by upper bound in seconds. */
async function visibility(url: string): Promise<Map<number, number>> {
  const found = (await metrics(url)).matchAll(/^coinlake_live_visible_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm);
  return new Map(Array.from(found, ([, bound, count]) => [bound === "+Inf" ? Infinity : Number(bound), Number(count)]));
}

function bucketOf(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>, share: number): number {
  const counts = [...after].map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)] as const);
  const total = counts.at(-1)?.[1] ?? 0;
  let below = { bound: 0, count: 0 };
  for (const [bound, count] of counts) {
    // Linear interpolation within the bucket.
    if (count >= total * share)
      return (
        1000 *
        (below.bound + ((bound - below.bound) * (total * share - below.count)) / Math.max(1, count - below.count))
      );
    below = { bound, count };
  }
  return Infinity;
}

/**
 * Commits of the last minute to the table with the most. Only snapshots that were current count, so a commit of two
 * snapshots counts once.
 */
async function commitsLastMinute(url: string): Promise<number> {
  const status = (await (await fetch(`${url}/api/status`)).json()) as { layers: { commits_last_minute: number }[] };
  return Math.max(...status.layers.map(({ commits_last_minute }) => commits_last_minute));
}

async function processRss(url: string): Promise<number> {
  return Number(/^process_resident_memory_bytes (\d+)/m.exec(await metrics(url))?.[1] ?? NaN);
}

/** The ages of the newest row, in milliseconds, when an SQL client receives its results. */
async function askRepeatedly(url: string, seconds: number): Promise<number[]> {
  const ages_ms: number[] = [];
  const until_ms = performance.now() + seconds * 1000;
  const body = JSON.stringify({ sql: "select epoch_ms(max(price_at)) from live.crypto_price_updates" });
  while (performance.now() < until_ms) {
    const response = await fetch(`${url}/api/sql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    const { rows } = (await response.json()) as { rows?: string[][] };
    const newest_ms = Number(rows?.[0]?.[0] ?? NaN);
    if (!Number.isNaN(newest_ms)) ages_ms.push(Date.now() - newest_ms);
    await wait(200);
  }
  return ages_ms;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

if (import.meta.main) console.log(JSON.stringify(await benchLive(), null, 2));
