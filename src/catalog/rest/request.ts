import type { IncomingMessage } from "node:http";
import { OperatingError } from "../../base/errors.ts";
import { badRequest } from "../../iceberg/errors.ts";
import { parseJson } from "../../iceberg/json.ts";
import { asObject, type JsonObject } from "../../iceberg/shape.ts";

/** A commit that removes 100,000 snapshots by id takes 2 MB; a body above this limit is an error. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/**
 * A client reads an error response only after it has sent its whole body, so bodies up to this size are received and
 * discarded.
 */
const MAX_RECEIVED_BYTES = 4 * MAX_BODY_BYTES;

/** The body as a JSON object. Throws UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, BODY_TOO_LARGE. */
export async function readBody(request: IncomingMessage): Promise<JsonObject> {
  checkJson(request.headers["content-type"]);
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

/**
 * Requires JSON: a page of another site can send forms and plain text here, but JSON only after a preflight request.
 */
function checkJson(content_type: string | undefined): void {
  const type = (content_type ?? "").split(";")[0]?.trim().toLowerCase();
  if (type === "application/json") return;
  throw new OperatingError(
    "UNSUPPORTED_MEDIA_TYPE",
    `The body must be JSON; its content type is ${JSON.stringify(content_type ?? "")}`,
    {
      next_step: "Send it with the header content-type: application/json.",
    },
  );
}
