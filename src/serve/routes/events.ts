import { z } from "@hono/zod-openapi";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { App } from "../endpoint.ts";
import { CONTENT_HEADERS } from "../guard/headers.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { EVENTS } from "../schemas/events.ts";
import { Problem } from "../schemas/values.ts";

/** Server-sent events, written to the socket directly so that events for a slow client do not accumulate in memory. */
export function eventRoutes(app: App, { hub }: ServerDependencies): void {
  app.get("/api/events", (context) => {
    if (context.req.method === "HEAD") return context.body(null, 200, { "content-type": "text/event-stream" });
    const last_id = context.req.header("last-event-id") ?? context.req.query("last_event_id") ?? null;
    hub.attach(context.env.outgoing, CONTENT_HEADERS, last_id);
    return RESPONSE_ALREADY_SENT;
  });
  const events = z.union(Object.entries(EVENTS).map(([event, data]) => z.object({ event: z.literal(event), data })));
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/api/events",
    tags: ["Events"],
    summary: "Stream ticks, alerts, commits, source states and status as server-sent events",
    description:
      "Each event has an id. A client that reconnects with the last id (Last-Event-ID or ?last_event_id=) " +
      "gets the events since then, or a `gap` event if some are lost.",
    request: {
      query: z.object({ last_event_id: z.string().max(100).optional() }),
      headers: z.object({ "last-event-id": z.string().max(100).optional() }),
    },
    responses: {
      200: {
        description: "Server-sent events; `data` is JSON whose schema depends on `event`",
        content: { "text/event-stream": { schema: events } },
      },
      default: {
        description: "Problem details (RFC 9457)",
        content: { "application/problem+json": { schema: Problem } },
      },
    },
  });
}
