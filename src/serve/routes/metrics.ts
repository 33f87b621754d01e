import { nameOfTable } from "../../iceberg/errors.ts";
import { instanceMemory } from "../../duckdb/instances.ts";
import type { DiskFigures } from "../disk-usage.ts";
import type { App } from "../endpoint.ts";
import { EventLoopDelay } from "../event-loop-delay.ts";
import { CONTENT_TYPE, family, withLabels, type Family, type Sample } from "../metrics.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { residentBytes } from "../resident-memory.ts";
import type { Freshness, LayerStatus, Source, Stream } from "../schemas/status.ts";
import { Visibility } from "../visibility.ts";

/** Serves /metrics: the figures of all pipelines and those of the process, for Prometheus. */
export function metricRoutes(app: App, dependencies: ServerDependencies): { stop(): void } {
  const delay = new EventLoopDelay();
  const stopObserving = observeVisibility(dependencies);
  app.get("/metrics", async (context) => {
    const families = [
      ...(await Promise.all(dependencies.mounts.all.map(({ service }) => service?.families() ?? []))).flat(),
      ...processFamilies(delay),
      ...(await duckdbFamilies()),
    ];
    const text = await dependencies.metrics.text(families);
    return context.body(text, 200, { "content-type": CONTENT_TYPE, "cache-control": "no-store" });
  });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/metrics",
    tags: ["Status"],
    summary: "Metrics in Prometheus' text format",
    responses: { 200: { description: "Metrics", content: { "text/plain": { schema: { type: "string" } } } } },
  });
  return {
    stop() {
      delay.stop();
      stopObserving();
    },
  };
}

/** The figures of one pipeline, with the labels of its metrics. */
export async function familiesOf(dependencies: ServerDependencies): Promise<Family[]> {
  const families = [
    ...(await pipelineFamilies(dependencies)),
    ...serverFamilies(dependencies),
    ...(await processesFamilies(dependencies)),
  ];
  return withLabels(families, dependencies.metrics.labels);
}

/**
 * Measures the delay until records are visible. Not in a replay, whose records were received when they were recorded.
 */
function observeVisibility({ handle, metrics }: ServerDependencies): () => void {
  if (handle.open.lake.kind === "replay") return () => {};
  const visibility = new Visibility();
  return handle.live.onAbsorbed((batch) => {
    for (const delay_s of visibility.delays_s(batch, handle.live.state())) {
      metrics.observe(
        "coinlake_live_visible_seconds",
        "Delay from a record's receipt until the live views show it, after the tail has caught up with the log.",
        delay_s,
      );
    }
  });
}

async function pipelineFamilies(dependencies: ServerDependencies): Promise<Family[]> {
  const { handle, health } = dependencies;
  const now = await health.now();
  return [
    family("coinlake_info", "Version of Coinlake, name and kind of the lake.", "gauge", [
      {
        labels: { version: handle.version, lake: handle.open.lake.name, kind: handle.open.lake.kind },
        value: 1,
      },
    ]),
    family("coinlake_ready", "1 if /readyz reports ready.", "gauge", [{ value: Number(now.is_ready) }]),
    ...(await logFamilies(dependencies)),
    ...layerFamilies(now),
    ...streamFamilies(now.stream),
    ...(await tableFamilies(dependencies)),
    ...liveFamilies(dependencies),
    ...sourceFamilies(now.sources),
    ...alertFamilies(dependencies),
  ];
}

async function logFamilies({ handle: { open, pipeline } }: ServerDependencies): Promise<Family[]> {
  const bounds = await open.log.bounds(pipeline.topic.name);
  const byPartition = (value: (bound: (typeof bounds)[number]) => number): Sample[] =>
    bounds.map((bound) => ({
      labels: { topic: pipeline.topic.name, partition: String(bound.partition) },
      value: value(bound),
    }));
  return [
    family(
      "coinlake_log_records_total",
      "Records appended to the log, over all runs.",
      "counter",
      byPartition(({ end }) => end),
    ),
    family(
      "coinlake_log_kept_records",
      "Records retained in the log.",
      "gauge",
      byPartition(({ begin, end }) => end - begin),
    ),
  ];
}

