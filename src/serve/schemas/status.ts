import { z } from "@hono/zod-openapi";
import { Count, Layer, Time } from "./values.ts";

export const Gap = z
  .object({
    product: z.string(),
    first_id: z.number(),
    last_id: z.number(),
    state: z.enum(["open", "filled", "lost"]),
    reason: z.string().nullable(),
    found_at: Time,
  })
  .openapi("Gap");

export const Source = z
  .object({
    source: z.string(),
    state: z.enum(["connecting", "live", "failed", "ended"]),
    is_silent: z.boolean(),
    message: z.string().nullable(),
    last_message_at: Time.nullable(),
    silent_after_ms: z.number(),
    reconnects: Count,
    missed: z.object({ open: Count, filled: Count, lost: Count }),
    gaps: z.array(Gap),
  })
  .openapi("Source");

export const LayerStatus = z
  .object({
    layer: Layer,
    /** Records of the log that the layer lacks. */
    records_behind: Count,
    /** Time since the oldest record that the layer lacks was ingested; 0 if the layer is up to date. */
    seconds_behind: z.number().min(0),
    /** Ingestion time of the layer's newest record. */
    newest_at: Time.nullable(),
    /** Time of the layer's last commit; null for the log and the live tail, which have no commits. */
    committed_at: Time.nullable(),
    /** Commits in the last minute, of the layer's table with the most. */
    commits_last_minute: Count,
  })
  .openapi("LayerStatus");

/** The Spark stream that ingests the log into bronze. */
export const Stream = z
  .object({
    name: z.string(),
    state: z.enum(["starting", "running", "failed"]),
    /** Why the stream failed, or the engine's description of its activity. */
    message: z.string().nullable(),
    /** The last batch; null until this process observes one. */
    batch: z
      .object({
        number: Count,
        began_at: Time,
        records: Count,
        duration_ms: z.number().min(0),
        /** Unread records of the log when the batch started; null if the engine does not report it. */
        records_waiting: Count.nullable(),
      })
      .nullable(),
  })
  .openapi("Stream");

export const ProblemNote = z.object({ code: z.string(), message: z.string() });

/** The part of the status that changes continuously; also the event `status`. */
export const Freshness = z.object({
  now: Time,
  sources: z.array(Source),
  layers: z.array(LayerStatus),
  /** Null if this process itself ingests the log into bronze. */
  stream: Stream.nullable(),
  /** Elements rejected since 00:00 UTC. */
  rejected_today: Count,
  alerts_active: Count,
  newest_event_at: Time.nullable(),
  is_ready: z.boolean(),
  problems: z.array(ProblemNote),
});

export const Status = Freshness.extend({
  product: z.string(),
  version: z.string(),
  started_at: Time,
  lake: z.object({ name: z.string(), kind: z.enum(["live", "simulated", "replay"]), pipeline: z.string() }),
}).openapi("Status");

/** Response of /healthz and /readyz. */
export const Health = z
  .object({
    is_ok: z.boolean(),
    /** Each names its pipeline if the server has several. */
    problems: z.array(ProblemNote.extend({ pipeline: z.string().optional() })),
  })
  .openapi("Health");

export type Gap = z.infer<typeof Gap>;
export type Source = z.infer<typeof Source>;
export type Stream = z.infer<typeof Stream>;
export type LayerStatus = z.infer<typeof LayerStatus>;
export type Freshness = z.infer<typeof Freshness>;
export type Status = z.infer<typeof Status>;
export type Health = z.infer<typeof Health>;
