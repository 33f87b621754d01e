import { randomUUID } from "node:crypto";
import { systemClock, type Clock } from "../base/clock.ts";
import { OperatingError, messageOf } from "../base/errors.ts";
import { noop, type StepListener } from "../base/failpoints.ts";
import type { Storage } from "../storage/storage.ts";
import { Committer, type CommitListener } from "./commit.ts";
import { checkBelow, checkMetadata, checkUpdates, foldersOf, overlaps, tableFolderOf } from "./confinement.ts";
import { filesOfTable, type MakeDurable } from "./durable.ts";
import { badRequest, nameOfTable, noSuchNamespace, noSuchTable, tableExists } from "../iceberg/errors.ts";
import { MetadataFiles } from "./files.ts";
import { snapshotOf, type SortOrder } from "../iceberg/metadata/draft.ts";
import { freshMetadata } from "../iceberg/metadata/fresh.ts";
import { withoutFutureTimes } from "../iceberg/metadata/times.ts";
import type {
  LoadedTable,
  Long,
  PartitionSpec,
  Schema,
  Snapshot,
  TableCatalog,
  TableChange,
  TableIdentifier,
  TableMetadata,
} from "../iceberg/model.ts";
import { checkNamespaceName, checkTableName, folderName } from "./names.ts";
import { deleteFiles, reasonToKeepFiles } from "./purge.ts";
import type { CatalogStore } from "./store.ts";

export interface CatalogOptions {
  store: CatalogStore;
  storage: Storage;
  /** Location of tables that have no location in their request or namespace: `file:///lake/warehouse`. */
  warehouse: string;
  /** Throws TABLE_DAMAGED if a metadata file of the snapshot cannot be read. Absent: no inspection. */
  inspect?: (table: string, metadata: TableMetadata, snapshot: Snapshot) => Promise<void>;
  clock?: Clock;
  step?: StepListener;
  /** Makes the files that a commit refers to durable before the pointer moves. Absent: the writers are responsible. */
  makeDurable?: MakeDurable;
  /** Receives warnings about failures after a successful commit, and about a clock behind a commit; no data is lost. */
  warn?: (warning: OperatingError) => void;
  /** Called after each commit; the commit does not wait for it. */
  committed?: CommitListener;
}

export interface CreateTableRequest {
  identifier: TableIdentifier;
  schema: Schema;
  partition_spec?: PartitionSpec | undefined;
  sort_order?: SortOrder | undefined;
  properties?: Record<string, string> | undefined;
  location?: string | undefined;
}

/**
 * Names after `page_token`, at most `page_size`. Tokens are opaque and remain valid while tables are created and
 * dropped.
 */
export interface Page {
  page_token?: string | undefined;
  page_size?: number | undefined;
}

export interface Paged<T> {
  items: T[];
  next_page_token: string | null;
}

/** Assumed age of a commit with an unknown time: readers whose transaction is younger see it. */
const OLDEST_TRANSACTION_MS = 60_000;

/** The commits of another machine may be ahead of this machine's clock by so much without a warning. */
const CLOCK_TOLERANCE_MS = 60_000;

/** The Iceberg catalog: the operations of the REST specification, on a store of pointers and a storage of files. */
export class Catalog implements TableCatalog {
  readonly #store: CatalogStore;
  readonly #storage: Storage;
  readonly #warehouse: string;
  readonly #clock: Clock;
  readonly #warn: (warning: OperatingError) => void;
  readonly #inspect: NonNullable<CatalogOptions["inspect"]>;
  readonly #files: MetadataFiles;
  readonly #makeDurable: MakeDurable;
  readonly #committer: Committer;
  /** Metadata for readers, by stored metadata; only for stored metadata with times in the future. */
  readonly #corrected = new WeakMap<TableMetadata, TableMetadata>();
  #has_warned_of_clock = false;

