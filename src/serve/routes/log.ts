import { isUtf8 } from "node:buffer";
import { z } from "@hono/zod-openapi";
import { isoFromMicros } from "../../base/clock.ts";
import type { LogRecord } from "../../log/log.ts";
import { commonOffsets, topicLag } from "../../query/freshness.ts";
import { readMessages } from "../../query/messages.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { requestError } from "../problem.ts";
import { Messages, Topics } from "../schemas/log.ts";
import { PageQuery } from "../schemas/values.ts";

/** Characters of a payload in a list; complete payloads would make a page megabytes large. */
const SHOWN_CHARACTERS = 2_000;

const MessageQuery = PageQuery.extend({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  partition: z.coerce.number().int().min(0).optional(),
  offset: z.coerce.number().int().min(0).optional().openapi({
    description: "First offset; later ones follow. Requires `partition`. With `limit=1` the payload is complete",
  }),
  search: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .openapi({ description: "Only messages whose payload, key or source contains this text" }),
});

const Place = z.object({ direction: z.enum(["newer", "older"]), offsets: z.record(z.string(), z.int().min(0)) });

export function logRoutes(app: App, { handle, tables }: ServerDependencies): void {
  const { open, pipeline, live, alerts } = handle;
  register(app, {
    method: "get",
    path: "/api/log/topics",
    tag: "Log",
    summary: "List topics with their offsets and consumer lag",
    response: Topics,
    async handle() {
      const topic = pipeline.topic.name;
      const bounds = await open.log.bounds(topic);
      const loaded = await tables.all();
      const consumed = {
        ...Object.fromEntries(
          (["bronze", "silver", "gold"] as const).map((layer) => [
            layer,
            commonOffsets(loaded.filter(({ identifier }) => identifier.namespace[0] === layer)),
          ]),
        ),
        live: live.state().next,
        alerts: alerts.state().next,
      };
      const lag = Object.entries(consumed).map(([consumer, offsets]) => ({
        consumer: consumer as "bronze",
        records: topicLag(offsets, topic, bounds),
      }));
      return {
        items: [{ topic, partitions: bounds.map(({ partition, begin, end }) => ({ partition, begin, end })), lag }],
        next: null,
      };
    },
  });
  register(app, {
    method: "get",
    path: "/api/log/topics/{topic}/messages",
    tag: "Log",
    summary: "List messages, newest first unless `offset` is given",
    params: z.object({ topic: z.string().max(200) }),
    query: MessageQuery,
    response: Messages,
    async handle({ params, query: { partition, offset, limit, search, cursor } }) {
      if (offset !== undefined && partition === undefined)
        throw requestError(
          "INVALID_REQUEST",
          "offset requires partition: offsets are counted per partition",
          "Add `partition`.",
        );
      const start =
        offset === undefined ? null : { direction: "newer" as const, offsets: { [String(partition)]: offset } };
      const from = decodeCursor(cursor, Place) ?? start;
      const page = await readMessages(open.log, {
        topic: params.topic,
        partition: partition ?? null,
        limit,
        search: search ?? null,
        from,
      });
      const shown = limit === 1 ? Infinity : SHOWN_CHARACTERS;
      return {
        items: page.records.map((record) => describeMessage(record, shown)),
        next: page.next === null ? null : encodeCursor(page.next),
        scanned: page.scanned,
      };
    },
  });
}

function describeMessage(
  { partition, offset, key, source, ingested_at_us, payload }: LogRecord,
  shown_characters: number,
) {
  const is_text = isUtf8(payload);
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  // The limit is a multiple of four, so that truncated base64 still decodes.
  const text = is_text ? bytes.toString("utf8") : bytes.toString("base64");
  const is_truncated = text.length > shown_characters;
  return {
    partition,
    offset,
    key,
    source,
    ingested_at: isoFromMicros(ingested_at_us),
    size_bytes: payload.length,
    payload: is_truncated ? text.slice(0, shown_characters).toWellFormed() : text,
    encoding: is_text ? ("text" as const) : ("base64" as const),
    is_truncated,
  };
}
