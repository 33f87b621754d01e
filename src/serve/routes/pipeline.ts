import { z } from "@hono/zod-openapi";
import type { ApiRequest, ApiResource } from "../../pipeline/definition.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { notFound } from "../problem.ts";
import { parseInstant_ms } from "../../base/instant.ts";

/** Longer than the dashboard's refresh interval, so that its requests never wait for a refresh. */
const STALE_MS = 30_000;

/** The pipeline's own resources: from the live views for now, by time travel for the past. */
export function pipelineRoutes(app: App, dependencies: ServerDependencies): void {
  for (const resource of dependencies.handle.pipeline.api) resourceRoute(app, dependencies, resource);
}

export function resourceRoute(app: App, { handle, reader }: ServerDependencies, resource: ApiResource): void {
  register(app, {
    method: "get",
    path: `/api/${resource.path}`,
    tag: "Data",
    summary: resource.summary,
    ...(resource.description === undefined ? {} : { description: resource.description }),
    params: resource.params ?? z.object({}),
    query: resource.query ?? z.strictObject({}),
    response: resource.response,
    async handle({ params, query }) {
      const request = { params: params as ApiRequest["params"], query: query as ApiRequest["query"] };
      const answer = await answerOf(request);
      if (answer === null)
        throw notFound(
          `${resource.path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => request.params[name] ?? "")}`,
        );
      return answer;
    },
  });

  function answerOf(request: ApiRequest): Promise<unknown> {
    const key = `${resource.path} ${JSON.stringify([request.params, request.query])}`;
    const lake_time = resource.lakeTime?.(request) ?? null;
    if (lake_time === null) {
      return reader.cache.get(key, { fresh_ms: resource.fresh_ms, stale_ms: STALE_MS, version: reader.version() }, () =>
        resource.answer(request, reader.now()),
      );
    }
    const at_ms = parseInstant_ms(lake_time);
    const work = () => reader.past(at_ms, (tables) => resource.answer(request, tables));
    // A result for a future time is not cached: later commits may change it.
    return at_ms < handle.clock.now_us() / 1000 ? reader.kept(key, work) : work();
  }
}
