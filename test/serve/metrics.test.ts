import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { emptyReport } from "../../src/maintain/parts.ts";
import type { Tick } from "../../src/pipeline/definition.ts";
import { EventLoopDelay } from "../../src/serve/event-loop-delay.ts";
import { family, Metrics, type Sample } from "../../src/serve/metrics.ts";
import { PipelineFigures } from "../../src/serve/pipeline-figures.ts";
import { residentBytes } from "../../src/serve/resident-memory.ts";
import { Visibility } from "../../src/serve/visibility.ts";
import { parsePrometheus } from "./prometheus.ts";
import { eventually } from "../support/eventually.ts";

test("counters and histograms are written in Prometheus' format, for any label values", async () => {
  const metrics = new Metrics();
  const odd = 'a "b" \\ c\nd';
  metrics.count("requests_total", "Requests.\nAll of them.", { route: odd });
  metrics.count("requests_total", "Requests.\nAll of them.", { route: odd });
  metrics.count("requests_total", "Requests.\nAll of them.", { route: "/" });
  for (const seconds of [0.0001, 0.001, 0.02, 3, 1_000])
    metrics.observe("took_seconds", "How long.", seconds, { route: odd });
  metrics.observe("plain_seconds", "How long.", 0.3);
  const families = parsePrometheus(
    await metrics.text([
      family("up", "Whether.", "gauge", [
        { labels: { a: "b" }, value: Infinity },
        { labels: { a: odd }, value: Number.NaN },
      ]),
    ]),
  );
  assert.deepEqual(
    families.get("up")?.samples.map(({ labels, value }) => [labels["a"], value]),
    [
      ["b", Infinity],
      [odd, Number.NaN],
    ],
  );
  assert.deepEqual(
    families.get("requests_total")?.samples.map(({ labels, value }) => [labels["route"], value]),
    [
      [odd, 2],
      ["/", 1],
    ],
  );
  const took = families.get("took_seconds")?.samples ?? [];
  assert.equal(took.find(({ name }) => name === "took_seconds_count")?.value, 5);
  assert.equal(took.find(({ labels }) => labels["le"] === "0.001")?.value, 2);
  assert.equal(took.find(({ labels }) => labels["le"] === "30")?.value, 4);
});

test("samples with equal labels are added, and a family without a sample is left out", async () => {
  const metrics = new Metrics();
  const bytes = (value: number) => ({ labels: { instance: "answers" }, value });
  const read = async (samples: readonly Sample[]) =>
    parsePrometheus(
      await metrics.text([
        family("rows", "Rows.", "gauge", [{ value: 1 }]),
        family("memory_bytes", "Memory.", "gauge", samples),
      ]),
    ).get("memory_bytes")?.samples;
  assert.deepEqual(
    (await read([bytes(2), bytes(3)]))?.map(({ value }) => value),
    [5],
  );
  assert.equal(await read([]), undefined);
});

test("a counter initialised with zero is exported before its first event", async () => {
  const metrics = new Metrics();
  metrics.count("conflicts_total", "Conflicts.", {}, 0);
  assert.deepEqual(
    parsePrometheus(await metrics.text([]))
      .get("conflicts_total")
      ?.samples.map(({ value }) => value),
    [0],
  );
});

test("the event loop delay is unknown before the first measurement, and includes a blocked turn after it", async () => {
  const delay = new EventLoopDelay();
  try {
    assert.equal(delay.quantile_s(0.5), null);
    await eventually(() => delay.quantile_s(0.5) !== null, { what: "a first measured delay" });
    const blocked_until_ms = performance.now() + 400;
    while (performance.now() < blocked_until_ms);
    await eventually(() => (delay.quantile_s(1) ?? 0) >= 0.3, { what: "the delay of the long turn" });
    assert.ok((delay.quantile_s(1) ?? 0) < 10);
    // Reading a quantile does not reset it.
    assert.equal(delay.quantile_s(1), delay.quantile_s(1));
  } finally {
    delay.stop();
  }
});

