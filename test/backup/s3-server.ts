import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * The subset of S3 that the storage uses: put once, read whole and in ranges, paged listing, delete. For tests in which
 * only Coinlake uses S3; tests of engines on S3 use MinIO.
 */
export async function startS3(): Promise<{ url: string; objects: Map<string, Buffer>; close(): Promise<void> }> {
  const objects = new Map<string, Buffer>();
  const server = createServer((request, response) => void answer(objects, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

const PAGE = 100;

async function answer(objects: Map<string, Buffer>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://s3");
  const [bucket = "", ...rest] = url.pathname.slice(1).split("/").map(decodeURIComponent);
  const key = rest.join("/");
  const name = `${bucket}/${key}`;
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const end = (status: number, body: string | Buffer = ""): void =>
    void response.writeHead(status, { connection: "close" }).end(request.method === "HEAD" ? "" : body);
  if (request.method === "PUT") {
    if (objects.has(name) && request.headers["if-none-match"] === "*")
      return end(412, "<Error><Code>PreconditionFailed</Code></Error>");
    objects.set(name, Buffer.concat(chunks));
    return end(200);
  }
  if (request.method === "DELETE") {
    objects.delete(name);
    return end(204);
  }
  if (url.searchParams.has("list-type")) return end(200, listing(objects, bucket, url.searchParams));
  const found = objects.get(name);
  if (found === undefined) return end(404, "<Error><Code>NoSuchKey</Code></Error>");
  const tag = tagOf(found);
  if ((request.headers["if-match"] ?? tag) !== tag) return end(412, "<Error><Code>PreconditionFailed</Code></Error>");
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  if (range === null) return end(200, found);
  const part = found.subarray(Number(range[1]), Number(range[2]) + 1);
  if (part.length === 0) return end(416, "<Error><Code>InvalidRange</Code></Error>");
  const content_range = `bytes ${range[1]}-${Number(range[1]) + part.length - 1}/${found.length}`;
  response.writeHead(206, { connection: "close", etag: tag, "content-range": content_range }).end(part);
}

function tagOf(bytes: Buffer): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}

function listing(objects: Map<string, Buffer>, bucket: string, query: URLSearchParams): string {
  const prefix = `${bucket}/${query.get("prefix") ?? ""}`;
  const after = query.get("continuation-token") ?? "";
  const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
  const page = names.slice(0, PAGE);
  const contents = page.map(
    (name) =>
      `<Contents><Key>${encodeURIComponent(name.slice(bucket.length + 1))}</Key>` +
      `<ETag>${tagOf(objects.get(name) ?? Buffer.alloc(0))}</ETag>` +
      `<Size>${objects.get(name)?.length ?? 0}</Size>` +
      "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>",
  );
  const next = names.length > PAGE ? `<NextContinuationToken>${page.at(-1) ?? ""}</NextContinuationToken>` : "";
  return `<ListBucketResult>${contents.join("")}${next}</ListBucketResult>`;
}
