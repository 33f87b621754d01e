import { OperatingError } from "../base/errors.ts";
import type { Environment } from "./environment.ts";

/**
 * Environment variable with the token of the Iceberg catalog; unlike arguments, it is visible only to the process's
 * user.
 */
export const CATALOG_TOKEN_VARIABLE = "COINLAKE_CATALOG_TOKEN";

const MIN_CHARACTERS = 16;
/** Characters allowed in a header (RFC 6750, section 2.1, b64token, and other printable characters). */
const TOKEN = /^[\x21-\x7e]+$/;

/** The token that catalog clients must send; null if none is set. Throws CATALOG_TOKEN_INVALID. */
export function catalogTokenFrom(env: Environment): string | null {
  const token = env[CATALOG_TOKEN_VARIABLE];
  if (token === undefined || token === "") return null;
  if (token.length >= MIN_CHARACTERS && TOKEN.test(token)) return token;
  throw new OperatingError(
    "CATALOG_TOKEN_INVALID",
    "Invalid catalog token: it is too short, or contains spaces or non-ASCII characters",
    {
      next_step: `Use at least ${MIN_CHARACTERS} characters, such as the output of \`openssl rand -hex 16\`.`,
    },
  );
}
