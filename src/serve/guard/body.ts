import type { HttpBindings } from "@hono/node-server";
import type { Context, MiddlewareHandler } from "hono";
import { requestError } from "../problem.ts";

export const MAX_BODY_BYTES = 256 * 1024;

/** Requires JSON bodies: a cross-site form cannot send this content type without a CORS preflight. */
export const onlyJson: MiddlewareHandler = async (context, next) => {
  const { method } = context.req;
  const type = (context.req.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  if ((method === "POST" || method === "PUT") && type !== "application/json") {
    throw requestError(
      "UNSUPPORTED_MEDIA_TYPE",
      "The request body must be JSON",
      "Send it with content-type application/json.",
    );
  }
  await next();
};

/** Reads the request's body from the socket, up to the size limit. Throws BODY_TOO_LARGE, BODY_CUT_OFF. */
export async function bodyOf(context: Context): Promise<string> {
  const { incoming } = context.env as HttpBindings;
  const parts: Buffer[] = [];
  let size_bytes = Number(context.req.header("content-length") ?? 0);
  if (size_bytes > MAX_BODY_BYTES) throw tooLarge();
  size_bytes = 0;
  try {
    // Destroying the stream would close the connection before the response is sent.
    for await (const part of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size_bytes += part.length;
      if (size_bytes > MAX_BODY_BYTES) break;
      parts.push(part);
    }
  } catch (error) {
    throw requestError(
      "BODY_CUT_OFF",
      `The request body ended early: ${(error as Error).message}`,
      "Send the complete body.",
    );
  }
  if (size_bytes > MAX_BODY_BYTES) throw tooLarge();
  return Buffer.concat(parts).toString("utf8");
}

function tooLarge(): Error {
  return requestError(
    "BODY_TOO_LARGE",
    `The request body is larger than ${MAX_BODY_BYTES / 1024} kB`,
    "Send a smaller body.",
  );
}
