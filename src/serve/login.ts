import type { Context } from "hono";
import type { App } from "./endpoint.ts";
import { bodyOf } from "./guard/body.ts";
import type { ServerDependencies } from "./dependencies.ts";
import { OperatingError } from "../base/errors.ts";
import { sentence } from "../base/explain.ts";

const MAX_TOKEN_CHARACTERS = 1_000;

/** The login form, which works without JavaScript. */
export function loginRoutes(
  app: App,
  { authenticator, assets, base }: Pick<ServerDependencies, "authenticator" | "assets" | "base">,
): void {
  const page = assets.get("/login.html")?.body.toString() ?? "";
  const send = (context: Context, note: string, status: 200 | 401 | 429) =>
    context.html(page.replace("{{note}}", note), status, { "cache-control": "no-store" });
  app.get("/login", (context) => send(context, "", 200));
  app.post("/login", async (context) => {
    const token = new URLSearchParams(await bodyOf(context)).get("token") ?? "";
    try {
      authenticator.logIn(context, token.slice(0, MAX_TOKEN_CHARACTERS));
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      return send(context, sentence(error.message), error.code === "TOO_MANY_ATTEMPTS" ? 429 : 401);
    }
    return context.redirect(`${base}/`, 303);
  });
}