test("records received before the live tail caught up do not count towards the visibility delay", () => {
  const visibility = new Visibility();
  const batch = (absorbed_at_us: number, ...received_at_us: number[]) => ({
    ticks: received_at_us.map((ingested_at_us) => ({ ingested_at_us }) as Tick),
    absorbed_at_us,
  });
  const hour_us = 3_600_000_000;
  assert.deepEqual(visibility.delays_s(batch(hour_us, 0, 1_000_000), { pending_records: 500 }), []);
  assert.deepEqual(visibility.delays_s(batch(hour_us + 1_000_000, 2_000_000, hour_us), { pending_records: 0 }), []);
  assert.deepEqual(
    visibility.delays_s(batch(hour_us + 3_000_000, 2_000_000, hour_us, hour_us + 2_750_000), { pending_records: 7 }),
    [0.25],
  );
});

test("the pipeline's commits, increments, conflicts and retries are counted", async () => {
  const figures = new PipelineFigures(new Metrics());
  figures.committed({ rows: 40, size_bytes: 10_000, files: 1, duration_ms: 120 });
  figures.ingestReported({ level: "info", code: "COMMIT_CONFLICT", message: "Commit 1 of at most 8 failed" });
  figures.incremented(2.5);
  figures.retried({ code: "DBT_WORKER_DIED" });
  const families = parsePrometheus(await figures.metrics.text([]));
  const value = (base: string, name = base) =>
    families.get(base)?.samples.find((sample) => sample.name === name)?.value;
  assert.equal(value("coinlake_bronze_commit_records_total"), 40);
  assert.equal(value("coinlake_bronze_commit_seconds", "coinlake_bronze_commit_seconds_sum"), 0.12);
  assert.equal(value("coinlake_increment_seconds", "coinlake_increment_seconds_count"), 1);
  assert.equal(value("coinlake_commit_conflicts_total"), 1);
  assert.equal(value("coinlake_pipeline_retries_total"), 1);
  assert.equal(value("coinlake_bronze_commit_bytes_total"), 10_000);
});

test("maintenance is counted by action, with bytes rewritten and written; all series exist at the start", async () => {
  const figures = new PipelineFigures(new Metrics());
  const read = async () => parsePrometheus(await figures.metrics.text([]));
  const byAction = async (name: string) =>
    Object.fromEntries((await read()).get(name)?.samples.map(({ labels, value }) => [labels["action"], value]) ?? []);
  const value = async (name: string) => (await read()).get(name)?.samples[0]?.value;
  assert.deepEqual(await byAction("coinlake_maintenance_runs_total"), { compact: 0, expire: 0, orphans: 0 });
  const before = { files: 8, delete_files: 2, size_bytes: 1_000, rows: 10, manifests: 2, snapshots: 9 };
  figures.maintained({
    ...emptyReport("compact", "gold.a", before),
    rewritten_bytes: 1_000,
    added_bytes: 700,
    conflicts: 2,
    seconds: 1.5,
  });
  figures.maintained({
    ...emptyReport("compact", "gold.b", before),
    rewritten_bytes: 500,
    added_bytes: 300,
    seconds: 0.5,
  });
  figures.maintained({
    ...emptyReport("expire", "gold.a", before),
    deleted_files: 30,
    expired_snapshots: 7,
    seconds: 0.25,
  });
  figures.maintenanceFailed();
  assert.deepEqual(await byAction("coinlake_maintenance_runs_total"), { compact: 2, expire: 1, orphans: 0 });
  assert.deepEqual(await byAction("coinlake_maintenance_seconds_total"), { compact: 2, expire: 0.25, orphans: 0 });
  assert.deepEqual(await byAction("coinlake_maintenance_deleted_files_total"), { compact: 0, expire: 30, orphans: 0 });
  const totals = await Promise.all(
    ["rewritten_bytes", "written_bytes", "expired_snapshots", "conflicts", "failures"].map((name) =>
      value(`coinlake_maintenance_${name}_total`),
    ),
  );
  assert.deepEqual(totals, [1_500, 1_000, 7, 2, 1]);
});

test(
  "the resident memory of a process is read while it runs, and is null afterwards",
  { skip: existsSync("/proc/self/status") ? false : "no /proc on this system" },
  async () => {
    const reported = (await residentBytes(process.pid)) ?? 0;
    assert.ok(reported > 0.5 * process.memoryUsage.rss() && reported < 2 * process.memoryUsage.rss());
    assert.equal(await residentBytes(2 ** 22 + 1), null);
  },
);
