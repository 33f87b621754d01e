import type { MiddlewareHandler } from "hono";

/** No third-party or inline content, no framing. `data:` images are allowed: styles contain icons. */
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
  // Not "no-referrer": browsers would then send the login form with `Origin: null`, which the origin check rejects.
  "referrer-policy": "same-origin",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** Path of the Data Docs. Great Expectations writes these pages, and they contain values from untrusted sources. */
export const DATA_DOCS_PATH = "/data-docs/";

/**
 * Data Docs may use inline styles and `data:` images; scripts, forms and frames are blocked. They keep this server's
 * origin, so that the session cookie is sent when a user follows their links; without scripts the origin gives them no
 * access.
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
