import { OperatingError } from "../../src/base/errors.ts";
import type { SavedBook } from "./gaps.ts";

/** The last stored position; null before the first. Throws POSITION_UNREADABLE. */
export function savedBook(position: string | null, title: string): SavedBook | null {
  if (position === null) return null;
  try {
    const saved = JSON.parse(position) as Partial<SavedBook>;
    if (isSavedBook(saved)) return saved;
  } catch (error) {
    throw unreadablePosition(position, title, error);
  }
  throw unreadablePosition(position, title, undefined);
}

function isSavedBook(saved: Partial<SavedBook>): saved is SavedBook {
  const { products, open, lost, lost_count, filled_count } = saved;
  return (
    typeof products === "object" &&
    products !== null &&
    Object.values(products).every((newest) => Array.isArray(newest) && Number.isSafeInteger(newest[0])) &&
    Array.isArray(open) &&
    open.every((gap) => typeof gap.product === "string" && Array.isArray(gap.missing)) &&
    Array.isArray(lost) &&
    Number.isSafeInteger(lost_count) &&
    Number.isSafeInteger(filled_count)
  );
}

function unreadablePosition(position: string, title: string, cause: unknown): OperatingError {
  return new OperatingError("POSITION_UNREADABLE", `Invalid stored position of ${title}: ${position.slice(0, 100)}`, {
    next_step: "Restore the log from a backup, or start a new lake (another --data folder).",
    cause,
  });
}
