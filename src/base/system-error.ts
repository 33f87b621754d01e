import { isDiskFullCode } from "./disk-full.ts";
import { OperatingError, messageOf } from "./errors.ts";

const DENIED = new Set(["EACCES", "EPERM", "EROFS"]);
/** The disk, or a limit of the system, and not a wrong call. */
const FAILED = new Set(["EIO", "EMFILE", "ENFILE", "ENAMETOOLONG", "ELOOP", "ESTALE"]);

/**
 * The operating error of a call to the file system that failed: a full disk is no bug. Other values, such
 * as programming errors, are returned unchanged.
 */
export function explainSystemError(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof OperatingError) return thrown;
  const { code, path } = thrown as NodeJS.ErrnoException;
  const file = path === undefined ? "" : `: ${path}`;
  if (code === undefined) return thrown;
  if (isDiskFullCode(code))
    return new OperatingError("STORAGE_FULL", `The disk is full${file}`, {
      next_step: "Free disk space, then run the command again.",
      cause: thrown,
    });
  if (DENIED.has(code))
    return new OperatingError("STORAGE_DENIED", `This user has no access${file} (${code})`, {
      next_step: "Give this user write access to that folder, or choose another one.",
      cause: thrown,
    });
  if (!FAILED.has(code)) return thrown;
  return new OperatingError("STORAGE_FAILED", `The file system failed: ${messageOf(thrown)}`, {
    next_step: "Check the disk, then run the command again.",
    cause: thrown,
  });
}
