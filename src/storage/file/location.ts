import { isAbsolute, posix, resolve, win32 } from "node:path";
import { OperatingError } from "../../base/errors.ts";

const SCHEME = "file://";

type PathRules = typeof posix;
const RULES: PathRules = process.platform === "win32" ? win32 : posix;

/**
 * `/lake/my tables` → `file:///lake/my tables`; on Windows `C:\lake` → `file:///C:/lake`. Throws UNSUPPORTED_LOCATION
 * for names that some engine would parse as part of a URI.
 */
export function locationOfPath(path: string): string {
  const absolute = isAbsolute(path) ? path : resolve(path);
  const forward = absolute.replaceAll("\\", "/").replace(/\/+$/, "");
  if (/[#?*[\]\0]/.test(forward)) {
    throw new OperatingError(
      "UNSUPPORTED_LOCATION",
      `The folder ${absolute} has one of # ? * [ ] in its name, which engines misread`,
      {
        next_step: "Choose a data folder whose path has none of these characters.",
      },
    );
  }
  return forward.startsWith("/") ? SCHEME + forward : `${SCHEME}/${forward}`;
}

/**
 * The inverse. Also accepts `file:/path`, which Hadoop writes. Throws UNSUPPORTED_LOCATION for other schemes and for
 * relative paths.
 */
export function pathOfLocation(location: string, rules: PathRules = RULES): string {
  const match = /^file:(?:\/\/(?:localhost)?)?(\/.*)$/.exec(location);
  const path = match?.[1];
  if (path === undefined || path.includes("\0") || path.split("/").includes("..")) {
    throw new OperatingError(
      "UNSUPPORTED_LOCATION",
      `${JSON.stringify(location)} is no location on this machine's disk`,
      {
        next_step: "Use an absolute location of the form file:///folder, without `..` in it.",
      },
    );
  }
  if (rules === posix) return path;
  if (!/^\/[A-Za-z]:\//.test(path)) {
    throw new OperatingError("UNSUPPORTED_LOCATION", `${JSON.stringify(location)} names no drive`, {
      next_step: "Use a location with a drive letter: file:///C:/folder.",
    });
  }
  return path.slice(1).replaceAll("/", "\\");
}