  constructor(options: CatalogOptions) {
    this.#store = options.store;
    this.#storage = options.storage;
    this.#warehouse = options.warehouse.replace(/\/+$/, "");
    this.#clock = options.clock ?? systemClock;
    this.#warn = options.warn ?? ((warning) => process.emitWarning(warning.message, { code: warning.code }));
    this.#inspect = options.inspect ?? (async () => {});
    this.#files = new MetadataFiles(options.storage);
    this.#makeDurable = options.makeDurable ?? (async () => {});
    this.#committer = new Committer({
      store: this.#store,
      files: this.#files,
      clock: this.#clock,
      step: options.step ?? noop,
      warn: this.#warn,
      makeDurable: this.#makeDurable,
      warehouse: this.#warehouse,
      locate: (identifier) => this.#newLocation(identifier),
      committed: options.committed,
      checkFolder: (identifier, location) => this.#checkFolder(identifier, location),
    });
  }

  /** Number of table metadata versions cached in memory. */
  get cached_versions(): number {
    return this.#files.cached_versions;
  }

  async createNamespace(namespace: readonly string[], properties: Record<string, string> = {}): Promise<void> {
    checkNamespaceName(namespace);
    this.#checkNamespaceLocation(properties);
    await this.#store.createNamespace(namespace, properties);
  }

  async hasNamespace(namespace: readonly string[]): Promise<boolean> {
    return (await this.#store.namespaceProperties(namespace)) !== null;
  }

  /** Throws NAMESPACE_NOT_FOUND. */
  async namespaceProperties(namespace: readonly string[]): Promise<Record<string, string>> {
    const properties = await this.#store.namespaceProperties(namespace);
    if (properties === null) throw noSuchNamespace(namespace);
    return properties;
  }

  /** Direct children of `parent`; an empty `parent` is the top level. Throws NAMESPACE_NOT_FOUND. */
  async listNamespaces(parent: readonly string[] = [], page: Page = {}): Promise<Paged<string[]>> {
    if (parent.length > 0) await this.namespaceProperties(parent);
    const children = await this.#store.childNamespaces(parent);
    return pageOf(children, (namespace) => namespace.at(-1) ?? "", page);
  }

  /** Throws NAMESPACE_NOT_FOUND, and UNPROCESSABLE if a property is both set and removed. */
  async changeNamespaceProperties(
    namespace: readonly string[],
    change: { updates: Record<string, string>; removals: readonly string[] },
  ): Promise<{ updated: string[]; removed: string[]; missing: string[] }> {
    const removals = [...new Set(change.removals)];
    const both = removals.filter((name) => Object.hasOwn(change.updates, name));
    if (both.length > 0) {
      throw new OperatingError("UNPROCESSABLE", `A property cannot be both set and removed: ${both.join(", ")}`, {
        next_step: "Name each property once.",
      });
    }
    this.#checkNamespaceLocation(change.updates);
    const before = await this.#store.changeNamespaceProperties(namespace, { ...change, removals });
    const was_there = (name: string) => Object.hasOwn(before, name);
    return {
      updated: Object.keys(change.updates),
      removed: removals.filter(was_there),
      missing: removals.filter((name) => !was_there(name)),
    };
  }

  async dropNamespace(namespace: readonly string[]): Promise<void> {
    await this.#store.dropNamespace(namespace);
  }

  async listTables(namespace: readonly string[]): Promise<TableIdentifier[]> {
    return (await this.listTablesPage(namespace, {})).items;
  }

  /** Throws NAMESPACE_NOT_FOUND. */
  async listTablesPage(namespace: readonly string[], page: Page): Promise<Paged<TableIdentifier>> {
    const names = pageOf(await this.#store.tableNames(namespace), (name) => name, page);
    return { ...names, items: names.items.map((name) => ({ namespace, name })) };
  }

  async hasTable(identifier: TableIdentifier): Promise<boolean> {
    return (await this.#store.pointer(identifier)) !== null;
  }

  /**
   * The metadata is shared between callers, so it must not be changed. It has no times in the future (see
   * metadata/times.ts).
   */
  async loadTable(identifier: TableIdentifier): Promise<LoadedTable> {
    const metadata_location = await this.#store.pointer(identifier);
    if (metadata_location === null) throw noSuchTable(identifier);
    try {
      return this.#readable({ identifier, metadata_location, metadata: await this.#files.read(metadata_location) });
    } catch (error) {
      const now = await this.#store.pointer(identifier);
      // The file may have been deleted after many later commits: then the pointer has moved meanwhile.
      if (now !== metadata_location) return this.loadTable(identifier);
      throw error;
    }
  }

  /**
   * Protects engines whose process ends at a damaged metadata file. Throws TABLE_DAMAGED unless all metadata files of
   * the snapshot (default: the current one) are readable.
   */
  async inspect(
    { identifier, metadata }: LoadedTable,
    snapshot_id: Long | null = metadata["current-snapshot-id"],
  ): Promise<void> {
    const snapshot = snapshot_id === null ? undefined : snapshotOf(metadata, snapshot_id);
    if (snapshot !== undefined) await this.#inspect(nameOfTable(identifier), metadata, snapshot);
  }

  /** Throws NAMESPACE_NOT_FOUND, TABLE_EXISTS, INVALID_REQUEST. */
  async createTable(request: CreateTableRequest): Promise<LoadedTable> {
    const metadata = await this.stageTable(request);
    try {
      return this.#readable(await this.#committer.create(request.identifier, metadata));
    } catch (error) {
      throw error instanceof OperatingError && error.code === "COMMIT_CONFLICT"
        ? tableExists(request.identifier)
        : error;
    }
  }

  /**
   * The initial metadata for a creating commit; the table does not exist yet. Creates the table's folders, because
   * engines write data files before they commit, and some engines create no folders.
   */
  async stageTable(request: CreateTableRequest): Promise<TableMetadata> {
    const { identifier } = request;
    checkTableName(identifier);
    await this.namespaceProperties(identifier.namespace);
    if (await this.hasTable(identifier)) throw tableExists(identifier);
    const location = request.location?.replace(/\/+$/, "") || (await this.#newLocation(identifier));
    await this.#checkFolder(identifier, location);
    const properties = { ...request.properties, ...this.#store.table_properties };
    const metadata = freshMetadata(
      { ...request, properties, location, uuid: randomUUID() },
      Math.floor(this.#clock.now_us() / 1000),
    );
    checkUpdates([{ action: "set-properties", updates: metadata.properties }], null, location);
    await this.#storage.makeFolder(`${location}/data`);
    await this.#storage.makeFolder(`${location}/metadata`);
    return metadata;
  }

  async commit(changes: readonly TableChange[]): Promise<LoadedTable[]> {
    return (await this.#committer.commit(changes)).map((table) => this.#readable(table));
  }

  /** Throws TABLE_NOT_FOUND, NAMESPACE_NOT_FOUND, TABLE_EXISTS. The files keep their locations. */
  async renameTable(from: TableIdentifier, to: TableIdentifier): Promise<void> {
    checkTableName(to);
    await this.#store.renameTable(from, to);
  }

  /**
   * Registers an existing table by its metadata file. Throws TABLE_EXISTS unless overwriting, NAMESPACE_NOT_FOUND,
   * INVALID_REQUEST.
   */
  async registerTable(request: {
    identifier: TableIdentifier;
    metadata_location: string;
    is_overwriting?: boolean;
  }): Promise<LoadedTable> {
    const { identifier, metadata_location } = request;
    checkTableName(identifier);
    checkBelow(metadata_location, this.#warehouse, "metadata file");
    await this.namespaceProperties(identifier.namespace);
    const expected = await this.#store.pointer(identifier);
    if (expected !== null && request.is_overwriting !== true) throw tableExists(identifier);
    let metadata: TableMetadata;
    try {
      metadata = await this.#files.read(metadata_location);
    } catch (error) {
      throw badRequest(`${metadata_location} cannot be read as table metadata`, error);
    }
    checkMetadata(metadata, metadata_location, this.#warehouse);
    await this.#checkFolder(identifier, metadata.location);
    await this.#makeDurable(filesOfTable(metadata, metadata_location));
    await this.#store.move([{ identifier, expected, next: metadata_location, metadata, base: null }]);
    return this.#readable({ identifier, metadata_location, metadata });
  }

  /**
   * Removes the table from the catalog; with `is_purging`, also deletes its files, unless the table shares its folder.
   * Throws TABLE_NOT_FOUND.
   */
  async dropTable(identifier: TableIdentifier, options: { is_purging?: boolean } = {}): Promise<void> {
    if (options.is_purging !== true) {
      await this.#store.dropTable(identifier);
      return;
    }
    const table = await this.loadTable(identifier);
    const reason = await reasonToKeepFiles(table, this.#warehouse, this.#otherFolders(identifier));
    this.#files.forget(await this.#store.dropTable(identifier));
    try {
      if (reason === null) await deleteFiles(table.metadata.location, this.#storage, this.#warehouse);
      else this.#warnOfFiles(identifier, reason);
    } catch (error) {
      this.#warnOfFiles(identifier, messageOf(error), error);
    }
  }

  async close(): Promise<void> {
    await this.#committer.close();
    await this.#store.close();
  }

  /**
   * The table with corrected times. Cached while the correction is valid, so that readers share it and its unknown
   * times stay constant.
   */
  #readable(table: LoadedTable): LoadedTable {
    const now_ms = Math.floor(this.#clock.now_us() / 1000);
    const known = this.#corrected.get(table.metadata);
    if (
      known !== undefined &&
      Number(known["last-updated-ms"]) <= now_ms &&
      Number(table.metadata["last-updated-ms"]) > now_ms
    ) {
      return { ...table, metadata: known };
    }
    const metadata = withoutFutureTimes(table.metadata, now_ms, now_ms - OLDEST_TRANSACTION_MS);
    if (metadata !== table.metadata) {
      this.#corrected.set(table.metadata, metadata);
      this.#warnOfClock(table, now_ms);
    }
    return { ...table, metadata };
  }

  /** Warns once, of the first table that is found. */
  #warnOfClock({ identifier, metadata }: LoadedTable, now_ms: number): void {
    const changed_ms = Number(metadata["last-updated-ms"]);
    if (this.#has_warned_of_clock || changed_ms <= now_ms + CLOCK_TOLERANCE_MS) return;
    this.#has_warned_of_clock = true;
    this.#warn(clockBehind(nameOfTable(identifier), changed_ms, now_ms));
  }

  /**
   * Throws INVALID_REQUEST unless the folder is below the warehouse, and neither inside nor around the folder of
   * another table. Reads the metadata of every table: tables are created rarely, and metadata is cached.
   */
  async #checkFolder(identifier: TableIdentifier, location: string): Promise<void> {
    checkBelow(location, this.#warehouse, "table location");
    for await (const other of this.#otherFolders(identifier)) {
      if (!overlaps(location, other.folder)) continue;
      throw badRequest(`Invalid table location: ${location} overlaps the folder of ${other.table}, ${other.folder}`);
    }
  }

  /** The folders of all other tables. */
  async *#otherFolders(identifier: TableIdentifier): AsyncIterable<{ table: string; folder: string }> {
    const own = nameOfTable(identifier);
    for await (const { table, pointer } of this.#pointers([])) {
      if (table === own) continue;
      for (const folder of await this.#foldersAt(pointer)) yield { table, folder };
    }
  }

  /** The folders of a table; if its metadata cannot be read, the folder of its metadata file. */
  async #foldersAt(pointer: string): Promise<string[]> {
    try {
      return foldersOf(await this.#files.read(pointer), pointer);
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      return [tableFolderOf(pointer)];
    }
  }

  async *#pointers(parent: readonly string[]): AsyncIterable<{ table: string; pointer: string }> {
    for (const namespace of await this.#store.childNamespaces(parent)) {
      for (const name of await this.#store.tableNames(namespace)) {
        const pointer = await this.#store.pointer({ namespace, name });
        if (pointer !== null) yield { table: nameOfTable({ namespace, name }), pointer };
      }
      yield* this.#pointers(namespace);
    }
  }

  /** Tables without a location are created below the namespace's location. */
  #checkNamespaceLocation({ location }: Readonly<Record<string, string>>): void {
    if (location !== undefined) checkBelow(location, this.#warehouse, "namespace location");
  }

  #warnOfFiles(identifier: TableIdentifier, reason: string, cause?: unknown): void {
    this.#warn(
      new OperatingError(
        "FILES_LEFT_BEHIND",
        `${nameOfTable(identifier)} is dropped, but files of it stay: ${reason}`,
        {
          next_step: "Delete the folder by hand if nothing else needs it.",
          cause,
        },
      ),
    );
  }

  /**
   * A unique folder for each table ever created. A dropped or renamed table leaves its folder unused, so a new table of
   * the same name never mixes its files with the old ones.
   */
  async #newLocation({ namespace, name }: TableIdentifier): Promise<string> {
    const properties = await this.namespaceProperties(namespace);
    const parent =
      properties["location"]?.replace(/\/+$/, "") ?? [this.#warehouse, ...namespace.map(folderName)].join("/");
    return `${parent}/${folderName(name)}-${randomUUID().slice(0, 8)}`;
  }
}

function pageOf<T>(sorted: readonly T[], nameOf: (item: T) => string, page: Page): Paged<T> {
  const after = page.page_token ? decodeToken(page.page_token) : null;
  const rest = after === null ? [...sorted] : sorted.slice(firstAfter(sorted.map(nameOf), after));
  const items = page.page_size === undefined ? rest : rest.slice(0, page.page_size);
  const last = items.at(-1);
  const has_more = items.length < rest.length && last !== undefined;
  return { items, next_page_token: has_more ? Buffer.from(nameOf(last)).toString("base64url") : null };
}

/** Compares as bytes, because stores sort by code point and JavaScript's `<` sorts by UTF-16 code unit. */
function firstAfter(names: readonly string[], after: string): number {
  const index = names.findIndex((name) => Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0);
  return index === -1 ? names.length : index;
}

function decodeToken(token: string): string {
  const name = Buffer.from(token, "base64url").toString();
  if (Buffer.from(name).toString("base64url") !== token) throw badRequest("Invalid page token");
  return name;
}

function clockBehind(table: string, changed_ms: number, now_ms: number): OperatingError {
  const [changed_at, now] = [changed_ms, now_ms].map((at_ms) => new Date(at_ms).toISOString());
  return new OperatingError(
    "CLOCK_BEHIND",
    `A clock is wrong: this machine's shows ${now}, but ${table} was changed at ${changed_at}`,
    {
      next_step:
        "Set this machine's clock right. If it is right, it was ahead at that change: no data is missing, and times " +
        "in the tables' history are approximate until then.",
    },
  );
}