function layerFamilies({ layers, rejected_today }: Freshness): Family[] {
  const byLayer = (value: (layer: LayerStatus) => number): Sample[] =>
    layers.map((layer) => ({ labels: { layer: layer.layer }, value: value(layer) }));
  return [
    family(
      "coinlake_layer_behind_records",
      "Records of the log that the layer lacks.",
      "gauge",
      byLayer(({ records_behind }) => records_behind),
    ),
    family(
      "coinlake_layer_behind_seconds",
      "Time since the oldest record that the layer lacks was ingested.",
      "gauge",
      byLayer(({ seconds_behind }) => seconds_behind),
    ),
    family("coinlake_rejected_today", "Elements rejected since 00:00 UTC.", "gauge", [{ value: rejected_today }]),
  ];
}

/** Gauges of the tables' current snapshots, by their name and the figure that they show. */
const TABLE_GAUGES = [
  ["rows", "rows", "Rows that readers see."],
  ["bytes", "size_bytes", "Bytes of the current snapshot's data and delete files."],
  ["files", "files", "Data files of the current snapshot."],
  ["delete_files", "delete_files", "Delete files of the current snapshot."],
  ["manifests", "manifests", "Manifests of the current snapshot."],
  ["snapshots", "snapshots", "Retained snapshots."],
] as const;

async function tableFamilies({ handle, tables, disk }: ServerDependencies): Promise<Family[]> {
  const lake = handle.open.lake.name;
  const loaded = await tables.all();
  const figures = await Promise.all(loaded.map((table) => tables.figures(table, handle.clock.now_us() / 1000)));
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
  return [
    ...TABLE_GAUGES.flatMap(([name, field, help]) => {
      const samples = figures.map((figure) => ({ labels: { table: figure.table }, value: figure[field] }));
      return tableAndLakeGauges(name, help, samples, lake);
    }),
    ...tableAndLakeGauges(
      "disk_files",
      "All files in the table folders, measured at most every 30 s.",
      onDisk("disk_files"),
      lake,
    ),
    ...tableAndLakeGauges(
      "disk_bytes",
      "Bytes of all files in the table folders, measured at most every 30 s.",
      onDisk("disk_bytes"),
      lake,
    ),
    family("coinlake_table_snapshots_total", "Snapshots committed to the table.", "counter", commits),
  ];
}

function liveFamilies({ handle: { live } }: ServerDependencies): Family[] {
  const { tail_records, tail_size_bytes, pending_records } = live.state();
  return [
    family("coinlake_live_tail_records", "Records in the live tail: not in every table yet.", "gauge", [
      { value: tail_records },
    ]),
    family("coinlake_live_tail_bytes", "Bytes of the records in the live tail.", "gauge", [{ value: tail_size_bytes }]),
    family("coinlake_live_pending_records", "Records not visible to queries yet.", "gauge", [
      { value: pending_records },
    ]),
  ];
}

function sourceFamilies(sources: readonly Source[]): Family[] {
  const bySource = (value: (source: Source) => number): Sample[] =>
    sources.map((source) => ({ labels: { source: source.source }, value: value(source) }));
  return [
    family(
      "coinlake_source_silent",
      "1 if the source is silent.",
      "gauge",
      bySource(({ is_silent }) => Number(is_silent)),
    ),
    family(
      "coinlake_source_reconnects_total",
      "Reconnects to the source.",
      "counter",
      bySource(({ reconnects }) => reconnects),
    ),
    family(
      "coinlake_source_missed_messages",
      "Messages missing from the source's sequence numbers, by state.",
      "gauge",
      sources.flatMap(({ source, missed }) =>
        Object.entries(missed).map(([state, value]) => ({ labels: { source, state }, value })),
      ),
    ),
  ];
}

function alertFamilies({ handle: { alerts } }: ServerDependencies): Family[] {
  const state = alerts.state();
  return [
    family("coinlake_alerts_active", "Alerts that have not recovered.", "gauge", [{ value: state.active }]),
    family("coinlake_alerts_kept", "Stored alerts, ended ones included.", "gauge", [{ value: state.alerts }]),
    family("coinlake_alert_rules", "Enabled rules.", "gauge", [{ value: state.rules_enabled }]),
    family(
      "coinlake_alert_deliveries",
      "Deliveries to sinks, by state.",
      "gauge",
      Object.entries(state.deliveries).map(([delivery, value]) => ({ labels: { state: delivery }, value })),
    ),
  ];
}

/** A gauge by table, and the sum over the lake. */
function tableAndLakeGauges(figure: string, help: string, samples: readonly Sample[], lake: string): Family[] {
  if (samples.length === 0) return [];
  return [
    family(`coinlake_table_${figure}`, help, "gauge", samples),
    family(`coinlake_lake_${figure}`, `${help} Sum over the tables.`, "gauge", [
      { labels: { lake }, value: samples.reduce((sum, { value }) => sum + value, 0) },
    ]),
  ];
}

