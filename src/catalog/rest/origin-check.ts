import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { OperatingError } from "../../base/errors.ts";

/** Protection of the catalog against requests from web pages and clients without the token. */

const LOOPBACK_NAMES = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** Values of Sec-Fetch-Site for a typed address and for pages of this server, which has none. */
const OWN_SITES = new Set(["none", "same-origin"]);

export function isLoopback(host: string): boolean {
  return host === "::1" || LOOPBACK_NAMES.has(host);
}

/**
 * A web page can make its visitor's browser send requests here: under a name that resolves to this machine (the Host
 * header shows it; checked if the server listens on loopback only), or from another origin (the Origin or
 * Sec-Fetch-Site header shows it). Catalog clients send neither of these two headers. Throws FORBIDDEN.
 */
export function checkSender({ headers }: IncomingMessage, bound_host: string): void {
  const { host, origin, "sec-fetch-site": site } = headers;
  const reject = (what: string) => {
    throw new OperatingError(
      "FORBIDDEN",
      `This catalog answers programs only, under the address it listens on; rejected ${what}`,
      {
        next_step: "Address the catalog as 127.0.0.1 or localhost, and not from a web page.",
      },
    );
  };
  const name = (host ?? "").replace(/:\d+$/, "").toLowerCase();
  if (isLoopback(bound_host) && !LOOPBACK_NAMES.has(name)) reject(`the host ${JSON.stringify(host ?? "")}`);
  if (origin !== undefined) reject(`the origin ${JSON.stringify(origin)}`);
  if (typeof site === "string" && !OWN_SITES.has(site)) reject(`a request from another site (${site})`);
}

/** Throws NOT_AUTHORIZED unless the request has the token; null allows every request. */
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

/** Compares in constant time for all lengths. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
