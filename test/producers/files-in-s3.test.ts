import { after, before } from "node:test";
import { startS3 } from "../backup/s3-server.ts";
import { describeFilesInS3 } from "./files/in-s3.ts";

let server: Awaited<ReturnType<typeof startS3>>;
before(async () => {
  server = await startS3();
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: server.url,
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test-secret",
  });
});
after(() => server.close());

// The cluster's tests run the same against MinIO.
describeFilesInS3("a server with the subset of S3 that the storage uses", async () => ({
  bucket: "lake",
  put: async (key, bytes) => void server.objects.set(`lake/${key}`, Buffer.from(bytes)),
  keys: async (prefix) => [...server.objects.keys()].filter((name) => name.startsWith(`lake/${prefix}`)),
}));