function streamFamilies(stream: Stream | null): Family[] {
  if (stream === null) return [];
  const { name, state, batch } = stream;
  const ofBatch = (value: number | null | undefined): Sample[] =>
    typeof value === "number" ? [{ labels: { stream: name }, value }] : [];
  return [
    family("coinlake_stream_running", "1 if the stream that ingests the log into bronze runs.", "gauge", [
      { labels: { stream: name }, value: Number(state === "running") },
    ]),
    family(
      "coinlake_stream_batches_total",
      "Batches of the stream, over all runs.",
      "counter",
      ofBatch(batch && batch.number + 1),
    ),
    family("coinlake_stream_batch_records", "Records in the last batch.", "gauge", ofBatch(batch?.records)),
    family(
      "coinlake_stream_batch_seconds",
      "Duration of the last batch.",
      "gauge",
      ofBatch(batch && batch.duration_ms / 1000),
    ),
    family(
      "coinlake_stream_waiting_records",
      "Unread records of the log when the last batch started.",
      "gauge",
      ofBatch(batch?.records_waiting),
    ),
  ];
}

function serverFamilies({ hub, console: sql }: ServerDependencies): Family[] {
  return [
    family("coinlake_sse_clients", "Connected clients of the event stream.", "gauge", [{ value: hub.clients }]),
    family("coinlake_sse_events_total", "Events published.", "counter", [{ value: hub.events }]),
    family("coinlake_sse_kept_bytes", "Memory of the events retained for clients that reconnect.", "gauge", [
      { value: hub.kept_bytes },
    ]),
    family("coinlake_console_queries", "Console queries that are running.", "gauge", [{ value: sql.running }]),
    family("coinlake_console_starts_total", "Console processes started.", "counter", [{ value: sql.starts }]),
  ];
}

function processFamilies(delay: EventLoopDelay): Family[] {
  const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const quantiles = [0.5, 0.99].flatMap((quantile): Sample[] => {
    const value = delay.quantile_s(quantile);
    return value === null ? [] : [{ labels: { quantile: String(quantile) }, value }];
  });
  return [
    family("process_resident_memory_bytes", "Resident memory of the process.", "gauge", [{ value: rss }]),
    family("process_cpu_seconds_total", "CPU time of the process.", "counter", [{ value: (user + system) / 1e6 }]),
    family("nodejs_heap_used_bytes", "Memory of JavaScript objects.", "gauge", [{ value: heapUsed }]),
    family("nodejs_heap_total_bytes", "Memory of the JavaScript heap, free space included.", "gauge", [
      { value: heapTotal },
    ]),
    family(
      "nodejs_external_memory_bytes",
      "Memory of native objects referenced by JavaScript, array buffers included.",
      "gauge",
      [{ value: external }],
    ),
    family("nodejs_array_buffers_bytes", "Memory of array buffers and Node Buffers.", "gauge", [
      { value: arrayBuffers },
    ]),
    family("nodejs_eventloop_delay_seconds", "Event-loop delay over the last 30 to 60 seconds.", "gauge", quantiles),
  ];
}

/** Memory of the pipeline's child processes, and of its catalog. */
async function processesFamilies({ handle, console: sql }: ServerDependencies): Promise<Family[]> {
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
    family(
      "coinlake_process_resident_memory_bytes",
      "Resident memory of child processes; absent on systems without /proc.",
      "gauge",
      resident,
    ),
    family("coinlake_catalog_cached_versions", "Table metadata versions cached by the catalog.", "gauge", [
      { value: handle.open.catalog.cached_versions },
    ]),
  ];
}

/** Memory outside JavaScript. */
async function duckdbFamilies(): Promise<Family[]> {
  const duckdb = await instanceMemory();
  return [
    family(
      "coinlake_duckdb_memory_bytes",
      "Memory that the process's DuckDB instances report.",
      "gauge",
      duckdb.map(({ name, tags }) => ({
        labels: { instance: name },
        value: tags.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
      })),
    ),
    family(
      "coinlake_duckdb_tag_memory_bytes",
      "Memory that DuckDB reports, by purpose.",
      "gauge",
      duckdb.flatMap(({ name, tags }) =>
        tags.map(({ tag, size_bytes }) => ({
          labels: { instance: name, tag: tag.toLowerCase() },
          value: size_bytes,
        })),
      ),
    ),
  ];
}
