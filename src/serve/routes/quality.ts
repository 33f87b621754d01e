import { z } from "@hono/zod-openapi";
import { isoFromMicros } from "../../base/clock.ts";
import type { LoadedTable } from "../../iceberg/model.ts";
import { live } from "../../query/ask.ts";
import { failedOf, testsOf } from "../../transform/test-results.ts";
import { identifierOf } from "../../query/tables.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { register, type App } from "../endpoint.ts";
import type { ServerDependencies } from "../dependencies.ts";
import type { PipelineHandle } from "../pipeline-handle.ts";
import { Quality, RejectedElements } from "../schemas/quality.ts";
import { PageQuery, Time } from "../schemas/values.ts";
import { isoOfSql } from "../times.ts";

/** Counting by reason scans a column of the whole table, so the result is cached. */
const COUNTS_MS = { fresh_ms: 2_000, stale_ms: 10_000 };

const Position = z.object({ ingested_at: Time, partition: z.int(), offset: z.int(), element_index: z.int() });
const RejectedQuery = PageQuery.extend({ reason: z.string().max(100).optional() });

/** Test results, reconciliation counts and rejected elements. */
export function qualityRoutes(app: App, { handle, tables, reader, health }: ServerDependencies): void {
  const { reconciliation } = handle.pipeline;
  const rowsOf = async (name: string, loaded: readonly LoadedTable[]) => {
    const { namespace, name: own } = identifierOf(name);
    const table = loaded.find(({ identifier }) => identifier.namespace[0] === namespace[0] && identifier.name === own);
    return table === undefined ? 0 : (await tables.figures(table, 0)).rows;
  };
  register(app, {
    method: "get",
    path: "/api/quality",
    tag: "Quality",
    summary: "Last test results, and counts of accepted, duplicate and rejected elements",
    response: Quality,
    async handle() {
      const loaded = await tables.all();
      const rejected = await reader.cache.get("rejected by reason", COUNTS_MS, () =>
        reader.now().rows(
          `select reason, count(*) as count, max(ingested_at) as last_at
            from ${live(reconciliation.rejected)}
            group by reason
            order by count desc, reason`,
        ),
      );
      return {
        tests: describeTests(handle),
        has_tables: loaded.some(
          ({ identifier: { namespace, name } }) => `${namespace[0]}.${name}` === reconciliation.accepted,
        ),
        rejected: rejected.map((row) => ({
          reason: row["reason"] ?? "",
          count: Number(row["count"]),
          last_at: isoOfSql(row["last_at"]),
        })),
        accepted: await rowsOf(reconciliation.accepted, loaded),
        duplicates: await rowsOf(reconciliation.duplicates, loaded),
        rejected_today: await health.rejectedToday(await health.layers()),
      };
    },
  });
  register(app, {
    method: "get",
    path: "/api/quality/rejected",
    tag: "Quality",
    summary: "List rejected elements as received, newest first",
    query: RejectedQuery,
    response: RejectedElements,
    async handle({ query: { reason, limit, cursor } }) {
      const found = await reader.now().rows(rejectedSql(handle, reason, limit + 1, decodeCursor(cursor, Position)));
      const items = found.slice(0, limit).map(describeElement);
      const last = items.at(-1);
      const next =
        found.length > limit && last !== undefined
          ? encodeCursor({
              ingested_at: last.ingested_at,
              partition: last.partition,
              offset: last.offset,
              element_index: last.element_index,
            })
          : null;
      return { items, next };
    },
  });
}

function describeTests({ tests }: PipelineHandle): z.input<typeof Quality>["tests"] {
  const last = tests();
  if (last === null) return null;
  const nodes = testsOf(last.result).map(({ name, status, seconds, failures, message }) => ({
    name,
    status,
    seconds,
    failures,
    message,
  }));
  const passed = nodes.filter(({ status }) => status === "pass").length;
  return { ran_at: isoFromMicros(last.ran_at_us), passed, failed: failedOf(last.result).length, nodes };
}

function rejectedSql(
  { pipeline }: PipelineHandle,
  reason: string | undefined,
  limit: number,
  after: z.output<typeof Position> | null,
): string {
  const { rejected, rejected_subject: subject = pipeline.live.columns.subject } = pipeline.reconciliation;
  const conditions = ["true"];
  if (reason !== undefined) conditions.push(`reason = ${quote(reason)}`);
  if (after !== null) {
    const { partition, offset, element_index } = after;
    const position = `${quote(after.ingested_at)}::timestamptz, ${partition}, ${offset}, ${element_index}`;
    conditions.push(`row(ingested_at, log_partition, log_offset, element_index) < row(${position})`);
    conditions.push(`ingested_at <= ${quote(after.ingested_at)}::timestamptz`);
  }
  return `
    select reason, element, source, ${subject} as subject, ingested_at, log_topic, log_partition, log_offset,
      element_index
    from ${live(rejected)}
    where ${conditions.join(" and ")}
    order by ingested_at desc, log_partition desc, log_offset desc, element_index desc limit ${limit}`;
}

function describeElement(row: Record<string, string | null>) {
  return {
    reason: row["reason"] ?? "",
    element: row["element"] ?? null,
    source: row["source"] ?? null,
    subject: row["subject"] ?? null,
    ingested_at: isoOfSql(row["ingested_at"]),
    topic: row["log_topic"] ?? "",
    partition: Number(row["log_partition"]),
    offset: Number(row["log_offset"]),
    element_index: Number(row["element_index"]),
  };
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
