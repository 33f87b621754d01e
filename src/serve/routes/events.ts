import { z } from "@hono/zod-openapi";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { App } from "../endpoint.ts";
import { CONTENT_HEADERS } from "../guard/headers.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { EVENTS } from "../schemas/events.ts";
import { Problem } from "../schemas/values.ts";

/** Server-sent events; written to the socket itself, because what a slow client does not take must not pile up. */
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
    summary: "What happens, as it happens: ticks, alerts, commits, sources, status, gaps",
    description:
      "Each event has an id; whoever comes back with the last one (Last-Event-ID or ?last_event_id=) gets what came since, or a `gap`.",
    request: {
      query: z.object({ last_event_id: z.string().max(100).optional() }),
      headers: z.object({ "last-event-id": z.string().max(100).optional() }),
    },
    responses: {
      200: {
        description: "A stream of events; `data` is JSON, as described here by `event`",
        content: { "text/event-stream": { schema: events } },
      },
      default: {
        description: "What went wrong (RFC 9457)",
        content: { "application/problem+json": { schema: Problem } },
      },
    },
  });
}
