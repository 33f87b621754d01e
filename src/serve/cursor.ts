import { z } from "@hono/zod-openapi";
import { requestError } from "./problem.ts";

/** Encodes the position at which the next page starts; opaque to clients. */
export function encodeCursor(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

/** Null without a cursor. Throws INVALID_CURSOR for a cursor that this list did not return. */
export function decodeCursor<T extends z.ZodType>(cursor: string | undefined, shape: T): z.output<T> | null {
  if (cursor === undefined) return null;
  let position: unknown;
  try {
    position = JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    throw badCursor();
  }
  const parsed = shape.safeParse(position);
  if (!parsed.success) throw badCursor();
  return parsed.data;
}

function badCursor(): Error {
  return requestError("INVALID_CURSOR", "Unknown or expired cursor", "Start again without a cursor.");
}

/** One page of a list in memory; the cursor is the index of the first item after the page. */
export function pageOfList<T>(
  items: readonly T[],
  limit: number,
  cursor: string | undefined,
): { items: T[]; next: string | null } {
  const from = decodeCursor(cursor, z.int().min(0)) ?? 0;
  const page = items.slice(from, from + limit);
  return { items: page, next: from + limit < items.length ? encodeCursor(from + limit) : null };
}
