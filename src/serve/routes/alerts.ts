import { z } from "@hono/zod-openapi";
import type { AlertFacade } from "../../alert/facade.ts";
import { subjectOfAlerts, withSubjectIds } from "../../alert/rule-subjects.ts";
import { pageOfList } from "../cursor.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { requestError } from "../problem.ts";
import {
  AlertDetail,
  Alerts,
  BackTest,
  BackTestRequest,
  NewRule,
  ReplacedRule,
  RuleItem,
  Rules,
  Sinks,
} from "../schemas/alerts.ts";
import { PageQuery } from "../schemas/values.ts";

const tag = "Alerts";
const Id = z.object({ id: z.string().max(200) });
/** Concurrent back-tests: each reads the lake's history through the live tail's engine. */
const MAX_BACK_TESTS = 2;

/** CRUD of rules. The alert engine validates rules and names the invalid field. */
export function ruleRoutes(app: App, { handle: { alerts }, reader }: ServerDependencies): void {
  const resolve = (given: string) => reader.subject(given);
  register(app, {
    method: "get",
    path: "/api/rules",
    tag,
    summary: "List rules",
    query: PageQuery,
    response: Rules,
    handle: async ({ query }) => pageOfList(alerts.listRules(), query.limit, query.cursor),
  });
  register(app, {
    method: "post",
    path: "/api/rules",
    tag,
    summary: "Create a rule; it applies from now on",
    body: NewRule,
    is_checked_by_handler: true,
    response: RuleItem,
    status: 201,
    handle: async ({ body }) => alerts.createRule(await withSubjectIds(body, null, resolve)),
  });
  register(app, {
    method: "get",
    path: "/api/rules/{id}",
    tag,
    summary: "Get a rule",
    params: Id,
    response: RuleItem,
    handle: async ({ params }) => alerts.getRule(params.id),
  });
  register(app, {
    method: "put",
    path: "/api/rules/{id}",
    tag,
    summary: "Replace a rule; its open episodes end",
    params: Id,
    body: ReplacedRule,
    is_checked_by_handler: true,
    response: RuleItem,
    handle: async ({ params, body }) =>
      alerts.replaceRule(params.id, await withSubjectIds(body, alerts.getRule(params.id).subjects, resolve)),
  });
  register(app, {
    method: "delete",
    path: "/api/rules/{id}",
    tag,
    summary: "Delete a rule; its past alerts are kept",
    params: Id,
    response: null,
    handle: ({ params }) => alerts.deleteRule(params.id),
  });
  backTestRoute(app, alerts);
}

function backTestRoute(app: App, alerts: AlertFacade): void {
  let back_tests = 0;
  register(app, {
    method: "post",
    path: "/api/rules/{id}/test",
    tag,
    summary: "Test a rule on the lake's history",
    params: Id,
    body: BackTestRequest,
    response: BackTest,
    handle: async ({ params, body: { from, to, limit } }) => {
      if (back_tests >= MAX_BACK_TESTS)
        throw requestError(
          "TOO_MANY_BACK_TESTS",
          `Too many back-tests: ${MAX_BACK_TESTS} are running`,
          "Wait for one to end.",
        );
      back_tests += 1;
      try {
        return await alerts.testRule(params.id, { from, to, ...(limit === undefined ? {} : { limit }) });
      } finally {
        back_tests -= 1;
      }
    },
  });
}

/** Sinks are created on the command line only, because they hold a secret or run a program. */
export function sinkRoutes(app: App, { handle: { alerts } }: ServerDependencies): void {
  register(app, {
    method: "get",
    path: "/api/sinks",
    tag,
    summary: "List sinks that rules can notify; URLs, arguments and secrets are omitted",
    query: PageQuery,
    response: Sinks,
    handle: async ({ query }) => pageOfList(alerts.listSinks(), query.limit, query.cursor),
  });
}

export function alertRoutes(app: App, { handle: { alerts }, reader }: ServerDependencies): void {
  register(app, {
    method: "get",
    path: "/api/alerts",
    tag,
    summary: "List alerts, newest first",
    query: PageQuery.extend({
      rule: z.string().max(200).optional(),
      subject: z.string().max(200).optional(),
      state: z.enum(["active", "recovered"]).optional(),
    }),
    response: Alerts,
    handle: async ({ query: { subject: given, ...query } }) => {
      const subject =
        given === undefined ? undefined : await subjectOfAlerts(alerts, given, (text) => reader.subject(text));
      return alerts.listAlerts(defined({ ...query, subject }));
    },
  });
  register(app, {
    method: "get",
    path: "/api/alerts/{id}",
    tag,
    summary: "Get an alert with its deliveries",
    params: Id,
    response: AlertDetail,
    handle: async ({ params }) => alerts.getAlert(params.id),
  });
}

function defined<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
