import { register, type App } from "../endpoint.ts";
import { isoFromMicros } from "../../base/clock.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { Health, Status } from "../schemas/status.ts";

export function statusRoutes(app: App, { handle, health, gate }: ServerDependencies): void {
  register(app, {
    method: "get",
    path: "/api/status",
    tag: "Status",
    summary: "How the sources, the layers and the whole are doing",
    response: Status,
    async handle() {
      const { name, kind, pipeline } = handle.open.lake;
      return {
        product: "Coinlake",
        version: handle.version,
        started_at: isoFromMicros(handle.started_at_us),
        lake: { name, kind, pipeline },
        ...(await health.now()),
      };
    },
  });
  register(app, {
    method: "get",
    path: "/healthz",
    tag: "Status",
    summary: "Whether the process answers at all",
    response: Health,
    handle: async () => ({ is_ok: true, problems: [] }),
  });
  app.get("/readyz", async (context) => {
    const { is_ready, problems } = await health.now();
    // Whoever has no token may know whether, not why.
    const body = { is_ok: is_ready, problems: gate.isOpenTo(context) ? problems : [] };
    return context.json(body, is_ready ? 200 : 503);
  });
  const answer = { description: "Ready", content: { "application/json": { schema: Health } } };
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/readyz",
    tags: ["Status"],
    summary: "Whether all is well: red when a source is silent, a commit stalls or lag grows, with the reasons",
    responses: { 200: answer, 503: { ...answer, description: "Not ready" } },
  });
}
