import { z } from "@hono/zod-openapi";
import { AlertEvent } from "./alerts.ts";
import { Freshness, Source } from "./status.ts";
import { Count, Decimal, Time } from "./values.ts";

/** What `GET /api/events` sends: `event:` is the key here, `data:` the JSON. */
export const EVENTS = {
  /** First on a connection that resumes nothing: its id is where to go on if the connection ends before anything else is said. */
  hello: z.object({ server_time: Time }),
  /** The newest of each subject since the last such event, at most every 100 ms. */
  ticks: z.object({
    ticks: z.array(
      z.object({
        id: z.string(),
        price: Decimal,
        price_at: Time,
        source: z.string(),
        /** How many ticks of the subject this one stands for. */
        updates: Count,
      }),
    ),
  }),
  alert: AlertEvent,
  commit: z.object({ table: z.string(), snapshot_id: z.string(), rows: Count.nullable(), committed_at: Time }),
  source: Source,
  /** Every second. */
  status: Freshness,
  /** Events between these ids were missed and cannot be had any more: load what is shown anew. */
  gap: z.object({ missed_from: z.string().nullable(), missed_to: z.string() }),
};

export type TicksEvent = z.infer<typeof EVENTS.ticks>;
export type CommitEvent = z.infer<typeof EVENTS.commit>;
export type SourceEvent = z.infer<typeof EVENTS.source>;
export type StatusEvent = z.infer<typeof EVENTS.status>;
export type GapEvent = z.infer<typeof EVENTS.gap>;
export type EventName = keyof typeof EVENTS;
