import { join } from "node:path";
import { buildWithGo } from "../fetch/go.ts";
import { servicePort, type Service, type ServiceContext } from "../service.ts";
import { makeFolder } from "../../base/folder.ts";

/** Date of the sources. */
const VERSION = "2026-02-12";
const ANSWER_TIMEOUT_MS = 2_000;
const REGION = "us-east-1";

/** Bucket of the tables. */
const WAREHOUSE_BUCKET = "warehouse";

/** MinIO: object storage over Amazon S3's protocol, in one folder. */
export const minio: Service = {
  name: "minio",
  title: "MinIO",
  version: VERSION,
  needs: [],
  ports: [servicePort("minio", "COINLAKE_MINIO_PORT")],
  stop_signal: "SIGTERM",

  async fetch(cache) {
    return { folder: await buildWithGo(cache, "minio", VERSION, "github.com/minio/minio"), version: VERSION };
  },

  async configure(context) {
    // A folder in the server's data folder is a bucket.
    makeFolder(join(dataFolder(context), WAREHOUSE_BUCKET));
  },

  command: (context) => ({
    program: join(context.files, "minio"),
    args: [
      "server",
      "--quiet",
      "--anonymous",
      "--address",
      `127.0.0.1:${context.ports.minio}`,
      "--config-dir",
      join(context.folder, "config"),
      dataFolder(context),
    ],
    env: {
      MINIO_ROOT_USER: context.secrets.s3_access_key,
      MINIO_ROOT_PASSWORD: context.secrets.s3_secret_key,
      MINIO_REGION: REGION,
      MINIO_BROWSER: "off",
      // MinIO does not look for a newer version.
      MINIO_UPDATE: "off",
    },
  }),

  async isHealthy({ ports }) {
    const { ok } = await fetch(`${endpoint(ports)}/minio/health/ready`, {
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    return ok;
  },

  /** The variables that Amazon's SDKs, Spark and PyIceberg read. */
  provides: ({ ports, secrets }) => ({
    AWS_ENDPOINT_URL_S3: endpoint(ports),
    AWS_ACCESS_KEY_ID: secrets.s3_access_key,
    AWS_SECRET_ACCESS_KEY: secrets.s3_secret_key,
    AWS_REGION: REGION,
    COINLAKE_WAREHOUSE: `s3://${WAREHOUSE_BUCKET}`,
  }),
};

function endpoint(ports: Readonly<Record<string, number>>): string {
  return `http://127.0.0.1:${ports.minio}`;
}

function dataFolder(context: ServiceContext): string {
  return join(context.folder, "data");
}
