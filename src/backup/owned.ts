import { OperatingError } from "../base/errors.ts";
import { canonicalLocation } from "../storage/location.ts";
import { isInFolder } from "../storage/own-files.ts";
import { RelocatedStorage } from "../storage/relocated.ts";
import type { Storage } from "../storage/storage.ts";
import type { Staging } from "./placing.ts";

/**
 * The storage of a lake's tables during a restore. In a folder that other processes may write to, it records every file
 * before creating it, so that a run that resumes a killed one knows which files it may delete.
 */
export class OwnedStorage extends RelocatedStorage {
  readonly #warehouse: string;
  readonly #record: Pick<Staging, "own" | "addOwn" | "removeOwn"> | null;

  /** Without a `record`, all files belong to this run, because they are in its private folder. */
  constructor(
    storage: Storage,
    place: { future: string; present: string },
    record: Pick<Staging, "own" | "addOwn" | "removeOwn"> | null,
  ) {
    super(storage, place);
    this.#warehouse = place.future;
    this.#record = record;
  }

  isOwn(location: string): boolean {
    return this.#record === null || this.#record.own.has(canonicalLocation(location));
  }

  /** Records a file that an engine will create for this run. */
  own(location: string): void {
    if (isInFolder(location, this.#warehouse)) this.#record?.addOwn(canonicalLocation(location));
  }

  override async write(location: string, bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    const was_own = this.isOwn(location);
    this.own(location);
    try {
      await super.write(location, bytes);
    } catch (error) {
      const is_foreign = !was_own && error instanceof OperatingError && error.code === "FILE_EXISTS";
      if (is_foreign) this.#record?.removeOwn(canonicalLocation(location));
      throw error;
    }
  }
}
