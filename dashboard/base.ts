/**
 * The path before this pipeline's pages and API: empty for the server's first pipeline, `/NAME` for the others, and
 * empty without a page (unit tests).
 */
export const base = typeof document === "undefined" ? "" : (document.documentElement.dataset["base"] ?? "");

/** The kind of the lake's data, as the page names it; undefined without a page. */
export const page_kind = typeof document === "undefined" ? undefined : document.documentElement.dataset["kind"];

/** The address of a page or route; `path` is within the pipeline. */
export function hrefOf(path: string): string {
  return base + path;
}

/** The path within the pipeline; null for an address outside it. */
export function pathWithin(address: string): string | null {
  if (address === base) return "/";
  return address.startsWith(`${base}/`) ? address.slice(base.length) : null;
}

/** The key of a setting that differs between pipelines. */
export function ownKey(name: string): string {
  return base === "" ? name : `${name} ${base}`;
}
