import { OperatingError } from "../../base/errors.ts";
import { nameOfTable, unsupported } from "../../iceberg/errors.ts";
import { tableOf, type Call, type Route } from "./router.ts";

/** This catalog has no views. Engines look for a view behind every unknown name, and need a plain 404. */
export const VIEW_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "namespaces/{namespace}/views",
    is_listed: false,
    async handle({ catalog, namespace }) {
      await catalog.namespaceProperties(namespace);
      return { status: 200, body: { identifiers: [], "next-page-token": null } };
    },
  },
  ...(["GET", "HEAD", "POST", "DELETE"] as const).map((method): Route => ({
    method,
    path: "namespaces/{namespace}/views/{view}",
    is_listed: false,
    async handle(call: Call) {
      throw new OperatingError("VIEW_NOT_FOUND", `View does not exist: ${nameOfTable(tableOf(call))}`, {
        next_step: "Use a table: this catalog has no views.",
      });
    },
  })),
  ...["namespaces/{namespace}/views", "namespaces/{namespace}/register-view", "views/rename"].map((path): Route => ({
    method: "POST",
    path,
    is_listed: false,
    async handle() {
      throw unsupported("This catalog has no views");
    },
  })),
];
