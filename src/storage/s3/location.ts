import { OperatingError } from "../../base/errors.ts";

export interface ObjectName {
  bucket: string;
  /** Without a leading slash; empty for the bucket itself. */
  key: string;
}

/**
 * `s3://bucket/folder/file`, with literal characters. Also accepts `s3a://`, which Hadoop writes. Throws
 * UNSUPPORTED_LOCATION for other schemes, and for `.` and `..`, which HTTP clients resolve before they send a path.
 */
export function objectOfLocation(location: string): ObjectName {
  const match = /^s3a?:\/\/([a-z0-9][a-z0-9.-]+)(?:\/(.*))?$/s.exec(location);
  const [, bucket, key = ""] = match ?? [];
  if (
    bucket === undefined ||
    key.includes("\0") ||
    key.split("/").some((segment) => segment === "." || segment === "..")
  ) {
    throw new OperatingError("UNSUPPORTED_LOCATION", `${JSON.stringify(location)} is no location in S3`, {
      next_step: "Use a location of the form s3://bucket/folder, without `.` or `..` in it.",
    });
  }
  return { bucket, key };
}

/**
 * The inverse, with the scheme of the request: a caller that lists `s3a://` compares the results with `s3a://`
 * locations.
 */
export function locationOfObject({ bucket, key }: ObjectName, asked: string): string {
  return `${asked.startsWith("s3a:") ? "s3a" : "s3"}://${bucket}/${key}`;
}
