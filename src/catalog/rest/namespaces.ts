import { noSuchNamespace } from "../../iceberg/errors.ts";
import { stringMapIn, stringsIn } from "../../iceberg/shape.ts";
import { pageOf, parentOf, type Route } from "./router.ts";

export const NAMESPACE_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "namespaces",
    async handle({ catalog, query }) {
      const { items, next_page_token } = await catalog.listNamespaces(parentOf(query), pageOf(query));
      return { status: 200, body: { namespaces: items, "next-page-token": next_page_token } };
    },
  },
  {
    method: "POST",
    path: "namespaces",
    async handle({ catalog, body }) {
      const request = await body();
      const namespace = stringsIn(request, "namespace");
      const properties = stringMapIn(request, "properties");
      await catalog.createNamespace(namespace, properties);
      return { status: 200, body: { namespace, properties } };
    },
  },
  {
    method: "GET",
    path: "namespaces/{namespace}",
    async handle({ catalog, namespace }) {
      return { status: 200, body: { namespace, properties: await catalog.namespaceProperties(namespace) } };
    },
  },
  {
    method: "HEAD",
    path: "namespaces/{namespace}",
    async handle({ catalog, namespace }) {
      if (!(await catalog.hasNamespace(namespace))) throw noSuchNamespace(namespace);
      return { status: 204 };
    },
  },
  {
    method: "DELETE",
    path: "namespaces/{namespace}",
    async handle({ catalog, namespace }) {
      await catalog.dropNamespace(namespace);
      return { status: 204 };
    },
  },
  {
    method: "POST",
    path: "namespaces/{namespace}/properties",
    async handle({ catalog, namespace, body }) {
      const request = await body();
      const removals = request["removals"] == null ? [] : stringsIn(request, "removals");
      return {
        status: 200,
        body: await catalog.changeNamespaceProperties(namespace, {
          updates: stringMapIn(request, "updates"),
          removals,
        }),
      };
    },
  },
];
