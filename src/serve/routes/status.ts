import { register, type App } from "../endpoint.ts";
import { isoFromMicros } from "../../base/clock.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { Health, Status } from "../schemas/status.ts";

export function statusRoutes(app: App, { handle, health, authenticator }: ServerDependencies): void {
  register(app, {
    method: "get",
    path: "/api/status",
    tag: "Status",
    summary: "Get the state of the sources, the layers and the pipeline",
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
    summary: "Liveness: whether the process responds",
    response: Health,
    handle: async () => ({ is_ok: true, problems: [] }),
  });
  app.get("/readyz", async (context) => {
    const { is_ready, problems } = await health.now();
    // The reasons are shown to authenticated clients only.
    const body = { is_ok: is_ready, problems: authenticator.isOpenTo(context) ? problems : [] };
    return context.json(body, is_ready ? 200 : 503);
  });
  const answer = { description: "Ready", content: { "application/json": { schema: Health } } };
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/readyz",
    tags: ["Status"],
    summary: "Readiness: 503 with reasons if a source is silent, a commit stalls or lag grows",
    responses: { 200: answer, 503: { ...answer, description: "Not ready" } },
  });
}
