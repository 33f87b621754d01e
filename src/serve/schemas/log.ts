import { z } from "@hono/zod-openapi";
import { Count, pageOf, Time } from "./values.ts";

export const Topic = z
  .object({
    topic: z.string(),
    partitions: z.array(
      z.object({
        partition: Count,
        /** Offset of the oldest retained record. */
        begin: Count,
        /** Offset of the next record. */
        end: Count,
      }),
    ),
    lag: z.array(z.object({ consumer: z.enum(["bronze", "silver", "gold", "live", "alerts"]), records: Count })),
  })
  .openapi("Topic");

export const Topics = pageOf(Topic).openapi("Topics");

export const Message = z
  .object({
    partition: Count,
    offset: Count,
    key: z.string(),
    source: z.string(),
    ingested_at: Time,
    size_bytes: Count,
    /** The message as received: text if it is UTF-8, else base64. */
    payload: z.string(),
    encoding: z.enum(["text", "base64"]),
    /** Whether `payload` is truncated; a request with `limit=1` returns it complete. */
    is_truncated: z.boolean(),
  })
  .openapi("Message");

/** Newest first unless `offset` is given; `next` continues in the same direction. */
export const Messages = pageOf(Message)
  .extend({
    /** Number of records scanned for `search`; a scan stops after a bounded number. */
    scanned: Count,
  })
  .openapi("Messages");

export type Topic = z.infer<typeof Topic>;
export type Message = z.infer<typeof Message>;
export type Messages = z.infer<typeof Messages>;
