import { randomUUID } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { OperatingError, UnknownOutcome, messageOf } from "../base/errors.ts";
import type { StepListener } from "../base/failpoints.ts";
import { checkUpdates } from "./confinement.ts";
import { filesOfCommit, type MakeDurable } from "./durable.ts";
import { badRequest, nameOfTable, noSuchTable, unsupported } from "../iceberg/errors.ts";
import type { MetadataFiles } from "./files.ts";
import { emptyMetadata } from "../iceberg/metadata/fresh.ts";
import { listsWithoutSnapshot } from "../iceberg/metadata/join.ts";
import { recordLogOffsets } from "../iceberg/metadata/log-offsets.ts";
import { checkRequirements, checkSuccession, isCreation } from "../iceberg/metadata/requirements.ts";
import { applyUpdates } from "../iceberg/metadata/updates.ts";
import { droppedVersions, nextVersion, withPreviousVersion } from "./metadata-versions.ts";
import { checkTableName } from "./names.ts";
import type {
  LoadedTable,
  Long,
  Snapshot,
  TableChange,
  TableIdentifier,
  TableMetadata,
  Update,
} from "../iceberg/model.ts";
import { integerIn } from "../iceberg/shape.ts";
import type { CatalogStore, PointerMove } from "./store.ts";

/**
 * Another writer may move a pointer between our read and our move although the changes are compatible (for example,
 * each sets another property). The change is then applied again to the new metadata. Each lost race means progress of
 * another writer, so few attempts suffice.
 */
const MAX_ATTEMPTS = 5;

interface Prepared {
  identifier: TableIdentifier;
  base: { location: string; metadata: TableMetadata } | null;
  next: TableMetadata;
}

interface Staged extends Prepared {
  location: string;
}

export interface CommitParts {
  store: CatalogStore;
  files: MetadataFiles;
  clock: Clock;
  step: StepListener;
  warn: (warning: OperatingError) => void;
  makeDurable: MakeDurable;
  /** Location above all table folders. */
  warehouse: string;
  /** Location of a new table whose creating commit names none. */
  locate(identifier: TableIdentifier): Promise<string>;
  /** Called after a commit; only `close` waits for it. */
  committed?: CommitListener | undefined;
  /**
   * Throws INVALID_REQUEST unless the folder is below the warehouse and separate from the folders of all other tables.
   */
  checkFolder(identifier: TableIdentifier, location: string): Promise<void>;
}

/** A table after a commit. */
export interface CommittedTable extends LoadedTable {
  /** Ids of the snapshots that the commit added, including those joined into another snapshot. */
  added_snapshot_ids: Long[];
}

export type CommitListener = (tables: readonly CommittedTable[]) => Promise<void>;

/**
 * Prepares (pure), stages (writes unpublished files, and makes all files they refer to durable), publishes
 * (compare-and-swap in the store) and cleans up.
 */
export class Committer {
  readonly #parts: CommitParts;
  readonly #tidying = new Set<Promise<void>>();

  constructor(parts: CommitParts) {
    this.#parts = parts;
  }

  /**
   * Implements TableCatalog.commit. Also throws INVALID_REQUEST, TABLE_NOT_FOUND, NAMESPACE_NOT_FOUND, UNSUPPORTED;
   * then nothing was published.
   */
  async commit(changes: readonly TableChange[]): Promise<LoadedTable[]> {
    this.#checkTables(changes);
    for (let attempt = 1; ; attempt += 1) {
      const prepared = [];
      for (const change of changes) prepared.push(await this.#prepare(change));
      const staged = await this.#stage(prepared, this.#makeDurable(prepared, changes));
      try {
        await this.#publish(staged);
      } catch (error) {
        if (!(error instanceof OperatingError) || error.code !== "COMMIT_CONFLICT" || attempt === MAX_ATTEMPTS)
          throw error;
        continue;
      }
      this.#startTidying(staged, changes);
      return staged.map(({ identifier, location, next }) => ({
        identifier,
        metadata_location: location,
        metadata: next,
      }));
    }
  }

  /** Creates the table with complete metadata. Throws COMMIT_CONFLICT if it exists. */
  async create(identifier: TableIdentifier, metadata: TableMetadata): Promise<LoadedTable> {
    const location = await this.#parts.files.write(metadata, 0);
    const created = { identifier, base: null, next: metadata, location };
    await this.#publish([created]);
    this.#startTidying([created], []);
    return { identifier, metadata_location: location, metadata };
  }

  #checkTables(changes: readonly TableChange[]): void {
    const names = new Set(changes.map(({ identifier }) => JSON.stringify([identifier.namespace, identifier.name])));
    if (names.size < changes.length) throw badRequest("A transaction can change each table only once");
    if (changes.length === 0) throw badRequest("A transaction must change at least one table");
    if (changes.length > 1 && !this.#parts.store.is_multi_table) {
      throw unsupported("This catalog cannot change several tables in one transaction");
    }
  }

