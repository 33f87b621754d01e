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
 * Refuses what another site's page sends through a visitor's browser. A Host that is not ours means that somebody's name was
 * pointed at this address (DNS rebinding); an Origin that is not ours means another site's script.
 */
export function checkOrigin(bound_host: string): MiddlewareHandler {
  const isOurs = hostTest(bound_host);
  return async (context, next) => {
    const host = context.req.header("host")?.toLowerCase() ?? "";
    if (!isOurs(host)) {
      throw requestError(
        "FOREIGN_HOST",
        "This server does not go by the name in the Host header.",
        `Address it as it was started: ${bound_host}.`,
      );
    }
    const must_be_own = !SAFE_METHODS.has(context.req.method) || context.req.path === "/api/events";
    if (must_be_own && isForeign(host, context.req.header("origin"), context.req.header("sec-fetch-site"))) {
      throw requestError(
        "CROSS_SITE",
        "Another site's page sent this request.",
        "Use the page that this server itself gives, or a program without an Origin header.",
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
    // An address cannot be rebound, a name can.
    if (is_any) return isIP(name.replace(/^\[|\]$/g, "")) !== 0 || name === hostname().toLowerCase();
    return name === own;
  };
}

/** The name of `name:port`, brackets kept; null for what is none. */
function nameIn(host: string): string | null {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(host)?.[1] ?? null;
}

function isForeign(host: string, origin: string | undefined, fetch_site: string | undefined): boolean {
  if (fetch_site === "cross-site" || fetch_site === "same-site") return true;
  if (origin === undefined) return false;
  return origin.toLowerCase() !== `http://${host}` && origin.toLowerCase() !== `https://${host}`;
}
