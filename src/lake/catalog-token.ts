import { readSetting, type Environment, type SettingName } from "../base/settings.ts";
import { OperatingError } from "../base/errors.ts";

/**
 * Environment variable with the token of the Iceberg catalog; unlike arguments, it is visible only to the process's
 * user.
 */
export const CATALOG_TOKEN_VARIABLE: SettingName = "COINLAKE_CATALOG_TOKEN";

const MIN_CHARACTERS = 16;
/** Characters allowed in a header (RFC 6750, section 2.1, b64token, and other printable characters). */
const TOKEN = /^[\x21-\x7e]+$/;

/** The token that catalog clients must send; null if none is set. Throws INVALID_CATALOG_TOKEN. */
export function catalogTokenFrom(env: Environment): string | null {
  const token = readSetting(CATALOG_TOKEN_VARIABLE, env);
  if (token === null) return null;
  if (token.length >= MIN_CHARACTERS && TOKEN.test(token)) return token;
  throw new OperatingError(
    "INVALID_CATALOG_TOKEN",
    "Invalid catalog token: it is too short, or contains spaces or non-ASCII characters",
    {
      next_step: `Use at least ${MIN_CHARACTERS} characters, such as the output of \`openssl rand -hex 16\`.`,
    },
  );
}
