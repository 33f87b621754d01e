import { after, before } from "node:test";
import { s3SettingsFrom, type S3Settings } from "../../../src/storage/s3/settings.ts";
import { S3Storage } from "../../../src/storage/s3/storage.ts";
import { describeFilesInS3 } from "../../producers/files/in-s3.ts";
import { makeBucket, putObject } from "../s3.ts";
import { Servers } from "../servers.ts";

let servers: Servers;
let settings: S3Settings;
before(async () => {
  servers = await Servers.start("minio");
  settings = s3SettingsFrom(servers.environment);
  Object.assign(process.env, servers.environment);
});
after(() => servers.leave());

describeFilesInS3("MinIO", async () => {
  const bucket = await makeBucket(settings);
  return {
    bucket,
    put: (key, bytes) => putObject(settings, { bucket, key }, bytes),
    async keys(prefix) {
      const keys: string[] = [];
      for await (const { location } of new S3Storage(settings).list(`s3://${bucket}/${prefix}`)) keys.push(location);
      return keys;
    },
  };
});
