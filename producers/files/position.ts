import { OperatingError } from "../../src/base/errors.ts";

/** The progress in the file that a source reads, stored in the log with the records. */
export interface FilePosition {
  /** SHA-256 of the file as stored, hexadecimal: its identity under every name. */
  digest: string;
  /** The name under which it was read. */
  file: string;
  /** The log holds the elements before this one. A malformed piece counts as an element. */
  next_element: number;
  /** The log holds the whole file. */
  is_done: boolean;
}

/** Throws INVALID_POSITION. */
export function parsePosition(text: string): FilePosition {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw invalidPosition(text, error);
  }
  const { digest, file, next_element, is_done } = (parsed ?? {}) as Record<string, unknown>;
  const is_valid =
    typeof digest === "string" &&
    typeof file === "string" &&
    typeof next_element === "number" &&
    typeof is_done === "boolean";
  if (!is_valid) throw invalidPosition(text, undefined);
  return { digest, file, next_element, is_done };
}

function invalidPosition(text: string, cause: unknown): OperatingError {
  return new OperatingError("INVALID_POSITION", `Invalid stored position of a source of files: ${text.slice(0, 100)}`, {
    next_step: "Start a new lake (another --data folder), or restore the log from a backup.",
    cause,
  });
}
