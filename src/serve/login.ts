import type { Context } from "hono";
import type { App } from "./endpoint.ts";
import { bodyOf } from "./guard/body.ts";
import type { Gate } from "./guard/token.ts";
import { OperatingError } from "../errors.ts";

/** Where a browser gives the token; it needs no script, and no style but the browser's own. */
const page = (note: string) => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>Coinlake: log in</title></head>
<body>
<main>
<h1>Coinlake</h1>
<form method="post" action="/login">
<p><label>Token <input name="token" type="password" autocomplete="current-password" required autofocus></label> <button>Log in</button></p>
<p role="alert">${note}</p>
</form>
</main>
</body>
</html>
`;

const MAX_TOKEN_CHARACTERS = 1_000;

export function loginRoutes(app: App, gate: Gate): void {
  app.get("/login", (context) => send(context, "", 200));
  app.post("/login", async (context) => {
    const token = new URLSearchParams(await bodyOf(context)).get("token") ?? "";
    try {
      gate.logIn(context, token.slice(0, MAX_TOKEN_CHARACTERS));
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      return send(context, error.message, error.code === "TOO_MANY_ATTEMPTS" ? 429 : 401);
    }
    return context.redirect("/", 303);
  });
}

function send(context: Context, note: string, status: 200 | 401 | 429): Response {
  return context.html(page(note), status, { "cache-control": "no-store" });
}
