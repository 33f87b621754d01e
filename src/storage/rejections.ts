import { OperatingError } from "../base/errors.ts";
import { MAX_READ_BYTES } from "./storage.ts";

/** Errors for files that every storage rejects. */

export function notAFile(location: string): OperatingError {
  return new OperatingError("NOT_A_FILE", `${location} is not a regular file`, {
    next_step: "Check the location: folders, pipes and devices are not read.",
  });
}

export function fileTooLarge(location: string, size_bytes: number, max_bytes = MAX_READ_BYTES): OperatingError {
  return new OperatingError("FILE_TOO_LARGE", `${location} has ${size_bytes} bytes; at most ${max_bytes} are read`, {
    next_step: "Check that it is a metadata file or manifest; for a table with that many snapshots, expire some.",
  });
}
