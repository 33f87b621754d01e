import { OperatingError } from "../base/errors.ts";

/** Whether a storage says that there is no such file. */
export function isMissing(error: unknown): error is OperatingError {
  return error instanceof OperatingError && error.code === "FILE_NOT_FOUND";
}

/** Null where a file that `read` needs is not there. */
export async function nullIfMissing<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
