import { nameOfTable } from "../../iceberg/errors.ts";
import { instanceMemory } from "../../duckdb/instances.ts";
import type { DiskFigures } from "../disk-usage.ts";
import type { App } from "../endpoint.ts";
import { EventLoopDelay } from "../event-loop-delay.ts";
import { formatFamily, type Sample } from "../metrics.ts";
import type { ServerDependencies } from "../dependencies.ts";
import type { PipelineHandle } from "../pipeline-handle.ts";
import { residentBytes } from "../resident.ts";
import type { Stream } from "../schemas/status.ts";
import { Visibility } from "../visibility.ts";

type CurrentHealth = Awaited<ReturnType<ServerDependencies["health"]["now"]>>;

/** /metrics: everything the pages show as figures, for Prometheus. */
export function metricRoutes(app: App, dependencies: ServerDependencies): { stop(): void } {
  const delay = new EventLoopDelay();
  const stopObserving = observeVisibility(dependencies);
  app.get("/metrics", async (context) => {
    const families = [
      ...(await pipelineFamilies(dependencies)),
      ...serverFamilies(dependencies),
      ...processFamilies(delay),
      ...(await memoryFamilies(dependencies)),
    ];
    const text = [...families, dependencies.metrics.text()].join("");
    return context.body(text, 200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
      "cache-control": "no-store",
    });
  });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/metrics",
    tags: ["Status"],
    summary: "All figures in Prometheus' text format",
    responses: { 200: { description: "Metrics", content: { "text/plain": { schema: { type: "string" } } } } },
  });
  return {
    stop() {
      delay.stop();
      stopObserving();
    },
  };
}

/** A recording's records were received when it was made. */
function observeVisibility({ handle, metrics }: ServerDependencies): () => void {
  if (handle.open.lake.kind === "replay") return () => {};
  const visibility = new Visibility();
  return handle.live.onAbsorbed((batch) => {
    for (const delay_s of visibility.delays_s(batch, handle.live.state())) {
      metrics.observe(
        "coinlake_live_visible_seconds",
        "From a record's receipt until the live views show it, once the tail has caught up with the log.",
        delay_s,
      );
    }
  });
}

async function pipelineFamilies(dependencies: ServerDependencies): Promise<string[]> {
  const { handle, health } = dependencies;
  const now = await health.now();
  return [
    ...(await logFamilies(handle, now)),
    ...streamFamilies(now.stream),
    ...(await tableFamilies(dependencies)),
    ...liveFamilies(handle, now),
    ...sourceFamilies(now),
    ...alertFamilies(handle),
  ];
}

async function logFamilies({ version, open, pipeline }: PipelineHandle, now: CurrentHealth): Promise<string[]> {
  const bounds = await open.log.bounds(pipeline.topic.name);
  const byPartition = (value: (bound: (typeof bounds)[number]) => number): Sample[] =>
    bounds.map((bound) => ({
      labels: { topic: pipeline.topic.name, partition: String(bound.partition) },
      value: value(bound),
    }));
  const byLayer = (value: (layer: (typeof now.layers)[number]) => number): Sample[] =>
    now.layers.map((layer) => ({ labels: { layer: layer.layer }, value: value(layer) }));
  return [
    formatFamily("coinlake_info", "What runs.", "gauge", [
      { labels: { version, lake: open.lake.name, kind: open.lake.kind }, value: 1 },
    ]),
    formatFamily("coinlake_ready", "1 when all is well.", "gauge", [{ value: Number(now.is_ready) }]),
    formatFamily(
      "coinlake_log_records_total",
      "Records appended to the log since it began.",
      "counter",
      byPartition(({ end }) => end),
    ),
    formatFamily(
      "coinlake_log_kept_records",
      "Records that the log still keeps.",
      "gauge",
      byPartition(({ begin, end }) => end - begin),
    ),
    formatFamily(
      "coinlake_layer_behind_records",
      "Records of the log that the layer does not have yet.",
      "gauge",
      byLayer(({ records_behind }) => records_behind),
    ),
    formatFamily(
      "coinlake_layer_behind_seconds",
      "Age of the oldest of them.",
      "gauge",
      byLayer(({ seconds_behind }) => seconds_behind),
    ),
  ];
}

