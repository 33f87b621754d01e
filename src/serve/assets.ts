import { createHash } from "node:crypto";
import type { Context } from "hono";
import type { LakeKind } from "../producer/producer.ts";
import { matches } from "./endpoint.ts";
import { notFound } from "./problem.ts";

/** One built file of the dashboard. */
export interface Asset {
  body: Uint8Array;
  /** The compressed body; null if compression does not make it smaller. */
  gzip: Uint8Array | null;
  brotli: Uint8Array | null;
  type: string;
  /** Strong ETag, quoted. */
  etag: string;
  /** The name contains a hash of the content, so caches may keep the file for ever. */
  is_immutable: boolean;
}

/** Files by URL path; `/index.html` is the dashboard. */
export type Assets = ReadonlyMap<string, Asset>;

const PAGE = "/index.html";
const YEAR_S = 31_536_000;

/**
 * Serves a file from memory by its exact path; no request reaches the disk. A path without a dot in its last segment is
 * a client-side route of the dashboard and gets `index.html`.
 */
export function serveAsset(context: Context, assets: Assets): Response {
  const { path } = context.req;
  const asset = assets.get(path) ?? (isPagePath(path) ? assets.get(PAGE) : undefined);
  if (asset === undefined) throw notFound(`page ${path}`);
  const headers: Record<string, string> = {
    etag: asset.etag,
    "content-type": asset.type,
    "cache-control": asset.is_immutable ? `public, max-age=${YEAR_S}, immutable` : "no-cache",
    vary: "accept-encoding",
  };
  if (matches(context.req.header("if-none-match"), asset.etag)) return context.body(null, 304, headers);
  const { body, encoding } = encodedFor(asset, context.req.header("accept-encoding") ?? "");
  if (encoding !== null) headers["content-encoding"] = encoding;
  return context.body(body as Uint8Array<ArrayBuffer>, 200, headers);
}

/**
 * The files of a dashboard below `base`: its page names the base and the kind of the lake's data, which it shows before
 * the first answer. The other files are the same.
 */
export function assetsUnder(base: string, kind: LakeKind, assets: Assets): Assets {
  const page = assets.get(PAGE);
  if (page === undefined) return assets;
  const of_base = base === "" ? "" : `data-base="${base}" `;
  const text = Buffer.from(page.body).toString().replace("<html ", `<html ${of_base}data-kind="${kind}" `);
  const body = Buffer.from(text.replace('href="/api/', `href="${base}/api/`));
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  return new Map(assets).set(PAGE, { ...page, body, gzip: null, brotli: null, etag });
}

function isPagePath(path: string): boolean {
  const is_for_programs = path.startsWith("/api/") && path !== "/api/reference";
  return !is_for_programs && !(path.split("/").at(-1) ?? "").includes(".");
}

function encodedFor(asset: Asset, accepted: string): { body: Uint8Array; encoding: string | null } {
  const takes = (name: string) =>
    new RegExp(`(?:^|,)\\s*${name}\\s*(?:;\\s*q=(?!0(?:\\.0+)?\\s*(?:,|$))|,|$)`, "i").test(accepted);
  if (asset.brotli !== null && takes("br")) return { body: asset.brotli, encoding: "br" };
  if (asset.gzip !== null && takes("gzip")) return { body: asset.gzip, encoding: "gzip" };
  return { body: asset.body, encoding: null };
}
