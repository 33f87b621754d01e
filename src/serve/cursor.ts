import { z } from "@hono/zod-openapi";
import { requestError } from "./problem.ts";

/** A place in a list, opaque to clients: where the next page goes on. */
export function encodeCursor(place: unknown): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

/** Null where none was given; throws BAD_CURSOR for one that we did not give. */
export function decodeCursor<T extends z.ZodType>(cursor: string | undefined, shape: T): z.output<T> | null {
  if (cursor === undefined) return null;
  let place: unknown;
  try {
    place = JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    throw badCursor();
  }
  const parsed = shape.safeParse(place);
  if (!parsed.success) throw badCursor();
  return parsed.data;
}

function badCursor(): Error {
  return requestError("BAD_CURSOR", "The cursor is none that this list gave out.", "Begin again without a cursor.");
}

/** One page of a list that is whole in memory; the cursor is the place of the first item after the page. */
export function pageOfList<T>(
  items: readonly T[],
  limit: number,
  cursor: string | undefined,
): { items: T[]; next: string | null } {
  const from = decodeCursor(cursor, z.int().min(0)) ?? 0;
  const page = items.slice(from, from + limit);
  return { items: page, next: from + limit < items.length ? encodeCursor(from + limit) : null };
}
