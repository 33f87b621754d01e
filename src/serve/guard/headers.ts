import type { MiddlewareHandler } from "hono";

/** Nothing from elsewhere, nothing inline, in nobody's frame. Images may be data: icons are drawn in styles. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

export const CONTENT_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  // Not "no-referrer": with that a browser hides whose form it is that it sends, and nobody could log in.
  "referrer-policy": "same-origin",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** Where pages lie that are not ours: Great Expectations writes them, with words of whoever sent the data in them. */
export const DATA_DOCS_PATH = "/data-docs/";

/**
 * Styles stand in those pages, and nothing else is let in or run: no script, form, picture or frame, wherever it comes from. Their
 * origin stays ours, so that who is logged in can follow their links; without scripts nothing can make use of it.
 */
const DATA_DOCS_POLICY = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "sandbox allow-same-origin",
].join("; ");

export const secureHeaders: MiddlewareHandler = async (context, next) => {
  await next();
  for (const [name, value] of Object.entries(CONTENT_HEADERS)) context.res.headers.set(name, value);
  if (context.req.path.startsWith(DATA_DOCS_PATH)) context.res.headers.set("content-security-policy", DATA_DOCS_POLICY);
};
