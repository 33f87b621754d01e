import { OperatingError } from "../../base/errors.ts";

/** Endpoint and credentials of S3. Contains a secret: never print, log or put it into a message. */
export interface S3Settings {
  /**
   * For example `http://127.0.0.1:9000`, without a trailing slash. Buckets are addressed by path, which every S3
   * supports.
   */
  endpoint: string;
  region: string;
  access_key_id: string;
  secret_access_key: string;
  /** Session token of temporary credentials; null for permanent ones. */
  session_token: string | null;
}

const DEFAULT_REGION = "us-east-1";

/**
 * Environment variables of S3 clients. They belong together: the keys, region and profile of one S3 are invalid for
 * another.
 */
export const S3_VARIABLES = [
  "AWS_ENDPOINT_URL_S3",
  "AWS_ENDPOINT_URL",
  "AWS_REGION",
  "AWS_DEFAULT_REGION",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_PROFILE",
] as const;

/**
 * Settings from the environment variables that every S3 client supports. Throws S3_CREDENTIALS_MISSING,
 * INVALID_S3_ENDPOINT.
 */
export function s3SettingsFrom(env: Readonly<Record<string, string | undefined>>): S3Settings {
  const access_key_id = env["AWS_ACCESS_KEY_ID"];
  const secret_access_key = env["AWS_SECRET_ACCESS_KEY"];
  if (!access_key_id || !secret_access_key) {
    throw new OperatingError(
      "S3_CREDENTIALS_MISSING",
      "An s3:// location needs credentials, and the environment names none",
      {
        next_step: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL where it is not Amazon's S3.",
      },
    );
  }
  const region = env["AWS_REGION"] || env["AWS_DEFAULT_REGION"] || DEFAULT_REGION;
  const endpoint = env["AWS_ENDPOINT_URL_S3"] || env["AWS_ENDPOINT_URL"] || `https://s3.${region}.amazonaws.com`;
  return {
    endpoint: checkedEndpoint(endpoint),
    region,
    access_key_id,
    secret_access_key,
    session_token: env["AWS_SESSION_TOKEN"] || null,
  };
}

function checkedEndpoint(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  const is_plain =
    url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.search === "" && url.hash === "";
  if (!is_plain) {
    throw new OperatingError("INVALID_S3_ENDPOINT", "The S3 endpoint is no URL of the form http://host:port", {
      next_step: "Set AWS_ENDPOINT_URL to the address of the S3 service, such as http://127.0.0.1:9000.",
    });
  }
  return url.href.replace(/\/+$/, "");
}
