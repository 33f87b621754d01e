import { randomUUID } from "node:crypto";
import type { FileStat, ListedFile, Storage } from "../storage.ts";
import { S3Client } from "./client.ts";
import { fileChangedError, fileExistsError, isPreconditionFailed, rejectedError } from "./failure.ts";
import { locationOfObject, objectOfLocation } from "./location.ts";
import type { S3Settings } from "./settings.ts";
import { elementsIn, textIn } from "./xml.ts";

/** A chunk of `readPieces`: large enough for few requests, small enough for the memory of several readers. */
const CHUNK_BYTES = 4 * 1024 * 1024;
const RANGE_NOT_SATISFIABLE = 416;
/** Id of the write that created an object: a writer whose answer was lost recognises its object by it. */
const WRITE_ID_HEADER = "x-amz-meta-coinlake-write";

/**
 * Table files in a bucket of Amazon S3 or a compatible store. An object is durable when its PUT is answered, and is
 * written once.
 */
export class S3Storage implements Storage {
  readonly #client: S3Client;

  constructor(settings: S3Settings) {
    this.#client = new S3Client(settings);
  }

  async read(location: string): Promise<Uint8Array> {
    const answer = await this.#client.send(
      { method: "GET", object: objectOfLocation(location) },
      { verb: "read", location },
    );
    return answer.bytes;
  }

  async *readPieces(location: string): AsyncIterable<Uint8Array> {
    const object = objectOfLocation(location);
    let version: string | null = null;
    for (let from = 0; ;) {
      const headers: Record<string, string> = { range: `bytes=${from}-${from + CHUNK_BYTES - 1}` };
      if (version !== null) headers["if-match"] = version;
      const outcome = await this.#client.ask({ method: "GET", object, headers }, { verb: "read", location });
      if (outcome.kind === "rejected") {
        // An empty object has no range.
        if (from === 0 && outcome.rejection.status === RANGE_NOT_SATISFIABLE) return;
        throw isPreconditionFailed(outcome.rejection)
          ? fileChangedError(location)
          : rejectedError("read", location, outcome.rejection);
      }
      const { headers: answered, bytes } = outcome.answer;
      yield bytes;
      from += bytes.length;
      const size_bytes = Number(/\/(\d+)$/.exec(answered.get("content-range") ?? "")?.[1]);
      // A store without ranges answers with the whole object.
      if (!(from < size_bytes)) return;
      version = answered.get("etag");
    }
  }

  async statOf(location: string): Promise<FileStat | null> {
    const outcome = await this.#client.ask(
      { method: "HEAD", object: objectOfLocation(location) },
      { verb: "find", location },
    );
    if (outcome.kind === "done") {
      const { headers } = outcome.answer;
      return {
        size_bytes: Number(headers.get("content-length")),
        modified_at_us: Date.parse(headers.get("last-modified") ?? "") * 1000,
      };
    }
    if (outcome.rejection.status === 404) return null;
    throw rejectedError("find", location, outcome.rejection);
  }

  /**
   * An attempt whose answer was lost may have written the object; the next attempt then finds it and recognises its id.
   */
  async write(location: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    const bytes = content instanceof Uint8Array ? content : await wholeOf(content);
    const context = { verb: "write", location };
    const object = objectOfLocation(location);
    const write_id = randomUUID();
    const outcome = await this.#client.ask(
      { method: "PUT", object, headers: { "if-none-match": "*", [WRITE_ID_HEADER]: write_id }, body: bytes },
      context,
    );
    if (outcome.kind === "done") return;
    if (!isPreconditionFailed(outcome.rejection)) throw rejectedError(context.verb, location, outcome.rejection);
    if (outcome.is_first) throw fileExistsError(location);
    const found = await this.#client.send({ method: "HEAD", object }, context);
    if (found.headers.get(WRITE_ID_HEADER) !== write_id) throw fileExistsError(location);
  }

  async makeFolder(location: string): Promise<void> {
    objectOfLocation(location);
  }

  /** Only checks that the object exists, because an existing object is durable. */
  async sync(location: string): Promise<void> {
    await this.#client.send({ method: "HEAD", object: objectOfLocation(location) }, { verb: "find", location });
  }

  /** An object is durable once its PUT is answered. */
  async syncAll(): Promise<void> {}

  isKnownDurable(): boolean {
    return true;
  }

  /** S3 has no folders, but Hadoop creates empty objects for them (`folder/`), which no other program removes. */
  async removeFolder(location: string): Promise<void> {
    for await (const { key } of this.#objectsBelow(location)) {
      if (key.endsWith("/")) await this.#deleteObject(location, key);
    }
  }

  async delete(location: string): Promise<void> {
    await this.#deleteObject(location, objectOfLocation(location).key);
  }

  async *list(location: string): AsyncIterable<ListedFile> {
    const { bucket } = objectOfLocation(location);
    for await (const { key, ...facts } of this.#objectsBelow(location)) {
      if (!key.endsWith("/")) yield { location: locationOfObject({ bucket, key }, location), ...facts };
    }
  }

  async #deleteObject(location: string, key: string): Promise<void> {
    const { bucket } = objectOfLocation(location);
    await this.#client.send({ method: "DELETE", object: { bucket, key } }, { verb: "delete", location });
  }

  /** Lists pages of a thousand keys (ListObjectsV2). Deletions between pages do not affect later pages. */
  async *#objectsBelow(location: string): AsyncIterable<{ key: string } & FileStat> {
    const { bucket, key } = objectOfLocation(location);
    const folder = key.replace(/\/+$/, "");
    const query = { "list-type": "2", "encoding-type": "url", prefix: folder === "" ? "" : `${folder}/` };
    let continued: Record<string, string> = {};
    for (;;) {
      const answer = await this.#client.send(
        { method: "GET", object: { bucket, key: "" }, query: { ...query, ...continued } },
        { verb: "list", location },
      );
      const page = new TextDecoder().decode(answer.bytes);
      for (const entry of elementsIn(page, "Contents")) yield objectOf(entry);
      const token = textIn(page, "NextContinuationToken");
      if (token === null) return;
      continued = { "continuation-token": token };
    }
  }
}

/** Reads all chunks, because a PUT states its length first. */
async function wholeOf(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/** Keys are percent-encoded, because XML cannot represent every character of a key; a plus is a space. */
function objectOf(entry: string): { key: string } & FileStat {
  const version = textIn(entry, "ETag");
  return {
    key: decodeURIComponent((textIn(entry, "Key") ?? "").replaceAll("+", "%20")),
    size_bytes: Number(textIn(entry, "Size")),
    modified_at_us: Date.parse(textIn(entry, "LastModified") ?? "") * 1000,
    ...(version !== null && { version }),
  };
}
