import { createHash } from "node:crypto";
import { badRequest, noSuchTable } from "../../iceberg/errors.ts";
import { formatJson } from "../../iceberg/json.ts";
import { isSameLong } from "../../iceberg/long.ts";
import type { SortOrder } from "../../iceberg/metadata/draft.ts";
import { formatMetadata } from "../../iceberg/metadata/text.ts";
import type {
  LoadedTable,
  PartitionSpec,
  Requirement,
  Schema,
  TableChange,
  TableIdentifier,
  TableMetadata,
  Update,
} from "../../iceberg/model.ts";
import {
  arrayIn,
  asObject,
  booleanIn,
  objectIn,
  stringIn,
  stringMapIn,
  stringsIn,
  type JsonObject,
} from "../../iceberg/shape.ts";
import type { Answer } from "./answers.ts";
import { pageOf, tableOf, type Call, type Route } from "./router.ts";

export const TABLE_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "namespaces/{namespace}/tables",
    async handle({ catalog, namespace, query }) {
      const { items, next_page_token } = await catalog.listTablesPage(namespace, pageOf(query));
      return { status: 200, body: { identifiers: items, "next-page-token": next_page_token } };
    },
  },
  {
    method: "POST",
    path: "namespaces/{namespace}/tables",
    async handle({ catalog, namespace, body }) {
      const request = await body();
      const table = readCreateRequest(namespace, request);
      if (!booleanIn(request, "stage-create")) return tableAnswer(await catalog.createTable(table));
      const metadata = await catalog.stageTable(table);
      return {
        status: 200,
        parts: [Buffer.from('{"metadata":'), ...formatMetadata(metadata), Buffer.from(',"config":{}}')],
      };
    },
  },
  {
    method: "GET",
    path: "namespaces/{namespace}/tables/{table}",
    async handle(call) {
      const mode = call.query.get("snapshots") ?? "all";
      if (mode !== "all" && mode !== "refs") throw badRequest('snapshots must be "all" or "refs"');
      const loaded = await call.catalog.loadTable(tableOf(call));
      const table = isDuckDB(call) ? withoutFormerState(loaded) : loaded;
      // DuckDB ends its process, which may be this one, at a damaged file; other engines report an error.
      if (isDuckDB(call)) await call.catalog.inspect(table);
      const etag = etagOf(table, mode);
      if (call.headers["if-none-match"]?.split(/,\s*/).includes(etag) === true)
        return { status: 304, headers: { etag } };
      const metadata = mode === "refs" ? withReferencedSnapshots(table.metadata) : table.metadata;
      return tableAnswer({ ...table, metadata }, etag);
    },
  },
  {
    method: "HEAD",
    path: "namespaces/{namespace}/tables/{table}",
    async handle(call) {
      if (!(await call.catalog.hasTable(tableOf(call)))) throw noSuchTable(tableOf(call));
      return { status: 204 };
    },
  },
  {
    method: "POST",
    path: "namespaces/{namespace}/tables/{table}",
    async handle(call) {
      const [table] = await call.catalog.commit([readChange(await call.body(), tableOf(call))]);
      if (table === undefined) throw noSuchTable(tableOf(call));
      return tableAnswer(table);
    },
  },
  {
    method: "DELETE",
    path: "namespaces/{namespace}/tables/{table}",
    async handle(call) {
      await call.catalog.dropTable(tableOf(call), {
        is_purging: call.query.get("purgeRequested")?.toLowerCase() === "true",
      });
      return { status: 204 };
    },
  },
  {
    method: "POST",
    path: "namespaces/{namespace}/register",
    async handle({ catalog, namespace, body }) {
      const request = await body();
      const table = await catalog.registerTable({
        identifier: { namespace, name: stringIn(request, "name") },
        metadata_location: stringIn(request, "metadata-location"),
        is_overwriting: booleanIn(request, "overwrite"),
      });
      return tableAnswer(table);
    },
  },
  {
    method: "POST",
    path: "namespaces/{namespace}/tables/{table}/metrics",
    async handle({ body }) {
      stringIn(await body(), "report-type");
      return { status: 204 };
    },
  },
  {
    method: "POST",
    path: "tables/rename",
    async handle({ catalog, body }) {
      const request = await body();
      await catalog.renameTable(
        readIdentifier(objectIn(request, "source")),
        readIdentifier(objectIn(request, "destination")),
      );
      return { status: 204 };
    },
  },
  {
    method: "POST",
    path: "transactions/commit",
    async handle({ catalog, body }) {
      const changes = arrayIn(await body(), "table-changes").map((item) => {
        const change = asObject(item, "table-change");
        return readChange(change, readIdentifier(objectIn(change, "identifier")));
      });
      await catalog.commit(changes);
      return { status: 204 };
    },
  },
];

