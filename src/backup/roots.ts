import { canonicalLocation } from "../storage/location.ts";
import { isInFolder } from "../storage/own-files.ts";

/** A folder of table files, and its path below the new warehouse; "" for the warehouse itself. */
export interface Root {
  from: string;
  to: string;
}

/** The path of a file below the new warehouse; null if it is outside all roots. */
export function pathIn(roots: readonly Root[], location: string): string | null {
  const canonical = canonicalLocation(location);
  for (const { from, to } of roots) {
    const top = canonicalLocation(from).replace(/\/+$/, "");
    if (canonical === top) return to;
    if (isInFolder(canonical, top))
      return [to, canonical.slice(top.length + 1)].filter((part) => part !== "").join("/");
  }
  return null;
}

/** Maps files of the roots to their locations in `warehouse`; leaves other locations unchanged. */
export function locatorOf(roots: readonly Root[], warehouse: string): (location: string) => string {
  return (location) => {
    // Already relocated by an interrupted run.
    if (canonicalLocation(location) === canonicalLocation(warehouse) || isInFolder(location, warehouse))
      return location;
    const path = pathIn(roots, location);
    return path === null ? location : [warehouse, path].filter((part) => part !== "").join("/");
  };
}
