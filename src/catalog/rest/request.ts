import type { IncomingMessage } from "node:http";
import { OperatingError } from "../../errors.ts";
import { badRequest } from "../errors.ts";
import { parseJson } from "../json.ts";
import { asObject, type JsonObject } from "../shape.ts";

/** A commit that removes 100,000 snapshots by id takes 2 MB; more than this is a mistake. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** A client reads the refusal only when it has sent everything, so somewhat larger bodies are received and thrown away. */
const MAX_RECEIVED_BYTES = 4 * MAX_BODY_BYTES;

/** The body as a JSON object. Throws BAD_REQUEST, BODY_TOO_LARGE. */
export async function readBody(request: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  let size_bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size_bytes += chunk.length;
    if (size_bytes > MAX_RECEIVED_BYTES) break;
    if (size_bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (size_bytes > MAX_BODY_BYTES) {
    throw new OperatingError("BODY_TOO_LARGE", `The request is larger than ${MAX_BODY_BYTES} bytes`, {
      next_step: "Split the change into several requests.",
    });
  }
  let value: unknown;
  try {
    value = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (error) {
    throw badRequest("The request body is not valid JSON in UTF-8", error);
  }
  return asObject(value, "The request body");
}

const LOOPBACK_NAMES = new Set(["localhost", "127.0.0.1", "[::1]"]);

export function isLoopback(host: string): boolean {
  return host === "::1" || LOOPBACK_NAMES.has(host);
}

/**
 * A web page can make its visitor's browser send requests here: under a name of its own that resolves to this machine (then
 * Host gives it away), or from another origin (then Origin does). Clients of catalogs send neither.
 * Throws FORBIDDEN.
 */
export function checkSender(request: IncomingMessage): void {
  const { host, origin } = request.headers;
  const refuse = (what: string) => {
    throw new OperatingError("FORBIDDEN", `This catalog answers programs on its own machine only; refused ${what}`, {
      next_step: "Address the catalog as 127.0.0.1 or localhost, and not from a web page.",
    });
  };
  if (!LOOPBACK_NAMES.has((host ?? "").replace(/:\d+$/, "").toLowerCase())) refuse(`the host ${JSON.stringify(host ?? "")}`);
  if (origin !== undefined) refuse(`the origin ${JSON.stringify(origin)}`);
}
