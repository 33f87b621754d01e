import { isIP } from "node:net";
import { hostname } from "node:os";
import type { MiddlewareHandler } from "hono";
import { requestError } from "../problem.ts";

const LOOPBACK_NAMES = new Set(["localhost", "127.0.0.1", "[::1]"]);
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * Rejects requests that another site sends through a visitor's browser. A foreign Host header means that another domain
 * points at this address (DNS rebinding); a foreign Origin header means a script or form of another site.
 */
export function checkOrigin(bound_host: string): MiddlewareHandler {
  const isOwnHost = hostTest(bound_host);
  return async (context, next) => {
    const host = context.req.header("host")?.toLowerCase() ?? "";
    if (!isOwnHost(host)) {
      throw requestError(
        "FOREIGN_HOST",
        "The Host header does not name this server",
        `Use the address that the server was started with: ${bound_host}.`,
      );
    }
    const must_be_own = !SAFE_METHODS.has(context.req.method) || context.req.path === "/api/events";
    if (must_be_own && isForeign(host, context.req.header("origin"), context.req.header("sec-fetch-site"))) {
      throw requestError(
        "CROSS_SITE",
        "The request came from another site",
        "Use the dashboard of this server, or a client that sends no Origin header.",
      );
    }
    await next();
  };
}

function hostTest(bound_host: string): (host: string) => boolean {
  const is_any = bound_host === "0.0.0.0" || bound_host === "::" || bound_host === "";
  const own = bound_host.includes(":") ? `[${bound_host.toLowerCase()}]` : bound_host.toLowerCase();
  return (host) => {
    const name = nameIn(host);
    if (name === null) return false;
    if (LOOPBACK_NAMES.has(name)) return true;
    // IP addresses cannot be rebound, names can.
    if (is_any) return isIP(name.replace(/^\[|\]$/g, "")) !== 0 || name === hostname().toLowerCase();
    return name === own;
  };
}

/** The name in `name:port`, with brackets; null if malformed. */
function nameIn(host: string): string | null {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(host)?.[1] ?? null;
}

function isForeign(host: string, origin: string | undefined, fetch_site: string | undefined): boolean {
  if (fetch_site === "cross-site" || fetch_site === "same-site") return true;
  if (origin === undefined) return false;
  return origin.toLowerCase() !== `http://${host}` && origin.toLowerCase() !== `https://${host}`;
}
