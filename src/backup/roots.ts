import { canonicalLocation } from "../storage/location.ts";
import { isInFolder } from "../storage/own-files.ts";

/** A folder of table files, and where it lies in a backup, below the new warehouse: "" for the warehouse itself. */
export interface Root {
  from: string;
  to: string;
}

/** The path of a file below the warehouse-to-be; null where no root holds it. */
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

/** Where a file goes whose folder is a root: into `warehouse`. Others stay where they are. */
export function locatorOf(roots: readonly Root[], warehouse: string): (location: string) => string {
  return (location) => {
    // What already lies there is not moved again: an earlier run was cut off.
    if (canonicalLocation(location) === canonicalLocation(warehouse) || isInFolder(location, warehouse))
      return location;
    const path = pathIn(roots, location);
    return path === null ? location : [warehouse, path].filter((part) => part !== "").join("/");
  };
}
