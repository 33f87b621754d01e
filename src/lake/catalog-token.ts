import { readSetting, type Environment, type SettingName } from "../base/settings.ts";
import { OperatingError } from "../base/errors.ts";

/** Names the token of the Iceberg catalog. The environment of a process, unlike its arguments, shows to its user alone. */
export const CATALOG_TOKEN_VARIABLE: SettingName = "COINLAKE_CATALOG_TOKEN";

const MIN_CHARACTERS = 16;
/** What a header can hold (RFC 6750, section 2.1, b64token, and other printable characters). */
const TOKEN = /^[\x21-\x7e]+$/;

/** The token that clients of the catalog must send; null where there is none. Throws INVALID_CATALOG_TOKEN. */
export function catalogTokenFrom(env: Environment): string | null {
  const token = readSetting(CATALOG_TOKEN_VARIABLE, env);
  if (token === null) return null;
  if (token.length >= MIN_CHARACTERS && TOKEN.test(token)) return token;
  throw new OperatingError(
    "INVALID_CATALOG_TOKEN",
    "The catalog's token is too short, or holds spaces or characters other than ASCII",
    {
      next_step: `Use at least ${MIN_CHARACTERS} characters, such as the output of \`openssl rand -hex 16\`.`,
    },
  );
}