  async #prepare({ identifier, requirements, updates }: TableChange): Promise<Prepared> {
    const { store, files, clock } = this.#parts;
    const now_ms = Math.floor(clock.now_us() / 1000);
    const location = await store.pointer(identifier);
    const is_creation = isCreation(requirements);
    if (location === null) {
      if (!is_creation) throw noSuchTable(identifier);
      checkTableName(identifier);
      const upgrade = updates.find(({ action }) => action === "upgrade-format-version");
      const version = upgrade === undefined ? undefined : integerIn(upgrade, "format-version");
      const empty = emptyMetadata(await this.#parts.locate(identifier), randomUUID(), version);
      const creation = [
        ...recordLogOffsets(updates, empty),
        { action: "set-properties", updates: store.table_properties },
      ];
      const next = applyUpdates(empty, creation, now_ms);
      await this.#checkLocations(identifier, updates, null, next.location);
      return { identifier, base: null, next };
    }
    const metadata = await files.read(location);
    checkRequirements(metadata, requirements);
    const updated = applyUpdates(metadata, recordLogOffsets(updates, metadata), now_ms);
    checkSuccession(metadata, { requirements, updates });
    await this.#checkLocations(identifier, updates, metadata.location, updated.location);
    const next = updated === metadata ? metadata : withPreviousVersion(updated, metadata, location);
    return { identifier, base: { location, metadata }, next };
  }

  /** Runs in parallel with writing metadata; both must be on disk before the pointer moves. */
  async #makeDurable(prepared: readonly Prepared[], changes: readonly TableChange[]): Promise<void> {
    const changed = prepared.flatMap(({ base, next }, index) => {
      return base?.metadata === next
        ? []
        : [filesOfCommit(base?.metadata ?? null, next, changes[index]?.updates ?? [])];
    });
    await Promise.all(changed.map((files) => this.#parts.makeDurable(files)));
  }

  /** Rejects files outside the table's folder, and invalid new folders. */
  async #checkLocations(
    identifier: TableIdentifier,
    updates: readonly Update[],
    before: string | null,
    after: string,
  ): Promise<void> {
    if (before !== after) await this.#parts.checkFolder(identifier, after);
    checkUpdates(updates, before, after);
  }

