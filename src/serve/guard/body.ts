import type { MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { refusal } from "../problem.ts";

export const MAX_BODY_BYTES = 256 * 1024;

/** Bodies are small, and JSON: a form of another site cannot send that type without asking first. */
export const limitBody: MiddlewareHandler = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: () => {
    throw refusal("BODY_TOO_LARGE", `The body has more than ${MAX_BODY_BYTES / 1024} kB.`, "Send less.");
  },
});

export const onlyJson: MiddlewareHandler = async (context, next) => {
  const { method } = context.req;
  const type = (context.req.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  if ((method === "POST" || method === "PUT") && type !== "application/json") {
    throw refusal("JSON_NEEDED", "The body must be JSON.", "Send it with content-type application/json.");
  }
  await next();
};
