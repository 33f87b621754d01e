import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import type { Clock } from "../../base/clock.ts";
import { OperatingError } from "../../base/errors.ts";
import { requestError } from "../problem.ts";
import { isLoopbackHost } from "./origin-check.ts";

export const TOKEN_MIN_CHARACTERS = 16;
const COOKIE = "coinlake_session";
const COOKIE_AGE_S = 30 * 86_400;
/** Guessing is hopeless with 16 characters; this keeps it from being free. */
const MAX_WRONG_PER_MINUTE = 20;

/** Throws TOKEN_NEEDED_FOR_HOST and TOKEN_TOO_SHORT: whoever can reach the port must be told apart from whoever may read. */
export function checkToken(host: string, token: string | null): void {
  if (token === null) {
    if (isLoopbackHost(host)) return;
    throw new OperatingError(
      "TOKEN_NEEDED_FOR_HOST",
      `On ${host} others can reach the server, and no token protects it.`,
      {
        next_step: `Give one with COINLAKE_TOKEN in the environment (or --token), at least ${TOKEN_MIN_CHARACTERS} characters; or leave --host away.`,
      },
    );
  }
  if (token.length < TOKEN_MIN_CHARACTERS) {
    throw new OperatingError("TOKEN_TOO_SHORT", `The token has ${token.length} characters.`, {
      next_step: `Take at least ${TOKEN_MIN_CHARACTERS}, such as the output of \`openssl rand -hex 16\`.`,
    });
  }
}

/** Who may read: those with the token, as a Bearer header or as the cookie that logging in gives. */
export class Authenticator {
  readonly #token: string | null;
  readonly #clock: Clock;
  #wrong: number[] = [];

  constructor(token: string | null, clock: Clock) {
    this.#token = token;
    this.#clock = clock;
  }

  isOpenTo(context: Context): boolean {
    if (this.#token === null) return true;
    const bearer = /^Bearer (.+)$/i.exec(context.req.header("authorization") ?? "")?.[1];
    if (bearer !== undefined) return this.#isRight(bearer);
    const cookie = getCookie(context, COOKIE);
    return cookie !== undefined && isSame(cookie, this.#session());
  }

  /** Middleware: throws TOKEN_NEEDED, WRONG_TOKEN, TOO_MANY_ATTEMPTS. */
  check: MiddlewareHandler = async (context, next) => {
    if (!this.isOpenTo(context)) {
      throw requestError(
        "TOKEN_NEEDED",
        "This server asks for its token.",
        "Log in at /login, or send the header `Authorization: Bearer <token>`.",
      );
    }
    await next();
  };

  /** Sets the cookie for the right token. Throws WRONG_TOKEN, TOO_MANY_ATTEMPTS. */
  logIn(context: Context, given: string): void {
    if (!this.#isRight(given))
      throw requestError("WRONG_TOKEN", "That is not the token.", "The one who started Coinlake has it.");
    setCookie(context, COOKIE, this.#session(), {
      httpOnly: true,
      sameSite: "Strict",
      path: "/",
      maxAge: COOKIE_AGE_S,
    });
  }

  #isRight(given: string): boolean {
    if (this.#token === null) return true;
    const since_us = this.#clock.now_us() - 60_000_000;
    this.#wrong = this.#wrong.filter((at_us) => at_us > since_us);
    // The right one always opens: nobody shuts others out by guessing.
    if (isSame(given, this.#token)) return true;
    if (this.#wrong.length >= MAX_WRONG_PER_MINUTE)
      throw requestError("TOO_MANY_ATTEMPTS", "Too many wrong tokens within a minute.", "Wait a minute.");
    this.#wrong.push(this.#clock.now_us());
    return false;
  }

  /** Not the token itself: a cookie that leaks opens this page, and nothing else that the token may open. */
  #session(): string {
    return createHmac("sha256", this.#token ?? "")
      .update("coinlake session")
      .digest("base64url");
  }
}

/** In constant time, whatever the lengths. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