/**
 * Omits the snapshots of a table without a current one, because DuckDB would read the last entry of the snapshot log.
 */
function withoutFormerState(table: LoadedTable): LoadedTable {
  const { metadata } = table;
  if (metadata["current-snapshot-id"] !== null || metadata.snapshots.length === 0) return table;
  return { ...table, metadata: { ...metadata, "snapshot-log": [], snapshots: [] } };
}

function isDuckDB({ headers }: Call): boolean {
  return headers["user-agent"]?.startsWith("duckdb/") === true;
}

/** Sends the metadata as cached chunks: with 2,000 snapshots it takes a megabyte, and every reader requests it. */
function tableAnswer(table: LoadedTable, etag = etagOf(table, "all")): Answer {
  const parts = [
    Buffer.from(`{"metadata-location":${formatJson(table.metadata_location)},"metadata":`),
    ...formatMetadata(table.metadata),
    Buffer.from(',"config":{}}'),
  ];
  return { status: 200, parts, headers: { etag } };
}

/** A metadata file is immutable, so its name identifies the content. */
function etagOf(table: LoadedTable, mode: string): string {
  return `"${createHash("sha256").update(`${mode} ${table.metadata_location}`).digest("hex").slice(0, 32)}"`;
}

/** Spec, loadTable, `snapshots=refs`: only the snapshots of branches and tags. */
function withReferencedSnapshots(metadata: TableMetadata): TableMetadata {
  const wanted = Object.values(metadata.refs).map((ref) => ref["snapshot-id"]);
  return {
    ...metadata,
    snapshots: metadata.snapshots.filter((snapshot) => wanted.some((id) => isSameLong(id, snapshot["snapshot-id"]))),
  };
}

function readIdentifier(identifier: JsonObject): TableIdentifier {
  return { namespace: stringsIn(identifier, "namespace"), name: stringIn(identifier, "name") };
}

/** The body may repeat the identifier; the one in the path takes precedence. */
function readChange(change: JsonObject, identifier: TableIdentifier): TableChange {
  const requirements = change["requirements"] == null ? [] : arrayIn(change, "requirements");
  return {
    identifier,
    requirements: requirements.map((item) => withString(item, "requirement", "type") as Requirement),
    updates: arrayIn(change, "updates").map((item) => withString(item, "update", "action") as Update),
  };
}

function withString(item: unknown, what: string, key: string): JsonObject {
  const object = asObject(item, what);
  stringIn(object, key);
  return object;
}

function readCreateRequest(namespace: string[], request: JsonObject) {
  return {
    identifier: { namespace, name: stringIn(request, "name") },
    schema: objectIn(request, "schema") as unknown as Schema,
    partition_spec: readFields(request, "partition-spec") as PartitionSpec | undefined,
    sort_order: readFields(request, "write-order") as SortOrder | undefined,
    properties: stringMapIn(request, "properties"),
    location: request["location"] == null ? undefined : stringIn(request, "location"),
  };
}

function readFields(request: JsonObject, key: string): unknown {
  if (request[key] == null) return undefined;
  const layout = objectIn(request, key);
  return { ...layout, fields: arrayIn(layout, "fields").map((field) => asObject(field, key)) };
}
