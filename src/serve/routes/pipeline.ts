import { z } from "@hono/zod-openapi";
import type { ApiRequest, ApiResource } from "../../pipeline/definition.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { notFound } from "../problem.ts";
import { parseInstant } from "../times.ts";

/** How old an answer may be while the next is made; longer than a dashboard waits between two requests, so that none waits for it. */
const STALE_MS = 30_000;

/** What the pipeline adds: its resources, of now through the live views, of the past through time travel. */
export function pipelineRoutes(app: App, { handle, reader }: ServerDependencies): void {
  for (const resource of handle.pipeline.api) {
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
        const answer = await answerOf(resource, request);
        if (answer === null)
          throw notFound(
            `${resource.path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => request.params[name] ?? "")}`,
          );
        return answer;
      },
    });
  }

  function answerOf(resource: ApiResource, request: ApiRequest): Promise<unknown> {
    const key = `${resource.path} ${JSON.stringify([request.params, request.query])}`;
    const lake_time = resource.lakeTime?.(request) ?? null;
    if (lake_time === null) {
      return reader.cache.get(key, { fresh_ms: resource.fresh_ms, stale_ms: STALE_MS, version: reader.version() }, () =>
        resource.answer(request, reader.now()),
      );
    }
    const at_ms = parseInstant(lake_time);
    const work = () => reader.past(at_ms, (tables) => resource.answer(request, tables));
    // The future is not known yet: what a later commit will say must not be kept.
    return at_ms < handle.clock.now_us() / 1000 ? reader.kept(key, work) : work();
  }
}
