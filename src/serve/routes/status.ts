import { register, type App } from "../endpoint.ts";
import { isoFromMicros } from "../../base/clock.ts";
import type { ServerDependencies } from "../dependencies.ts";
import type { Mounts } from "../mounts.ts";
import { Health, Status } from "../schemas/status.ts";

export function statusRoutes(app: App, { handle, health, authenticator, mounts }: ServerDependencies): void {
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
    const problems = await problemsOf(mounts);
    const is_ready = problems.length === 0;
    // The reasons are shown to authenticated clients only.
    const body = { is_ok: is_ready, problems: authenticator.isOpenTo(context) ? problems : [] };
    return context.json(body, is_ready ? 200 : 503);
  });
  const answer = { description: "Ready", content: { "application/json": { schema: Health } } };
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/readyz",
    tags: ["Status"],
    summary: "Readiness of all pipelines: 503 with reasons if a source is silent, a commit stalls or lag grows",
    responses: { 200: answer, 503: { ...answer, description: "Not ready" } },
  });
}

/** The problems of all pipelines; each names its pipeline where there are several. */
async function problemsOf({ all, are_several }: Mounts): Promise<Health["problems"]> {
  const found = all.map(async ({ name, title, service }) => {
    const problems =
      service === null
        ? [{ code: "PIPELINE_STARTING", message: `${title}: the pipeline does not serve` }]
        : (await service.health.now()).problems;
    return are_several ? problems.map((problem) => ({ ...problem, pipeline: name })) : problems;
  });
  return (await Promise.all(found)).flat();
}
