import { isoFromMicros } from "../base/clock.ts";
import { freshness, RecordTimes, type LayerFreshness } from "../query/freshness.ts";
import type { TableReports } from "../query/tables.ts";
import type { SourceStatus } from "../producer/producer.ts";
import type { Freshness, Source } from "./schemas/status.ts";
import type { PipelineHandle } from "./pipeline-handle.ts";

/** A commit or increment that is overdue by this many intervals counts as stalled. */
const STALLED_AFTER_INTERVALS = 6;
/** Lag up to this is normal: under load, increments take longer. */
const LAG_MIN_S = 60;
/** With an external scheduler silver and gold lag between two runs; a late run raises a separate alert. */
const SCHEDULED_LAG_S = 3_600;
const LIVE_LAG_S = 10;

/** Computes readiness from the sources' state, the layers' lag and the pipeline's failures. */
export class Health {
  readonly #handle: PipelineHandle;
  readonly #tables: TableReports;
  readonly #times: RecordTimes;
  readonly #latestEvent: () => Promise<string | null>;

  constructor(dependencies: { handle: PipelineHandle; tables: TableReports; latestEvent(): Promise<string | null> }) {
    const { handle, tables, latestEvent } = dependencies;
    this.#handle = handle;
    this.#tables = tables;
    this.#latestEvent = latestEvent;
    this.#times = new RecordTimes(handle.open.log, handle.pipeline.topic.name);
  }

  async layers(): Promise<LayerFreshness[]> {
    const { open, pipeline, clock, live } = this.#handle;
    const tables = await this.#tables.all();
    const is_replay = open.lake.kind === "replay";
    return freshness(
      { log: open.log, topic: pipeline.topic.name, tables, live: live.state().next, now_us: clock.now_us(), is_replay },
      this.#times,
    );
  }

  sources(): Source[] {
    const now_us = this.#handle.clock.now_us();
    return this.#handle.sources().map((status) => describeSource(status, now_us));
  }

  async now(): Promise<Freshness> {
    const layers = await this.layers();
    const sources = this.sources();
    const problems = [...this.#sourceProblems(sources), ...this.#layerProblems(layers), ...this.#handle.failures()];
    return {
      now: isoFromMicros(this.#handle.clock.now_us()),
      sources,
      layers,
      stream: this.#handle.stream(),
      rejected_today: await this.rejectedToday(layers),
      alerts_active: this.#handle.alerts.state().active,
      newest_event_at: await this.#latestEvent(),
      is_ready: problems.length === 0,
      problems,
    };
  }

  /** Rejected elements received today; in a replay, on the day of the newest replayed record. */
  async rejectedToday(layers: readonly LayerFreshness[]): Promise<number> {
    const { open, pipeline, clock } = this.#handle;
    const newest_at = layers[0]?.newest_at;
    const day = (open.lake.kind === "replay" && newest_at ? newest_at : isoFromMicros(clock.now_us())).slice(0, 10);
    const table = (await this.#tables.all()).find(
      ({ identifier }) => [...identifier.namespace, identifier.name].join(".") === pipeline.reconciliation.rejected,
    );
    return table === undefined ? 0 : this.#tables.rowsIn(table, `${pipeline.reconciliation.rejected_partition}=${day}`);
  }

  #sourceProblems(sources: readonly Source[]): Freshness["problems"] {
    return sources.flatMap(({ source, state, is_silent, message, last_message_at }) => {
      if (state === "failed")
        return [{ code: "SOURCE_FAILED", message: `${source} failed${message === null ? "" : `: ${message}`}` }];
      if (is_silent)
        return [
          { code: "SOURCE_SILENT", message: `${source} has been silent since ${last_message_at ?? "the start"}` },
        ];
      return [];
    });
  }

  #layerProblems(layers: readonly LayerFreshness[]): Freshness["problems"] {
    const { pipeline, live, clock, started_at_us, is_transforming } = this.#handle;
    const increments_s =
      (STALLED_AFTER_INTERVALS * (pipeline.bronze.commit.interval_ms + pipeline.transform.increment.interval_ms)) /
      1000;
    const built_s = is_transforming ? Math.max(LAG_MIN_S, increments_s) : SCHEDULED_LAG_S;
    // If the clock was set back, the start lies in the future; its distance still bounds the uptime.
    const running_s = Math.abs(clock.now_us() - started_at_us) / 1_000_000;
    const { stalled } = live.state();
    const limits_s: Record<string, number> = {
      bronze: Math.max(LAG_MIN_S, (STALLED_AFTER_INTERVALS * pipeline.bronze.commit.interval_ms) / 1000),
      silver: built_s,
      gold: built_s,
      live: LIVE_LAG_S,
    };
    const lagging = layers.flatMap(({ layer, seconds_behind, records_behind }) => {
      const limit_s = limits_s[layer] ?? Infinity;
      // After a start, the pipeline first catches up with records that arrived while it was stopped.
      if (seconds_behind <= limit_s || running_s <= limit_s) return [];
      const code = layer === "bronze" ? "COMMIT_STALLED" : "LAYER_LAGS";
      return [
        {
          code,
          message:
            `${layer} is ${Math.round(seconds_behind)} s and ${records_behind} records behind; ` +
            `up to ${limit_s} s is normal`,
        },
      ];
    });
    return stalled === null ? lagging : [...lagging, { code: "LIVE_STALLED", message: stalled }];
  }
}

export function describeSource(status: SourceStatus, now_us: number): Source {
  const { source, state, message, heard_at_us, silent_after_ms, reconnects, missed, gaps } = status;
  return {
    source,
    state,
    is_silent: isSilent(status, now_us),
    message,
    last_message_at: heard_at_us === null ? null : isoFromMicros(heard_at_us),
    silent_after_ms,
    reconnects,
    missed: { ...missed },
    gaps: gaps.map(({ product, first_id, last_id, state: gap_state, reason, found_at_us }) => ({
      product,
      first_id,
      last_id,
      state: gap_state,
      reason,
      found_at: isoFromMicros(found_at_us),
    })),
  };
}

/** An ended source is never silent; a source without a message yet is connecting, which its state says. */
function isSilent({ state, heard_at_us, silent_after_ms }: SourceStatus, now_us: number): boolean {
  // A time far in the future was recorded before the clock was set back; the next message replaces it.
  return state !== "ended" && heard_at_us !== null && Math.abs(now_us - heard_at_us) > silent_after_ms * 1000;
}
