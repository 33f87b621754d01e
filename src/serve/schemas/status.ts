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
    /** Records of the log that the layer does not have yet. */
    records_behind: Count,
    /** Age of the oldest record that the layer does not have, by its ingestion; 0 when it has all. */
    seconds_behind: z.number().min(0),
    /** Ingestion time of the newest record that the layer has. */
    newest_at: Time.nullable(),
    /** When a table of the layer was last committed; null for the log and the live tail, which have no commits. */
    committed_at: Time.nullable(),
    /** Commits of the layer's busiest table in the last minute. */
    commits_last_minute: Count,
  })
  .openapi("LayerStatus");

/** What carries the log to bronze where another engine does. */
export const Stream = z
  .object({
    name: z.string(),
    state: z.enum(["starting", "running", "failed"]),
    /** Why it failed, or what the engine says that it is doing. */
    message: z.string().nullable(),
    /** Its last batch; null before the first that this process saw. */
    batch: z
      .object({
        number: Count,
        began_at: Time,
        records: Count,
        duration_ms: z.number().min(0),
        /** Records of the log that it had not read when the batch began; null where the engine does not say. */
        records_waiting: Count.nullable(),
      })
      .nullable(),
  })
  .openapi("Stream");

export const ProblemNote = z.object({ code: z.string(), message: z.string() });

/** What changes by itself from second to second; also the event `status`. */
export const Freshness = z.object({
  now: Time,
  sources: z.array(Source),
  layers: z.array(LayerStatus),
  /** Null where this process itself carries the log to bronze. */
  stream: Stream.nullable(),
  /** Elements refused since 00:00 UTC. */
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

/** /healthz and /readyz. */
export const Health = z.object({ is_ok: z.boolean(), problems: z.array(ProblemNote) }).openapi("Health");

export type Gap = z.infer<typeof Gap>;
export type Source = z.infer<typeof Source>;
export type Stream = z.infer<typeof Stream>;
export type LayerStatus = z.infer<typeof LayerStatus>;
export type Freshness = z.infer<typeof Freshness>;
export type Status = z.infer<typeof Status>;
export type Health = z.infer<typeof Health>;
