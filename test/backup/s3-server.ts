import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * The subset of S3 that the storage uses: put once, read, paged listing, delete. For tests in which only Coinlake uses
 * S3; tests of engines on S3 use MinIO.
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
  return found === undefined ? end(404, "<Error><Code>NoSuchKey</Code></Error>") : end(200, found);
}

function listing(objects: Map<string, Buffer>, bucket: string, query: URLSearchParams): string {
  const prefix = `${bucket}/${query.get("prefix") ?? ""}`;
  const after = query.get("continuation-token") ?? "";
  const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
  const page = names.slice(0, PAGE);
  const contents = page.map(
    (name) =>
      `<Contents><Key>${encodeURIComponent(name.slice(bucket.length + 1))}</Key><Size>${objects.get(name)?.length ?? 0}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`,
  );
  const next = names.length > PAGE ? `<NextContinuationToken>${page.at(-1) ?? ""}</NextContinuationToken>` : "";
  return `<ListBucketResult>${contents.join("")}${next}</ListBucketResult>`;
}
