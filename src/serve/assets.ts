import type { Context } from "hono";
import { matches } from "./endpoint.ts";
import { notFound } from "./problem.ts";

/** One file of the page, as built. */
export interface Asset {
  body: Uint8Array;
  /** The same bytes, compressed; null where compression gains nothing. */
  gzip: Uint8Array | null;
  brotli: Uint8Array | null;
  type: string;
  /** Strong, quoted. */
  etag: string;
  /** Its name holds its content's hash. */
  is_immutable: boolean;
}

/** By URL path; `/index.html` is the page. */
export type Assets = ReadonlyMap<string, Asset>;

const PAGE = "/index.html";
const YEAR_S = 31_536_000;

/**
 * Answers from memory, by exact name: no path leads to a disk. A path that looks like a page's (no dot in its last part) is the
 * page's own to interpret.
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
