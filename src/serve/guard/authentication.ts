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
/** Limits guesses; 16 characters cannot be guessed at this rate. */
const MAX_WRONG_PER_MINUTE = 20;

/** Requires a token of sufficient length on non-loopback hosts. Throws TOKEN_REQUIRED_FOR_HOST, TOKEN_TOO_SHORT. */
export function checkToken(host: string, token: string | null): void {
  if (token === null) {
    if (isLoopbackHost(host)) return;
    throw new OperatingError(
      "TOKEN_REQUIRED_FOR_HOST",
      `Serving on ${host} needs a token: other machines can reach this address`,
      {
        next_step:
          `Set COINLAKE_TOKEN (or --token) to at least ${TOKEN_MIN_CHARACTERS} characters, ` +
          "or omit --host to serve on loopback only.",
      },
    );
  }
  if (token.length < TOKEN_MIN_CHARACTERS) {
    throw new OperatingError(
      "TOKEN_TOO_SHORT",
      `The token has ${token.length} characters, at least ${TOKEN_MIN_CHARACTERS} are required`,
      {
        next_step: "Generate one with `openssl rand -hex 16`.",
      },
    );
  }
}

/** Admits requests with the token, in a Bearer header or as the session cookie set at login. */
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

  /** Middleware: throws TOKEN_REQUIRED, INVALID_TOKEN, TOO_MANY_ATTEMPTS. */
  check: MiddlewareHandler = async (context, next) => {
    if (!this.isOpenTo(context)) {
      throw requestError(
        "TOKEN_REQUIRED",
        "This server requires a token",
        "Log in at /login, or send the header `Authorization: Bearer <token>`.",
      );
    }
    await next();
  };

  /** Sets the cookie for the right token. Throws INVALID_TOKEN, TOO_MANY_ATTEMPTS. */
  logIn(context: Context, given: string): void {
    if (!this.#isRight(given))
      throw requestError(
        "INVALID_TOKEN",
        "Wrong token",
        "The token was set with --token or COINLAKE_TOKEN when Coinlake was started.",
      );
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
    // The right token is always accepted, so that guessing cannot lock users out.
    if (isSame(given, this.#token)) return true;
    if (this.#wrong.length >= MAX_WRONG_PER_MINUTE)
      throw requestError("TOO_MANY_ATTEMPTS", "Too many wrong tokens within a minute", "Wait a minute.");
    this.#wrong.push(this.#clock.now_us());
    return false;
  }

  /** The session cookie's value: derived from the token, so that a leaked cookie does not reveal it. */
  #session(): string {
    return createHmac("sha256", this.#token ?? "")
      .update("coinlake session")
      .digest("base64url");
  }
}

/** Compares in constant time, also for different lengths. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
