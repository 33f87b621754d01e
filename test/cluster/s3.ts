import assert from "node:assert/strict";
import { AwsClient } from "aws4fetch";
import { randomUUID } from "node:crypto";
import type { ObjectName } from "../../src/storage/s3/location.ts";
import type { S3Settings } from "../../src/storage/s3/settings.ts";

/** Writes to S3 as other programs do, without this project's storage. */
async function put(settings: S3Settings, path: string, body: Uint8Array): Promise<void> {
  const client = new AwsClient({
    accessKeyId: settings.access_key_id,
    secretAccessKey: settings.secret_access_key,
    service: "s3",
    region: settings.region,
  });
  const response = await client.fetch(`${settings.endpoint}/${path}`, { method: "PUT", body: Buffer.from(body) });
  assert.ok(response.ok, `PUT ${path}: ${response.status} ${await response.text()}`);
}

/** Creates a bucket for the caller; returns its name. */
export async function makeBucket(settings: S3Settings): Promise<string> {
  const bucket = `test-${randomUUID()}`;
  await put(settings, bucket, new Uint8Array());
  return bucket;
}

export async function putObject(settings: S3Settings, { bucket, key }: ObjectName, body: Uint8Array): Promise<void> {
  await put(settings, [bucket, ...key.split("/")].map(encodeURIComponent).join("/"), body);
}
