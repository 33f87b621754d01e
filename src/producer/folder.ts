import { createHash } from "node:crypto";
import { join } from "node:path";

/** The folder in a lake's folder that holds the folders of its producers. */
export const PRODUCERS_FOLDER = "producers";

/** Leaves the whole path below the 260 characters of Windows, in most data folders. */
const MAX_NAME_LENGTH = 60;

/**
 * The folder of a producer's own state. Its name is the id in characters that every file system accepts, with a digest
 * that keeps ids apart whose other characters are equal.
 */
export function producerFolder(lake_folder: string, producer_id: string): string {
  const readable = producer_id.replaceAll(/[^A-Za-z0-9]+/g, "-").slice(0, MAX_NAME_LENGTH);
  const digest = createHash("sha256").update(producer_id).digest("hex").slice(0, 8);
  return join(lake_folder, PRODUCERS_FOLDER, `${readable}-${digest}`);
}
