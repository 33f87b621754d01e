import { OpenAPIHono } from "@hono/zod-openapi";
import type { HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import { serveAsset } from "./assets.ts";
import type { App } from "./endpoint.ts";
import { onlyJson } from "./guard/body.ts";
import { secureHeaders } from "./guard/headers.ts";
import { checkOrigin } from "./guard/origin-check.ts";
import { loginRoutes } from "./login.ts";
import type { ServerDependencies } from "./dependencies.ts";
import { notFound, requestError, sendProblem } from "./problem.ts";
import { alertRoutes, ruleRoutes, sinkRoutes } from "./routes/alerts.ts";
import { answerRoutes } from "./routes/answers.ts";
import { chartRoutes } from "./routes/charts.ts";
import { conflictRoutes } from "./routes/conflicts.ts";
import { eventRoutes } from "./routes/events.ts";
import { expectationRoutes } from "./routes/expectations.ts";
import { lakeRoutes } from "./routes/lake.ts";
import { logRoutes } from "./routes/log.ts";
import { maintenanceRoutes } from "./routes/maintenance.ts";
import { metricRoutes } from "./routes/metrics.ts";
import { definitionRoutes } from "./routes/definition.ts";
import { pipelineRoutes } from "./routes/pipeline.ts";
import { qualityRoutes } from "./routes/quality.ts";
import { sqlRoutes } from "./routes/sql.ts";
import { statusRoutes } from "./routes/status.ts";

const DURATION = ["coinlake_http_request_seconds", "Duration of requests, by route."] as const;

/** Paths that need no token: health checks, the login form and the dashboard's files, which hold no data. */
const OPEN_PATHS = /^\/(?:healthz|readyz|login|assets\/[^/]+)$/;

/** All routes behind the guards, in order: origin check, body type, authentication; then the routes. */
export function createApp(dependencies: ServerDependencies, host: string): { app: App; stop(): void } {
  const app: App = new OpenAPIHono<{ Bindings: HttpBindings }>();
  app.onError((error, context) => sendProblem(context, error, dependencies.onError));
  app.use(measured(dependencies), secureHeaders, checkOrigin(host));
  loginRoutes(app, dependencies);
  app.use(async (context, next) => {
    if (OPEN_PATHS.test(context.req.path) || dependencies.authenticator.isOpenTo(context)) return next();
    const wants_page = context.req.method === "GET" && (context.req.header("accept") ?? "").includes("text/html");
    if (wants_page) return context.redirect(`${dependencies.base}/login`, 303);
    return dependencies.authenticator.check(context, next);
  });
  app.use("/api/*", onlyJson);
  statusRoutes(app, dependencies);
  definitionRoutes(app, dependencies);
  answerRoutes(app, dependencies);
  chartRoutes(app, dependencies);
  pipelineRoutes(app, dependencies);
  ruleRoutes(app, dependencies);
  alertRoutes(app, dependencies);
  sinkRoutes(app, dependencies);
  lakeRoutes(app, dependencies);
  maintenanceRoutes(app, dependencies);
  logRoutes(app, dependencies);
  qualityRoutes(app, dependencies);
  conflictRoutes(app, dependencies);
  expectationRoutes(app, dependencies);
  sqlRoutes(app, dependencies);
  eventRoutes(app, dependencies);
  const metrics = metricRoutes(app, dependencies);
  documentRoute(app, dependencies);
  app.get("*", (context) => serveAsset(context, dependencies.assets));
  app.all("*", (context) => {
    const is_known = app.routes.some(
      ({ path, method }) =>
        method !== "ALL" &&
        path !== "*" &&
        path !== "/*" &&
        new RegExp(`^${path.replaceAll(/:\w+/g, "[^/]+")}$`).test(context.req.path),
    );
    if (is_known)
      throw requestError(
        "METHOD_NOT_ALLOWED",
        `${context.req.path} does not allow ${context.req.method}`,
        "GET /api/openapi.json lists the allowed methods.",
      );
    throw notFound(`route ${context.req.path}`);
  });
  return { app, stop: metrics.stop };
}

/** The OpenAPI document, generated once: the routes do not change while the server runs. */
function documentRoute(app: App, { handle, base }: ServerDependencies): void {
  let text: string | null = null;
  app.get("/api/openapi.json", (context) => {
    text ??= JSON.stringify(
      app.getOpenAPI31Document({
        openapi: "3.1.0",
        ...(base === "" ? {} : { servers: [{ url: base }] }),
        info: {
          title: "Coinlake",
          version: handle.version,
          description:
            `${handle.pipeline.title} in a real-time lakehouse: answers, charts, tables, log, alerts, SQL, events. ` +
            "Decimals are strings, times ISO 8601 in UTC, errors RFC 9457.",
        },
      }),
    );
    return context.body(text, 200, { "content-type": "application/json", "cache-control": "no-cache" });
  });
}

/** Counts and times requests by route pattern: labelling by path would create a series for each id. */
function measured({ metrics }: ServerDependencies): MiddlewareHandler {
  return async (context, next) => {
    const started_ms = performance.now();
    await next();
    const route =
      context.req.matchedRoutes.findLast(({ method, path }) => method !== "ALL" && path !== "*" && path !== "/*")
        ?.path ?? "page";
    const labels = { method: context.req.method, route, status: String(context.res.status) };
    metrics.count("coinlake_http_requests_total", "Requests answered, by method, route and status.", labels);
    metrics.observe(...DURATION, (performance.now() - started_ms) / 1000, { route });
  };
}
