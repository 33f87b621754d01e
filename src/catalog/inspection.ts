import { setBounded } from "../base/bounded-map.ts";
import type { Snapshot, TableMetadata } from "../iceberg/model.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import type { FileStat, Storage } from "../storage/storage.ts";
import type { ManifestFile } from "../iceberg/manifest-model.ts";
import { readManifest, readManifestList, type ReadManifest } from "../iceberg/snapshot-files.ts";

/**
 * Checks the metadata files of a snapshot before DuckDB reads them. DuckDB's Iceberg extension reads manifests in
 * separate threads, and an exception there ends the process, so an absent or damaged manifest would end the whole
 * pipeline.
 */

/** Throws TABLE_DAMAGED with the name of the file. */
export type Inspection = (table: string, metadata: TableMetadata, snapshot: Snapshot) => Promise<void>;

/**
 * Limit on remembered manifests. They are immutable: a decoded one is not read again while its size and time are
 * unchanged.
 */
const MAX_KNOWN_FILES = 20_000;
const MAX_KNOWN_LISTS = 500;
const CHECKS_AT_ONCE = 16;

export interface InspectionOptions {
  /**
   * Time until the existence of a known file is checked again: 0 on a local disk; longer in an object store, where each
   * check costs a request.
   */
  recheck_ms: number;
  now_ms?: () => number;
}

interface Known extends FileStat {
  checked_ms: number;
}

/** All tables share one bounded cache. */
export function manifestInspection(
  storage: Storage,
  { recheck_ms, now_ms = () => performance.now() }: InspectionOptions,
): Inspection {
  const files = new Map<string, Known>();
  const lists = new Map<string, ManifestFile[]>();

  /**
   * Reads the file if it is new or was rewritten. It becomes known only afterwards, because calls may be concurrent.
   */
  async function check(table: string, kind: string, location: string, read: () => Promise<unknown>): Promise<void> {
    const known = files.get(location);
    if (known !== undefined && recheck_ms > 0 && now_ms() - known.checked_ms < recheck_ms) return;
    try {
      const stat = await storage.statOf(location);
      if (stat === null)
        throw new OperatingError("FILE_NOT_FOUND", "there is no such file", { next_step: "Restore it." });
      if (known?.size_bytes !== stat.size_bytes || known.modified_at_us !== stat.modified_at_us) await read();
      setBounded(files, MAX_KNOWN_FILES, location, { ...stat, checked_ms: now_ms() });
    } catch (error) {
      files.delete(location);
      if (!(error instanceof OperatingError) || error.is_retryable) throw error;
      throw damaged(table, kind, location, error);
    }
  }

  return async (table, metadata, snapshot) => {
    const location = snapshot["manifest-list"] as string | undefined;
    // Version 1 may list manifests in the metadata itself.
    if (location === undefined) return;
    await check(table, "manifest list", location, async () => {
      setBounded(lists, MAX_KNOWN_LISTS, location, await readManifestList(storage, snapshot));
    });
    let manifests = lists.get(location);
    if (manifests === undefined) {
      manifests = await readManifestList(storage, snapshot);
      setBounded(lists, MAX_KNOWN_LISTS, location, manifests);
    }
    for (let start = 0; start < manifests.length; start += CHECKS_AT_ONCE) {
      const some = manifests.slice(start, start + CHECKS_AT_ONCE);
      await Promise.all(
        some.map((manifest) =>
          check(table, "manifest", manifest.manifest_path, async () =>
            checkPaths(await readManifest(storage, metadata, manifest, { is_spec_checked: true })),
          ),
        ),
      );
    }
  };
}

/** Rejects paths that are not UTF-8: decoding replaces the bytes here, and fails in DuckDB. */
function checkPaths({ entries }: ReadManifest): void {
  if (entries.every(({ data_file }) => !data_file.file_path.includes("\uFFFD"))) return;
  throw new OperatingError("INVALID_AVRO", "the path of a file is not UTF-8", { next_step: "Restore it." });
}

function damaged(table: string, kind: string, location: string, error: OperatingError): OperatingError {
  const reason = messageOf(error).replace(`${location}: `, "");
  const message =
    `The table ${table} is damaged: its ${kind} ${location} cannot be read (${reason}); ` +
    "`coinlake repair` brings it back";
  return new OperatingError("TABLE_DAMAGED", message, {
    next_step: "Run `npm run -s coinlake -- repair` to see what is damaged, and with --apply to bring it back.",
    cause: error,
  });
}
