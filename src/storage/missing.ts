import { OperatingError } from "../base/errors.ts";

/** Whether the error of a storage means that the file does not exist. */
export function isMissing(error: unknown): error is OperatingError {
  return error instanceof OperatingError && error.code === "FILE_NOT_FOUND";
}

/** Null if a file that `read` needs does not exist. */
export async function nullIfMissing<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
