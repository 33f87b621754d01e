import { AwsClient } from "aws4fetch";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { probe } from "../../src/services/machine/probe.ts";

/** The minimum of each service's protocol to store data and to read it back. */
export interface Found {
  COINLAKE_KAFKA_BROKERS: string;
  AWS_ENDPOINT_URL_S3: string;
  AWS_ACCESS_KEY_ID: string;
  AWS_SECRET_ACCESS_KEY: string;
  AWS_REGION: string;
  COINLAKE_HIVE_URI: string;
}

/** Runs Kafka's topic tool; resolves to its output. */
export function topics(found: Found, kafka_files: string, args: readonly string[]): string {
  const tool = [
    "-cp",
    join(kafka_files, "*"),
    "org.apache.kafka.tools.TopicCommand",
    "--bootstrap-server",
    found.COINLAKE_KAFKA_BROKERS,
  ];
  return execFileSync("java", [...tool, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

export function s3(found: Found, method: "PUT" | "GET", path: string, body?: string): Promise<Response> {
  const client = new AwsClient({
    accessKeyId: found.AWS_ACCESS_KEY_ID,
    secretAccessKey: found.AWS_SECRET_ACCESS_KEY,
    service: "s3",
    region: found.AWS_REGION,
  });
  return client.fetch(`${found.AWS_ENDPOINT_URL_S3}${path}`, { method, ...(body === undefined ? {} : { body }) });
}

/** The metastore's first access to S3 loads Amazon's SDK. */
const FIRST_ANSWER_MS = 60_000;
const STRING = 11;
const STRUCT = 12;

function thriftString(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
}

const field = (type: number, id: number) => Buffer.from([type, 0, id]);
const STOP = Buffer.from([0]);

async function thrift(found: Found, method: string, args: Buffer): Promise<string> {
  const port = Number(new URL(found.COINLAKE_HIVE_URI).port);
  const answer = await probe(
    port,
    Buffer.concat([Buffer.from("80010001", "hex"), thriftString(method), Buffer.from([0, 0, 0, 1]), args, STOP]),
    FIRST_ANSWER_MS,
  );
  return answer.toString("latin1");
}

/** hive_metastore.thrift: create_database(1: Database), Database { 1: name, 3: locationUri }. */
export function createDatabase(found: Found, name: string, location: string): Promise<string> {
  const database = Buffer.concat([
    field(STRING, 1),
    thriftString(name),
    field(STRING, 3),
    thriftString(location),
    STOP,
  ]);
  return thrift(found, "create_database", Buffer.concat([field(STRUCT, 1), database]));
}

export function databases(found: Found): Promise<string> {
  return thrift(found, "get_all_databases", Buffer.alloc(0));
}