  /**
   * Writes the metadata files of changed tables. After an error, deletes those already written, which no reader has
   * seen.
   */
  async #stage(prepared: readonly Prepared[], durable: Promise<void>): Promise<Staged[]> {
    // Awaited below, unless writing the metadata also fails.
    durable.catch(() => {});
    const staged: Staged[] = [];
    try {
      for (const table of prepared) {
        const { base, next } = table;
        const is_unchanged = base !== null && base.metadata === next;
        const location = is_unchanged
          ? base.location
          : await this.#parts.files.write(next, base === null ? 0 : nextVersion(base.location));
        staged.push({ ...table, location });
      }
      await durable;
    } catch (error) {
      await this.#discard(staged);
      throw error;
    }
    return staged;
  }

  /**
   * The commit point. Known errors leave the pointers unchanged, so the staged files are deleted. After any other error
   * the files may be published, so they remain.
   */
  async #publish(staged: readonly Staged[]): Promise<void> {
    const { store, files, step } = this.#parts;
    const moved = staged.filter(isMoved);
    step("before pointer");
    try {
      if (moved.length > 0) {
        await store.move(moved.map(moveOf));
      }
    } catch (error) {
      if (error instanceof UnknownOutcome) throw error;
      if (!(error instanceof OperatingError)) {
        throw new UnknownOutcome(
          `The commit to ${moved.map(({ identifier }) => nameOfTable(identifier)).join(", ")} ` +
            `got no answer: ${messageOf(error)}`,
          error,
        );
      }
      await this.#discard(staged);
      throw error;
    }
    step("after pointer");
    for (const { base, next, location } of moved) {
      files.remember(location, next);
      if (base !== null) files.forget(base.location);
    }
  }

  async #discard(staged: readonly Staged[]): Promise<void> {
    // This process has just written these files, so the check of the warehouse is skipped.
    for (const { next, location } of staged.filter(isMoved)) await this.#delete(next.location, [location], null);
  }

  /** Resolves when no deletion is in progress. */
  async close(): Promise<void> {
    await Promise.all(this.#tidying);
  }

  /** The commit has succeeded, with or without the cleanup, so no caller waits for it. */
  #startTidying(staged: readonly Staged[], changes: readonly TableChange[]): void {
    const tidying = this.#tidy(staged, changes).finally(() => this.#tidying.delete(tidying));
    this.#tidying.add(tidying);
  }

  async #tidy(staged: readonly Staged[], changes: readonly TableChange[]): Promise<void> {
    for (const [index, table] of staged.entries()) {
      if (!isMoved(table)) continue;
      const { base, next } = table;
      if (base !== null) await this.#delete(next.location, droppedVersions(next, base.metadata).filter(isMetadataFile));
      await this.#delete(next.location, listsWithoutSnapshot(changes[index]?.updates ?? [], next));
    }
    await this.#report(staged, changes);
  }

  async #report(staged: readonly Staged[], changes: readonly TableChange[]): Promise<void> {
    const { committed, warn } = this.#parts;
    const tables = staged
      .map((table, index) => ({ table, updates: changes[index]?.updates ?? [] }))
      .filter(({ table }) => isMoved(table));
    try {
      await committed?.(tables.map(({ table, updates }) => committedTable(table, updates)));
    } catch (error) {
      const failed = `What follows a commit failed: ${messageOf(error)}`;
      warn(
        new OperatingError("COMMIT_NOT_RECORDED", failed, {
          next_step: "The commit is valid; `verify --deep` completes the record.",
          cause: error,
        }),
      );
    }
  }

  async #delete(
    folder: string,
    locations: readonly string[],
    warehouse: string | null = this.#parts.warehouse,
  ): Promise<void> {
    const { files } = this.#parts;
    for (const location of locations) {
      try {
        // A client named the location. Files outside the table's folder are not deleted.
        await files.delete(location, { folder, warehouse });
      } catch (error) {
        this.#parts.warn(
          new OperatingError("METADATA_LEFT_BEHIND", `Could not delete ${location}: ${messageOf(error)}`, {
            next_step: "Nothing is wrong with the table; the file may be deleted by hand.",
            cause: error,
          }),
        );
      }
    }
  }
}

function committedTable({ identifier, location, next }: Staged, updates: readonly Update[]): CommittedTable {
  const added = updates.flatMap((update) => (update.action === "add-snapshot" ? [update["snapshot"] as Snapshot] : []));
  const added_snapshot_ids = added.map((snapshot) => snapshot["snapshot-id"]);
  return { identifier, metadata_location: location, metadata: next, added_snapshot_ids };
}

function moveOf({ identifier, base, next, location }: Staged): PointerMove {
  return { identifier, expected: base?.location ?? null, next: location, metadata: next, base: base?.metadata ?? null };
}

function isMoved({ base, location }: Staged): boolean {
  return base === null || base.location !== location;
}

/** Rejects other files in a metadata log, which a client may have added to have them deleted. */
function isMetadataFile(location: string): boolean {
  return /\.metadata\.json(?:\.gz)?$/.test(location);
}
