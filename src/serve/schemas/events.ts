import { z } from "@hono/zod-openapi";
import { AlertEvent } from "./alerts.ts";
import { Freshness, Source } from "./status.ts";
import { Count, Decimal, Time } from "./values.ts";

/** Events of `GET /api/events`: `event:` is the key, `data:` the JSON. */
export const EVENTS = {
  /** First event of a new connection. A client that loses the connection before any other event resumes from its id. */
  hello: z.object({ server_time: Time }),
  /** The newest tick of each subject since the last `ticks` event, at most every 100 ms. */
  ticks: z.object({
    ticks: z.array(
      z.object({
        id: z.string(),
        price: Decimal,
        price_at: Time,
        source: z.string(),
        /** Number of ticks of the subject that this one replaces, itself included. */
        updates: Count,
      }),
    ),
  }),
  alert: AlertEvent,
  commit: z.object({ table: z.string(), snapshot_id: z.string(), rows: Count.nullable(), committed_at: Time }),
  source: Source,
  /** Sent every second. */
  status: Freshness,
  /** Events between these ids are lost; the client must reload its state. */
  gap: z.object({ missed_from: z.string().nullable(), missed_to: z.string() }),
};

export type TicksEvent = z.infer<typeof EVENTS.ticks>;
export type CommitEvent = z.infer<typeof EVENTS.commit>;
export type SourceEvent = z.infer<typeof EVENTS.source>;
export type StatusEvent = z.infer<typeof EVENTS.status>;
export type GapEvent = z.infer<typeof EVENTS.gap>;
export type EventName = keyof typeof EVENTS;
