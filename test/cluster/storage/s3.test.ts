import assert from "node:assert/strict";
import { createServer, request as send, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { after, before, describe, test } from "node:test";
import { objectOfLocation } from "../../../src/storage/s3/location.ts";
import { s3SettingsFrom, type S3Settings } from "../../../src/storage/s3/settings.ts";
import { S3Storage } from "../../../src/storage/s3/storage.ts";
import { describeStorage } from "../../storage/contract.ts";
import { makeBucket, putObject } from "../s3.ts";
import { Servers } from "../servers.ts";

let servers: Servers;
let settings: S3Settings;
let bucket = "";
before(async () => {
  servers = await Servers.start("minio");
  settings = s3SettingsFrom(servers.environment);
  bucket = await makeBucket(settings);
});
after(() => servers.leave());

let opened = 0;
describeStorage("MinIO", async () => {
  opened += 1;
  return {
    storage: new S3Storage(settings),
    root: `s3://${bucket}/root ${opened}`,
    writeAsEngine: (location, bytes) => putObject(settings, objectOfLocation(location), bytes),
  };
});

const bytesOf = (text: string) => new TextEncoder().encode(text);

test("a listing of more than one page has every file once", async () => {
  const storage = new S3Storage(settings);
  const names = Array.from({ length: 1_003 }, (_, index) => `s3://${bucket}/pages/${index} & more.txt`);
  for (let from = 0; from < names.length; from += 50)
    await Promise.all(names.slice(from, from + 50).map((name) => storage.write(name, bytesOf("x"))));
  const listed = [];
  for await (const file of storage.list(`s3://${bucket}/pages`)) listed.push(file.location);
  assert.deepEqual(listed.sort(), names.toSorted());
});

test("removing a folder deletes Hadoop's marker of it and keeps the files below it", async () => {
  const storage = new S3Storage(settings);
  const root = `s3://${bucket}/marked`;
  await putObject(settings, objectOfLocation(`${root}/t/`), new Uint8Array());
  await storage.write(`${root}/t/data/file`, bytesOf("x"));
  await storage.removeFolder(`${root}/t`);
  assert.equal((await storage.read(`${root}/t/data/file`)).length, 1);
  await assert.rejects(storage.sync(`${root}/t/`), { code: "FILE_NOT_FOUND" });
});

test("an s3a location is the same object as its s3 location, and listings keep the scheme", async () => {
  const storage = new S3Storage(settings);
  await storage.write(`s3://${bucket}/hadoop/file`, bytesOf("same"));
  assert.equal(new TextDecoder().decode(await storage.read(`s3a://${bucket}/hadoop/file`)), "same");
  for await (const file of storage.list(`s3a://${bucket}/hadoop`))
    assert.equal(file.location, `s3a://${bucket}/hadoop/file`);
});

test("an S3 error has its reason and no secret", async () => {
  const stranger = new S3Storage({ ...settings, secret_access_key: "not-the-secret-key" });
  const rejections = [
    { ask: () => stranger.read(`s3://${bucket}/file`), code: "STORAGE_DENIED" },
    {
      ask: () => new S3Storage(settings).write("s3://no-such-bucket-here/file", bytesOf("x")),
      code: "BUCKET_NOT_FOUND",
    },
  ];
  for (const { ask, code } of rejections) {
    await assert.rejects(ask, (error: Error & { code?: string }) => {
      assert.equal(error.code, code);
      const shown = inspect(error, { depth: 10 });
      assert.ok(
        ![settings.access_key_id, settings.secret_access_key, "not-the-secret-key"].some((secret) =>
          shown.includes(secret),
        ),
        shown,
      );
      return true;
    });
  }
  assert.ok(!inspect(stranger, { depth: 10, showHidden: true }).includes("not-the-secret-key"));
});

test("an unreachable server is reported with its address, as a retryable error", async () => {
  const { url } = await closedPort();
  await assert.rejects(new S3Storage({ ...settings, endpoint: url }).read(`s3://${bucket}/file`), {
    code: "STORAGE_UNREACHABLE",
    is_retryable: true,
    message: new RegExp(url),
  });
});

describe("a lost response", () => {
  /** A proxy that forwards requests to MinIO, and can cut the connection instead of responding. */
  let cable: Server;
  let cut: (request: IncomingMessage, pass_number: number) => boolean = () => false;
  let passes = 0;
  let through: S3Settings;
  before(async () => {
    cable = createServer((request, response) => {
      passes += 1;
      const is_cut = cut(request, passes);
      passOn(request, settings.endpoint).then(
        (answer) => (is_cut ? request.socket.destroy() : give(answer, response)),
        () => request.socket.destroy(),
      );
    });
    await new Promise<void>((resolve) => cable.listen(0, "127.0.0.1", resolve));
    through = { ...settings, endpoint: `http://127.0.0.1:${(cable.address() as AddressInfo).port}` };
  });
  after(() => {
    cable.closeAllConnections();
    cable.close();
  });

  test("a write that was done although its response was lost succeeds", async () => {
    passes = 0;
    cut = (_, pass_number) => pass_number === 1;
    await new S3Storage(through).write(`s3://${bucket}/lost/own`, bytesOf("own"));
    assert.equal(new TextDecoder().decode(await new S3Storage(settings).read(`s3://${bucket}/lost/own`)), "own");
  });

  test("another writer's object with the same content is not mistaken for the own write", async () => {
    const name = `s3://${bucket}/lost/other`;
    await new S3Storage(settings).write(name, bytesOf("theirs"));
    passes = 0;
    cut = (_, pass_number) => pass_number === 1;
    await assert.rejects(new S3Storage(through).write(name, bytesOf("theirs")), { code: "FILE_EXISTS" });
  });
});

/** Forwards the request unchanged: a changed `Host` or signed header would invalidate the signature. */
async function passOn(
  request: IncomingMessage,
  endpoint: string,
): Promise<{ status: number; headers: [string, string][]; body: Buffer }> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return new Promise((resolve, reject) => {
    const passed = send(
      new URL(request.url ?? "/", endpoint),
      { method: request.method, headers: request.headers },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("end", () => {
          const headers = Object.entries(answer.headers).map(([name, value]): [string, string] => [
            name,
            String(value),
          ]);
          resolve({ status: answer.statusCode ?? 500, headers, body: Buffer.concat(parts) });
        });
      },
    );
    passed.on("error", reject);
    passed.end(Buffer.concat(chunks));
  });
}

function give(
  { status, headers, body }: { status: number; headers: [string, string][]; body: Buffer },
  response: ServerResponse,
): void {
  response.writeHead(status, Object.fromEntries(headers));
  response.end(body);
}

async function closedPort(): Promise<{ url: string }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return { url: `http://127.0.0.1:${port}` };
}
