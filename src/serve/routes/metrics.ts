import { monitorEventLoopDelay } from "node:perf_hooks";
import { nameOfTable } from "../../catalog/errors.ts";
import type { App } from "../endpoint.ts";
import { formatFamily, type Sample } from "../metrics.ts";
import type { Parts } from "../parts.ts";
import type { Stream } from "../schemas/status.ts";

const NS_PER_S = 1e9;

/** /metrics: everything the pages show as figures, for Prometheus. */
export function metricRoutes(app: App, parts: Parts): { stop(): void } {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const stopObserving = observeVisibility(parts);
  app.get("/metrics", async (context) => {
    const text = [...(await pipelineFamilies(parts)), ...serverFamilies(parts), ...processFamilies(delay), parts.metrics.text()].join("");
    delay.reset();
    return context.body(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8", "cache-control": "no-store" });
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
      delay.disable();
      stopObserving();
    },
  };
}

/** How long records take from their receipt until queries see them. A recording's records were received when it was made. */
function observeVisibility({ served, metrics }: Parts): () => void {
  if (served.open.lake.kind === "replay") return () => {};
  return served.live.onAbsorbed(({ ticks, absorbed_at_us }) => {
    for (const { ingested_at_us } of ticks) {
      metrics.observe("coinlake_live_visible_seconds", "From a record's receipt until the live views show it.", (absorbed_at_us - ingested_at_us) / 1e6);
    }
  });
}

async function pipelineFamilies({ served, tables, health }: Parts): Promise<string[]> {
  const { open, pipeline, live, alerts } = served;
  const now = await health.now();
  const bounds = await open.log.bounds(pipeline.topic.name);
  const loaded = await tables.all();
  const figures = await Promise.all(loaded.map((table) => tables.figures(table, served.clock.now_us() / 1000)));
  const byTable = (value: (figure: (typeof figures)[number]) => number): Sample[] => figures.map((figure) => ({ labels: { table: figure.table }, value: value(figure) }));
  const byLayer = (value: (layer: (typeof now.layers)[number]) => number): Sample[] => now.layers.map((layer) => ({ labels: { layer: layer.layer }, value: value(layer) }));
  const byPartition = (value: (bound: (typeof bounds)[number]) => number): Sample[] =>
    bounds.map((bound) => ({ labels: { topic: pipeline.topic.name, partition: String(bound.partition) }, value: value(bound) }));
  const bySource = (value: (source: (typeof now.sources)[number]) => number): Sample[] => now.sources.map((source) => ({ labels: { source: source.source }, value: value(source) }));
  const state = live.state();
  const alert_state = alerts.state();
  const commits = loaded.map(({ identifier, metadata }) => ({ labels: { table: nameOfTable(identifier) }, value: Number(metadata["last-sequence-number"]) }));
  return [
    formatFamily("coinlake_info", "What runs.", "gauge", [{ labels: { version: served.version, lake: open.lake.name, kind: open.lake.kind }, value: 1 }]),
    formatFamily("coinlake_ready", "1 when all is well.", "gauge", [{ value: Number(now.is_ready) }]),
    formatFamily("coinlake_log_records_total", "Records appended to the log since it began.", "counter", byPartition(({ end }) => end)),
    formatFamily("coinlake_log_kept_records", "Records that the log still keeps.", "gauge", byPartition(({ begin, end }) => end - begin)),
    formatFamily("coinlake_layer_behind_records", "Records of the log that the layer does not have yet.", "gauge", byLayer(({ records_behind }) => records_behind)),
    formatFamily("coinlake_layer_behind_seconds", "Age of the oldest of them.", "gauge", byLayer(({ seconds_behind }) => seconds_behind)),
    ...streamFamilies(now.stream),
    formatFamily("coinlake_table_rows", "Rows.", "gauge", byTable(({ rows }) => rows)),
    formatFamily("coinlake_table_bytes", "Bytes of data and delete files.", "gauge", byTable(({ size_bytes }) => size_bytes)),
    formatFamily("coinlake_table_files", "Data files.", "gauge", byTable(({ files }) => files)),
    formatFamily("coinlake_table_delete_files", "Delete files.", "gauge", byTable(({ delete_files }) => delete_files)),
    formatFamily("coinlake_table_snapshots", "Snapshots kept.", "gauge", byTable(({ snapshots }) => snapshots)),
    formatFamily("coinlake_table_snapshots_total", "Snapshots made since the table began.", "counter", commits),
    formatFamily("coinlake_live_tail_records", "Records that some table has not absorbed yet.", "gauge", [{ value: state.tail_records }]),
    formatFamily("coinlake_live_tail_bytes", "Bytes of them.", "gauge", [{ value: state.tail_size_bytes }]),
    formatFamily("coinlake_live_pending_records", "Records not visible to SQL yet.", "gauge", [{ value: state.pending_records }]),
    formatFamily("coinlake_refused_today", "Elements refused since 00:00 UTC.", "gauge", [{ value: now.refused_today }]),
    formatFamily("coinlake_source_silent", "1 when the source is silent.", "gauge", bySource(({ is_silent }) => Number(is_silent))),
    formatFamily("coinlake_source_reconnects_total", "Connections made anew.", "counter", bySource(({ reconnects }) => reconnects)),
    formatFamily("coinlake_source_missed_messages", "Messages that the source numbered and that did not come.", "gauge", now.sources.flatMap(({ source, missed }) =>
      Object.entries(missed).map(([missed_state, value]) => ({ labels: { source, state: missed_state }, value })))),
    formatFamily("coinlake_alerts_active", "Alerts that have not recovered.", "gauge", [{ value: alert_state.active }]),
    formatFamily("coinlake_alerts_kept", "Alerts kept, ended ones included.", "gauge", [{ value: alert_state.alerts }]),
    formatFamily("coinlake_alert_rules", "Rules that are enabled.", "gauge", [{ value: alert_state.rules_enabled }]),
    formatFamily("coinlake_alert_deliveries", "Deliveries to sinks, by what became of them.", "gauge", Object.entries(alert_state.deliveries).map(([delivery, value]) => ({ labels: { state: delivery }, value }))),
  ];
}

function streamFamilies(stream: Stream | null): string[] {
  if (stream === null) return [];
  const { name, state, batch } = stream;
  const ofBatch = (value: number | null | undefined): Sample[] => (typeof value === "number" ? [{ labels: { stream: name }, value }] : []);
  return [
    formatFamily("coinlake_stream_running", "1 when the stream that carries the log to bronze runs.", "gauge", [{ labels: { stream: name }, value: Number(state === "running") }]),
    formatFamily("coinlake_stream_batches_total", "Its batches, over all its runs.", "counter", ofBatch(batch && batch.number + 1)),
    formatFamily("coinlake_stream_batch_records", "Records of its last batch.", "gauge", ofBatch(batch?.records)),
    formatFamily("coinlake_stream_batch_seconds", "How long its last batch took.", "gauge", ofBatch(batch && batch.duration_ms / 1000)),
    formatFamily("coinlake_stream_waiting_records", "Records of the log that it had not read when its last batch began.", "gauge", ofBatch(batch?.records_waiting)),
  ];
}

function serverFamilies({ hub, console: sql }: Parts): string[] {
  return [
    formatFamily("coinlake_sse_clients", "Clients of the event stream.", "gauge", [{ value: hub.clients }]),
    formatFamily("coinlake_sse_events_total", "Events written to the stream.", "counter", [{ value: hub.events }]),
    formatFamily("coinlake_console_queries", "Typed queries that run now.", "gauge", [{ value: sql.running }]),
    formatFamily("coinlake_console_starts_total", "Console processes started.", "counter", [{ value: sql.starts }]),
  ];
}

function processFamilies(delay: ReturnType<typeof monitorEventLoopDelay>): string[] {
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const quantiles = [0.5, 0.99].map((quantile) => ({ labels: { quantile: String(quantile) }, value: delay.percentile(quantile * 100) / NS_PER_S }));
  return [
    formatFamily("process_resident_memory_bytes", "Memory of the process.", "gauge", [{ value: rss }]),
    formatFamily("process_cpu_seconds_total", "CPU time of the process.", "counter", [{ value: (user + system) / 1e6 }]),
    formatFamily("nodejs_heap_used_bytes", "JavaScript's part of it.", "gauge", [{ value: heapUsed }]),
    formatFamily("nodejs_external_memory_bytes", "Memory held by buffers.", "gauge", [{ value: external }]),
    formatFamily("nodejs_eventloop_delay_seconds", "How late the event loop was, since the last scrape.", "gauge", quantiles),
  ];
}
