import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { OperatingError } from "../../base/errors.ts";

/** Who may use the catalog. */

const LOOPBACK_NAMES = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** A person who typed the address, and the server's own pages, of which there are none. */
const OWN_SITES = new Set(["none", "same-origin"]);

export function isLoopback(host: string): boolean {
  return host === "::1" || LOOPBACK_NAMES.has(host);
}

/**
 * A web page can make its visitor's browser send requests here: under a name that resolves to this machine (then Host shows it;
 * checked where the server listens on loopback only), or from another origin (then Origin or Sec-Fetch-Site shows it). Clients of
 * catalogs send neither of those two. Throws FORBIDDEN.
 */
export function checkSender({ headers }: IncomingMessage, bound_host: string): void {
  const { host, origin, "sec-fetch-site": site } = headers;
  const refuse = (what: string) => {
    throw new OperatingError(
      "FORBIDDEN",
      `This catalog answers programs only, under the address it listens on; refused ${what}`,
      {
        next_step: "Address the catalog as 127.0.0.1 or localhost, and not from a web page.",
      },
    );
  };
  const name = (host ?? "").replace(/:\d+$/, "").toLowerCase();
  if (isLoopback(bound_host) && !LOOPBACK_NAMES.has(name)) refuse(`the host ${JSON.stringify(host ?? "")}`);
  if (origin !== undefined) refuse(`the origin ${JSON.stringify(origin)}`);
  if (typeof site === "string" && !OWN_SITES.has(site)) refuse(`a request from another site (${site})`);
}

/** Throws NOT_AUTHORIZED unless the request shows the token; null asks for none. */
export function checkBearer({ headers }: IncomingMessage, token: string | null): void {
  if (token === null) return;
  const given = /^Bearer +(.+)$/i.exec(headers.authorization ?? "")?.[1];
  if (given !== undefined && isSame(given.trim(), token)) return;
  throw new OperatingError(
    "NOT_AUTHORIZED",
    given === undefined ? "This catalog asks for its token" : "The token is wrong",
    {
      next_step: "Send the header authorization: Bearer TOKEN, with the catalog's token (COINLAKE_CATALOG_TOKEN).",
    },
  );
}

/** In constant time for all lengths. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