async function tableFamilies({ handle, tables, disk }: ServerDependencies): Promise<string[]> {
  const loaded = await tables.all();
  const figures = await Promise.all(loaded.map((table) => tables.figures(table, handle.clock.now_us() / 1000)));
  const byTable = (value: (figure: (typeof figures)[number]) => number): Sample[] =>
    figures.map((figure) => ({ labels: { table: figure.table }, value: value(figure) }));
  const on_disk = await disk.measured();
  const onDisk = (figure: keyof DiskFigures): Sample[] =>
    loaded.flatMap(({ identifier }) => {
      const table = nameOfTable(identifier);
      const value = on_disk.get(table)?.[figure];
      return value === undefined ? [] : [{ labels: { table }, value }];
    });
  const commits = loaded.map(({ identifier, metadata }) => ({
    labels: { table: nameOfTable(identifier) },
    value: Number(metadata["last-sequence-number"]),
  }));
  const gauges = (figure: string, help: string, samples: readonly Sample[]): string[] =>
    tableAndLakeGauges(figure, help, samples, handle.open.lake.name);
  return [
    ...gauges(
      "rows",
      "Rows that readers see.",
      byTable(({ rows }) => rows),
    ),
    ...gauges(
      "bytes",
      "Bytes of the data and delete files that the newest snapshot reads.",
      byTable(({ size_bytes }) => size_bytes),
    ),
    ...gauges(
      "files",
      "Data files of the newest snapshot.",
      byTable(({ files }) => files),
    ),
    ...gauges(
      "delete_files",
      "Delete files of the newest snapshot.",
      byTable(({ delete_files }) => delete_files),
    ),
    ...gauges(
      "manifests",
      "Manifests of the newest snapshot.",
      byTable(({ manifests }) => manifests),
    ),
    ...gauges(
      "snapshots",
      "Retained snapshots.",
      byTable(({ snapshots }) => snapshots),
    ),
    ...gauges("disk_files", "All files in the table folders, at most 30 s old.", onDisk("disk_files")),
    ...gauges(
      "disk_bytes",
      "Bytes of all files in the table folders; divided by the bytes, the amplification.",
      onDisk("disk_bytes"),
    ),
    formatFamily("coinlake_table_snapshots_total", "Snapshots made since the table began.", "counter", commits),
  ];
}

function liveFamilies({ live }: PipelineHandle, now: CurrentHealth): string[] {
  const state = live.state();
  return [
    formatFamily("coinlake_live_tail_records", "Records that some table has not absorbed yet.", "gauge", [
      { value: state.tail_records },
    ]),
    formatFamily("coinlake_live_tail_bytes", "Bytes of them.", "gauge", [{ value: state.tail_size_bytes }]),
    formatFamily("coinlake_live_pending_records", "Records not visible to SQL yet.", "gauge", [
      { value: state.pending_records },
    ]),
    formatFamily("coinlake_refused_today", "Elements refused since 00:00 UTC.", "gauge", [
      { value: now.refused_today },
    ]),
  ];
}

function sourceFamilies(now: CurrentHealth): string[] {
  const bySource = (value: (source: (typeof now.sources)[number]) => number): Sample[] =>
    now.sources.map((source) => ({ labels: { source: source.source }, value: value(source) }));
  return [
    formatFamily(
      "coinlake_source_silent",
      "1 when the source is silent.",
      "gauge",
      bySource(({ is_silent }) => Number(is_silent)),
    ),
    formatFamily(
      "coinlake_source_reconnects_total",
      "Connections made anew.",
      "counter",
      bySource(({ reconnects }) => reconnects),
    ),
    formatFamily(
      "coinlake_source_missed_messages",
      "Messages that the source numbered and that did not come.",
      "gauge",
      now.sources.flatMap(({ source, missed }) =>
        Object.entries(missed).map(([missed_state, value]) => ({ labels: { source, state: missed_state }, value })),
      ),
    ),
  ];
}

function alertFamilies({ alerts }: PipelineHandle): string[] {
  const alert_state = alerts.state();
  return [
    formatFamily("coinlake_alerts_active", "Alerts that have not recovered.", "gauge", [{ value: alert_state.active }]),
    formatFamily("coinlake_alerts_kept", "Alerts kept, ended ones included.", "gauge", [{ value: alert_state.alerts }]),
    formatFamily("coinlake_alert_rules", "Rules that are enabled.", "gauge", [{ value: alert_state.rules_enabled }]),
    formatFamily(
      "coinlake_alert_deliveries",
      "Deliveries to sinks, by what became of them.",
      "gauge",
      Object.entries(alert_state.deliveries).map(([delivery, value]) => ({ labels: { state: delivery }, value })),
    ),
  ];
}

/** The figure of each table, and their sum over the lake. */
function tableAndLakeGauges(figure: string, help: string, samples: readonly Sample[], lake: string): string[] {
  if (samples.length === 0) return [];
  return [
    formatFamily(`coinlake_table_${figure}`, help, "gauge", samples),
    formatFamily(`coinlake_lake_${figure}`, `${help} Sum over the tables.`, "gauge", [
      { labels: { lake }, value: samples.reduce((sum, { value }) => sum + value, 0) },
    ]),
  ];
}

