import { z } from "@hono/zod-openapi";
import { nameOfTable } from "../../iceberg/errors.ts";
import type { LoadedTable } from "../../iceberg/model.ts";
import { contentName, rowsLeft, snapshotsOf, type TableReports } from "../../query/tables.ts";
import { pageOfList } from "../cursor.ts";
import { amplificationOf } from "../disk-usage.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { Files, Snapshots, TableDetail, Tables } from "../schemas/tables.ts";
import { PageQuery } from "../schemas/values.ts";
import { retentionOf } from "./maintenance.ts";

const TableName = z.object({ table: z.string().max(200).openapi({ example: "gold.fact_hourly" }) });

/** Tables with their figures, from metadata and manifests. */
export function lakeRoutes(app: App, { tables, disk, handle }: ServerDependencies): void {
  const now_ms = () => handle.clock.now_us() / 1000;
  const figuresOfTable = async (table: LoadedTable) => {
    const figures = await tables.figures(table, now_ms());
    const on_disk = (await disk.measured()).get(figures.table) ?? { disk_files: null, disk_bytes: null };
    return { ...figures, ...on_disk, amplification: amplificationOf(on_disk.disk_bytes, figures.size_bytes) };
  };
  register(app, {
    method: "get",
    path: "/api/tables",
    tag: "Lake",
    summary: "List tables with their rows, files, partitions and last commit",
    query: PageQuery,
    response: Tables,
    async handle({ query }) {
      const loaded = pageOfList(await tables.all(), query.limit, query.cursor);
      return { ...loaded, items: await Promise.all(loaded.items.map(figuresOfTable)) };
    },
  });
  register(app, {
    method: "get",
    path: "/api/tables/{table}",
    tag: "Lake",
    summary: "Get a table: columns, partitions, properties",
    params: TableName,
    response: TableDetail,
    async handle({ params }) {
      const table = await tables.load(params.table);
      const files = await tables.files(table);
      const by_partition = Map.groupBy(files, ({ partition }) => partition);
      return {
        ...(await figuresOfTable(table)),
        ...describeTable(table),
        retention: retentionOf(handle),
        by_partition: [...by_partition]
          .map(([partition, own]) => figuresOf(partition, own))
          .toSorted((a, b) => (a.partition < b.partition ? -1 : 1)),
      };
    },
  });
  contentRoutes(app, tables);
}

/** The snapshots and files of a table. */
function contentRoutes(app: App, tables: TableReports): void {
  register(app, {
    method: "get",
    path: "/api/tables/{table}/snapshots",
    tag: "Lake",
    summary: "List a table's snapshots, newest first, with operation and committer",
    params: TableName,
    query: PageQuery,
    response: Snapshots,
    async handle({ params, query }) {
      const table = await tables.load(params.table);
      const page = pageOfList(snapshotsOf(table), query.limit, query.cursor);
      return { ...page, items: await tables.withTotals(table, page.items) };
    },
  });
  register(app, {
    method: "get",
    path: "/api/tables/{table}/files",
    tag: "Lake",
    summary: "List the files of a table's current snapshot",
    params: TableName,
    query: PageQuery,
    response: Files,
    async handle({ params, query }) {
      const table = await tables.load(params.table);
      const page = pageOfList(await tables.files(table), query.limit, query.cursor);
      const base = `${table.metadata.location}/`;
      return {
        ...page,
        items: page.items.map((file) => ({ ...file, content: contentName(file), path: file.path.replace(base, "") })),
      };
    },
  });
}

function describeTable({ metadata, identifier }: LoadedTable) {
  const schema = metadata.schemas.find((candidate) => candidate["schema-id"] === metadata["current-schema-id"]);
  const spec = metadata["partition-specs"].find((candidate) => candidate["spec-id"] === metadata["default-spec-id"]);
  return {
    table: nameOfTable(identifier),
    location: metadata.location,
    format_version: metadata["format-version"],
    columns: (schema?.fields ?? []).map(({ name, type, required, doc }) => ({
      name,
      type: typeof type === "string" ? type : JSON.stringify(type),
      is_required: required,
      description: doc ?? null,
    })),
    partition_by: (spec?.fields ?? []).map((field) => {
      const column = schema?.fields.find(({ id }) => id === field["source-id"])?.name ?? field.name;
      return field.transform === "identity" ? column : `${field.transform}(${column})`;
    }),
    properties: metadata.properties,
  };
}

function figuresOf(partition: string, files: readonly { content: number; rows: number; size_bytes: number }[]) {
  const data = files.filter(({ content }) => content === 0);
  return {
    partition,
    rows: rowsLeft(files),
    files: data.length,
    delete_files: files.length - data.length,
    size_bytes: files.reduce((total, { size_bytes }) => total + size_bytes, 0),
  };
}
