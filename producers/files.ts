import { openFolder } from "./files/folder.ts";
import { FilesSource } from "./files/source.ts";
import type { Producer } from "../src/producer/producer.ts";

export interface FilesOptions {
  /** A folder on this disk, or `s3://bucket/prefix`. */
  location: string;
  /** The `source` column of bronze: what the files hold, such as "orders". */
  source: string;
  /** End once every listed file is read; otherwise poll without end. */
  is_until_drained?: boolean;
  /** A file is ready once two listings this far apart agree on its size and time. */
  settle_ms?: number;
  /** An incomplete file that has not changed for this long is read as far as it goes. */
  incomplete_after_ms?: number;
  /** The pause between two listings; by default 1 s for a folder and 5 s in S3. */
  interval_ms?: number;
}

export const FILES_DEFAULTS = { settle_ms: 2_000, incomplete_after_ms: 60_000 } as const;
export const LOCAL_INTERVAL_MS = 1_000;
export const S3_INTERVAL_MS = 5_000;

/**
 * A source that reads JSON files (.json, .jsonl, .ndjson, also .gz) from a folder or an S3 prefix, once each. Never
 * changes the folder. Throws FOLDER_NOT_FOUND, UNSUPPORTED_LOCATION, S3_CREDENTIALS_MISSING, INVALID_S3_ENDPOINT.
 */
export async function openFiles({ location, source, ...options }: FilesOptions): Promise<Producer> {
  const folder = openFolder(location);
  const probe = async (): Promise<void> => {
    for await (const _ of folder.list()) break;
  };
  // A mistyped folder is an error at once; an object store may be down for a moment.
  if (folder.is_local) await probe();
  return new FilesSource({
    ...FILES_DEFAULTS,
    interval_ms: folder.is_local ? LOCAL_INTERVAL_MS : S3_INTERVAL_MS,
    is_until_drained: false,
    ...options,
    id: `files:${folder.location}`,
    kind: "live",
    source,
    probe,
    openInbox: async () => ({ folder }),
  });
}