function streamFamilies(stream: Stream | null): string[] {
  if (stream === null) return [];
  const { name, state, batch } = stream;
  const ofBatch = (value: number | null | undefined): Sample[] =>
    typeof value === "number" ? [{ labels: { stream: name }, value }] : [];
  return [
    formatFamily("coinlake_stream_running", "1 when the stream that carries the log to bronze runs.", "gauge", [
      { labels: { stream: name }, value: Number(state === "running") },
    ]),
    formatFamily(
      "coinlake_stream_batches_total",
      "Its batches, over all its runs.",
      "counter",
      ofBatch(batch && batch.number + 1),
    ),
    formatFamily("coinlake_stream_batch_records", "Records of its last batch.", "gauge", ofBatch(batch?.records)),
    formatFamily(
      "coinlake_stream_batch_seconds",
      "How long its last batch took.",
      "gauge",
      ofBatch(batch && batch.duration_ms / 1000),
    ),
    formatFamily(
      "coinlake_stream_waiting_records",
      "Records of the log that it had not read when its last batch began.",
      "gauge",
      ofBatch(batch?.records_waiting),
    ),
  ];
}

function serverFamilies({ hub, console: sql }: ServerDependencies): string[] {
  return [
    formatFamily("coinlake_sse_clients", "Clients of the event stream.", "gauge", [{ value: hub.clients }]),
    formatFamily("coinlake_sse_events_total", "Events written to the stream.", "counter", [{ value: hub.events }]),
    formatFamily("coinlake_sse_kept_bytes", "Memory of the events kept for clients that come back.", "gauge", [
      { value: hub.kept_bytes },
    ]),
    formatFamily("coinlake_console_queries", "Typed queries that run now.", "gauge", [{ value: sql.running }]),
    formatFamily("coinlake_console_starts_total", "Console processes started.", "counter", [{ value: sql.starts }]),
  ];
}

function processFamilies(delay: EventLoopDelay): string[] {
  const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const quantiles = [0.5, 0.99].flatMap((quantile): Sample[] => {
    const value = delay.quantile_s(quantile);
    return value === null ? [] : [{ labels: { quantile: String(quantile) }, value }];
  });
  return [
    formatFamily("process_resident_memory_bytes", "Memory of the process.", "gauge", [{ value: rss }]),
    formatFamily("process_cpu_seconds_total", "CPU time of the process.", "counter", [
      { value: (user + system) / 1e6 },
    ]),
    formatFamily("nodejs_heap_used_bytes", "JavaScript objects.", "gauge", [{ value: heapUsed }]),
    formatFamily("nodejs_heap_total_bytes", "Memory of the JavaScript heap, free parts included.", "gauge", [
      { value: heapTotal },
    ]),
    formatFamily(
      "nodejs_external_memory_bytes",
      "Memory of native objects that JavaScript holds, array buffers included.",
      "gauge",
      [{ value: external }],
    ),
    formatFamily("nodejs_array_buffers_bytes", "Memory of array buffers and of Node's Buffers.", "gauge", [
      { value: arrayBuffers },
    ]),
    formatFamily(
      "nodejs_eventloop_delay_seconds",
      "How late the event loop was over the last half to whole minute.",
      "gauge",
      quantiles,
    ),
  ];
}

/** The parts of the memory that are not JavaScript's, and the processes beside this one. */
async function memoryFamilies({ handle, console: sql }: ServerDependencies): Promise<string[]> {
  const duckdb = await instanceMemory();
  const processes = [
    ["dbt", handle.dbt_pid()],
    ["console", sql.pid],
  ] as const;
  const resident: Sample[] = [];
  for (const [name, pid] of processes) {
    const value = pid === null ? null : await residentBytes(pid);
    if (value !== null) resident.push({ labels: { process: name }, value });
  }
  return [
    formatFamily(
      "coinlake_duckdb_memory_bytes",
      "Memory that the DuckDB instances of this process account for.",
      "gauge",
      sumByLabels(
        duckdb.map(({ name, tags }) => ({
          labels: { instance: name },
          value: tags.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
        })),
      ),
    ),
    formatFamily(
      "coinlake_duckdb_tag_memory_bytes",
      "The same by what it holds.",
      "gauge",
      sumByLabels(
        duckdb.flatMap(({ name, tags }) =>
          tags.map(({ tag, size_bytes }) => ({
            labels: { instance: name, tag: tag.toLowerCase() },
            value: size_bytes,
          })),
        ),
      ),
    ),
    formatFamily(
      "coinlake_process_resident_memory_bytes",
      "Memory of the processes beside this one; absent where the system does not tell it.",
      "gauge",
      resident,
    ),
    formatFamily(
      "coinlake_catalog_cached_versions",
      "Versions of table metadata that the catalog keeps in memory.",
      "gauge",
      [{ value: handle.open.catalog.cached_versions }],
    ),
  ];
}

/** Instances may share a name; a series must not come twice. */
function sumByLabels(samples: readonly Required<Sample>[]): Sample[] {
  const sums = new Map<string, Required<Sample>>();
  for (const { labels, value } of samples) {
    const key = JSON.stringify(labels);
    sums.set(key, { labels, value: (sums.get(key)?.value ?? 0) + value });
  }
  return [...sums.values()];
}
