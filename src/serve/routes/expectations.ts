import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "@hono/zod-openapi";
import {
  docsFolder,
  isCritical,
  nameOf,
  readResult,
  type BatchResult,
  type QualityResult,
} from "../../quality/result.ts";
import { matches, register, type App } from "../endpoint.ts";
import { DATA_DOCS_PATH } from "../guard/headers.ts";
import type { ServerDependencies } from "../dependencies.ts";
import { notFound } from "../problem.ts";
import { Expectations } from "../schemas/expectations.ts";

const HOME = `${DATA_DOCS_PATH}index.html`;
/** Paths of Data Docs pages. No segment is empty or starts with a dot, so a path cannot leave the folder. */
const PAGE = /^(?:\w[\w.-]*\/)*\w[\w.-]*\.html$/;
const NEVER_CHECKED: z.input<typeof Expectations> = { checked_at: null, is_met: true, data_docs: null, tables: [] };

/** The last validation by Great Expectations, and its Data Docs. */
export function expectationRoutes(app: App, { handle, base }: ServerDependencies): void {
  const { lake } = handle.open;
  register(app, {
    method: "get",
    path: "/api/quality/expectations",
    tag: "Quality",
    summary: "Last validation of silver and gold by Great Expectations, by table",
    description: "The command `coinlake quality` runs the validation.",
    response: Expectations,
    async handle() {
      const result = readResult(lake);
      return result === null ? NEVER_CHECKED : describe(result, base);
    },
  });
  app.get(DATA_DOCS_PATH.slice(0, -1), (context) => context.redirect(`${base}${HOME}`, 302));
  app.get(`${DATA_DOCS_PATH}*`, async (context) => {
    const path = context.req.path.slice(DATA_DOCS_PATH.length) || "index.html";
    const body = PAGE.test(path) ? await pageAt(join(docsFolder(lake), path)) : null;
    if (body === null)
      throw notFound(`page ${context.req.path}: no validation has run yet, or its Data Docs were deleted`);
    const etag = `"${createHash("sha1").update(body).digest("base64url")}"`;
    const headers = { etag, "cache-control": "no-cache", "content-type": "text/html; charset=utf-8" };
    return matches(context.req.header("if-none-match"), etag)
      ? context.body(null, 304, headers)
      : context.body(body, 200, headers);
  });
}

async function pageAt(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG"].includes((error as NodeJS.ErrnoException).code ?? ""))
      return null;
    throw error;
  }
}

function describe({ checked_at, tables }: QualityResult, base: string): z.input<typeof Expectations> {
  const is_met = !tables.some(({ batches }) => batches.some(({ failed }) => failed.some(isCritical)));
  return {
    checked_at,
    is_met,
    data_docs: `${base}${HOME}`,
    tables: tables.map(({ table, batches }) => describeTable(table, batches)),
  };
}

function describeTable(table: string, batches: readonly BatchResult[]): z.input<typeof Expectations>["tables"][number] {
  return {
    table,
    checked_at:
      batches
        .map((batch) => batch.checked_at)
        .sort()
        .at(-1) ?? "",
    parts: batches.length,
    rows: batches.reduce((sum, { rows }) => sum + rows, 0),
    expectations: batches.reduce((sum, { expectations }) => sum + expectations, 0),
    unmet: batches.flatMap(({ part, failed }) =>
      failed.map((expectation) => {
        const { type, columns, severity, observed, unexpected_rows, sample, error } = expectation;
        return { name: nameOf(expectation), type, columns, severity, part, observed, unexpected_rows, sample, error };
      }),
    ),
  };
}
