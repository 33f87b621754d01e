import { userInfo } from "node:os";
import { OperatingError, UnknownOutcome, messageOf } from "../../base/errors.ts";
import {
  commitConflict,
  namespaceExists,
  namespaceNotEmpty,
  nameOfTable,
  noSuchNamespace,
  noSuchTable,
  tableExists,
  unsupported,
} from "../../iceberg/errors.ts";
import type { TableIdentifier } from "../../iceberg/model.ts";
import type { CatalogStore, PointerMove } from "../store.ts";
import { MetastoreClient } from "./client.ts";
import { databaseWith, propertiesOf } from "./database.ts";
import { checkNewTable, databaseOf, isHiveTable, newDatabaseOf } from "./names.ts";
import type { HiveDatabase, HiveTable } from "./service.ts";
import { METADATA_LOCATION, movedHiveTable, newHiveTable, pointerOf } from "./table.ts";
import { ThriftFault } from "./thrift/connection.ts";

export interface HiveStoreOptions {
  /** `thrift://host:port` */
  uri: string;
  /** Parent location of the folders of databases created here: the catalog's warehouse. */
  warehouse: string;
}

/** Number of tables per call. An answer has each table with its schema, so this many take one or two megabytes. */
const TABLES_A_CALL = 100;

/** Error text of Hive's compare-and-swap if the parameter has another value than expected (HIVE-26882). */
const IS_MODIFIED = "The table has been modified";

/**
 * The catalog's pointers in a Hive Metastore, compatible with Iceberg's HiveCatalog. A namespace is a database. A table
 * is an external table whose parameter `metadata_location` is the pointer; Hive's compare-and-swap moves it.
 */
export class HiveStore implements CatalogStore {
  readonly is_multi_table = false;
  /** Makes Iceberg's HiveCatalog use compare-and-swap too. By default it locks, and writes without comparing. */
  readonly table_properties = { "engine.hive.lock-enabled": "false" };
  readonly #client: MetastoreClient;
  readonly #warehouse: string;

  /** Connects on first use. Throws INVALID_REQUEST. */
  constructor({ uri, warehouse }: HiveStoreOptions) {
    this.#client = new MetastoreClient(uri);
    this.#warehouse = warehouse.replace(/\/+$/, "");
  }

  async createNamespace(namespace: readonly string[], properties: Readonly<Record<string, string>>): Promise<void> {
    const name = newDatabaseOf(namespace);
    const database = databaseWith(
      properties,
      { name, ownerName: userInfo().username, ownerType: 1 },
      this.#defaultLocation(name),
    );
    await change(this.#client.change("create_database", { database }), {
      AlreadyExistsException: () => namespaceExists(namespace),
    });
  }

  async namespaceProperties(namespace: readonly string[]): Promise<Record<string, string> | null> {
    const database = await this.#database(namespace);
    return database === null ? null : propertiesOf(database, this.#defaultLocation(database.name));
  }

  /** Hive replaces databases without compare-and-swap: of two concurrent changes the later one wins. */
  async changeNamespaceProperties(
    namespace: readonly string[],
    { updates, removals }: { updates: Readonly<Record<string, string>>; removals: readonly string[] },
  ): Promise<Record<string, string>> {
    const database = await this.#database(namespace);
    if (database === null) throw noSuchNamespace(namespace);
    const default_location = this.#defaultLocation(database.name);
    const before = propertiesOf(database, default_location);
    const kept = Object.entries(before).filter(([name]) => !removals.includes(name));
    const db = databaseWith({ ...Object.fromEntries(kept), ...updates }, database, default_location);
    await change(this.#client.change("alter_database", { dbname: database.name, db }), {
      NoSuchObjectException: () => noSuchNamespace(namespace),
    });
    return before;
  }

  async childNamespaces(parent: readonly string[]): Promise<string[][]> {
    if (parent.length > 0) return [];
    return sorted(await read(this.#client.read("get_all_databases", {}))).map((name) => [name]);
  }

  async dropNamespace(namespace: readonly string[]): Promise<void> {
    const name = databaseOf(namespace);
    if (name === null) throw noSuchNamespace(namespace);
    await change(this.#client.change("drop_database", { name, deleteData: false, cascade: false }), {
      NoSuchObjectException: () => noSuchNamespace(namespace),
      InvalidOperationException: () => namespaceNotEmpty(namespace),
    });
  }

  /** Only Iceberg tables; a database may contain others. */
  async tableNames(namespace: readonly string[]): Promise<string[]> {
    const database = await this.#database(namespace);
    if (database === null) throw noSuchNamespace(namespace);
    const dbName = database.name;
    const all_names = await read(this.#client.read("get_all_tables", { db_name: dbName }));
    const names: string[] = [];
    for (let from = 0; from < all_names.length; from += TABLES_A_CALL) {
      const req = { dbName, tblNames: all_names.slice(from, from + TABLES_A_CALL) };
      const { tables } = await read(this.#client.read("get_table_objects_by_name_req", { req }));
      names.push(...tables.filter((table) => pointerOf(table) !== null).map(({ tableName }) => tableName));
    }
    return sorted(names);
  }

  async pointer(identifier: TableIdentifier): Promise<string | null> {
    const table = await this.#table(identifier);
    return table === null ? null : pointerOf(table);
  }

  async move(moves: readonly PointerMove[]): Promise<void> {
    for (const move of moves) await (move.expected === null ? this.#create(move) : this.#swap(move, move.expected));
  }

  /** Moves the pointer by compare-and-swap, so that a commit between the read and the change is not undone. */
  async renameTable(from: TableIdentifier, to: TableIdentifier): Promise<void> {
    checkNewTable(to);
    const table = await this.#table(from);
    const pointer = table === null ? null : pointerOf(table);
    if (table === null || pointer === null) throw noSuchTable(from);
    if ((await this.#database(to.namespace)) === null) throw noSuchNamespace(to.namespace);
    if ((await this.#table(to)) !== null) throw tableExists(to);
    await this.#alter(table, { ...table, dbName: newDatabaseOf(to.namespace), tableName: to.name }, pointer, () =>
      commitConflict(`Another writer changed ${nameOfTable(from)} while it was renamed`),
    );
  }

  /** Keeps data and metadata files; the catalog deletes them. */
  async dropTable(identifier: TableIdentifier): Promise<string> {
    const pointer = await this.pointer(identifier);
    if (pointer === null) throw noSuchTable(identifier);
    const dbname = newDatabaseOf(identifier.namespace);
    await change(this.#client.change("drop_table", { dbname, name: identifier.name, deleteData: false }), {
      NoSuchObjectException: () => noSuchTable(identifier),
    });
    return pointer;
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  async #create(move: PointerMove): Promise<void> {
    checkNewTable(move.identifier);
    if ((await this.#database(move.identifier.namespace)) === null) throw noSuchNamespace(move.identifier.namespace);
    const tbl = newHiveTable(move, userInfo().username, Math.floor(Date.now() / 1000));
    await this.#publish(
      move,
      change(this.#client.change("create_table", { tbl }), {
        AlreadyExistsException: () => commitConflict(`Another writer created ${nameOfTable(move.identifier)} first`),
        InvalidObjectException: (message) =>
          unsupported(`The Hive Metastore cannot have ${nameOfTable(move.identifier)}: ${message}`),
        NoSuchObjectException: () => noSuchNamespace(move.identifier.namespace),
      }),
    );
  }

  async #swap(move: PointerMove, expected: string): Promise<void> {
    const conflict = () => commitConflict(`Another writer committed to ${nameOfTable(move.identifier)} first`);
    const table = await this.#table(move.identifier);
    if (table === null || pointerOf(table) !== expected) throw conflict();
    await this.#publish(move, this.#alter(table, movedHiveTable(table, move), expected, conflict));
  }

  /**
   * A metastore retries failed database operations by itself, and may then find its own change. A lost race is
   * therefore reported only if the current pointer is not `move.next`.
   */
  async #publish(move: PointerMove, publication: Promise<void>): Promise<void> {
    try {
      await publication;
    } catch (error) {
      if (!(error instanceof OperatingError) || error.code !== "COMMIT_CONFLICT") throw error;
      let pointer: string | null;
      try {
        pointer = await this.pointer(move.identifier);
      } catch (reading_error) {
        throw new UnknownOutcome(
          `The commit to ${nameOfTable(move.identifier)} may have met itself: ${messageOf(reading_error)}`,
          reading_error,
        );
      }
      if (pointer !== move.next) throw error;
    }
  }

  async #alter(table: HiveTable, new_tbl: HiveTable, expected: string, conflict: () => OperatingError): Promise<void> {
    const properties = {
      expected_parameter_key: METADATA_LOCATION,
      expected_parameter_value: expected,
      DO_NOT_UPDATE_STATS: "true",
    };
    const args = { dbname: table.dbName, tbl_name: table.tableName, new_tbl, environment_context: { properties } };
    await change(this.#client.change("alter_table_with_environment_context", args), {
      MetaException: (message) => (message.includes(IS_MODIFIED) ? conflict() : null),
      InvalidOperationException: (message) => rejectedChange(table, message),
    });
  }

  async #database(namespace: readonly string[]): Promise<HiveDatabase | null> {
    const name = databaseOf(namespace);
    return name === null ? null : ifThere(this.#client.read("get_database", { name }));
  }

  async #table(identifier: TableIdentifier): Promise<HiveTable | null> {
    if (!isHiveTable(identifier)) return null;
    const req = { dbName: newDatabaseOf(identifier.namespace), tblName: identifier.name };
    return (await ifThere(this.#client.read("get_table_req", { req })))?.table ?? null;
  }

  /** The catalog's default location for tables of a namespace without a location. */
  #defaultLocation(name: string): string {
    return `${this.#warehouse}/${name}`;
  }
}

function sorted(names: readonly string[]): string[] {
  return names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

async function ifThere<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await read(answer);
  } catch (error) {
    if (
      error instanceof OperatingError &&
      error.cause instanceof ThriftFault &&
      error.cause.type === "NoSuchObjectException"
    )
      return null;
    throw error;
  }
}

/** Reads change nothing, so every error that the metastore reports is a known failure. */
async function read<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof ThriftFault)) throw error;
    throw new OperatingError(
      "METASTORE_FAILED",
      `The Hive Metastore could not answer: ${error.type}: ${error.message}`,
      {
        next_step: "See what its log says.",
        cause: error,
      },
    );
  }
}

/**
 * Maps Hive's exceptions that precede any change to errors. Any other exception may follow a change in Hive's database,
 * so it is an unknown outcome, as in Iceberg's HiveCatalog.
 */
async function change(
  answer: Promise<void>,
  meanings: Readonly<Record<string, (message: string) => OperatingError | null>>,
): Promise<void> {
  try {
    await answer;
  } catch (error) {
    if (!(error instanceof ThriftFault)) throw error;
    throw (
      meanings[error.type]?.(error.message) ??
      new UnknownOutcome(`The Hive Metastore failed: ${error.type}: ${error.message}`, error)
    );
  }
}

function rejectedChange({ dbName, tableName }: HiveTable, message: string): OperatingError {
  return unsupported(`The Hive Metastore rejected the change of ${dbName}.${tableName}: ${message}`);
}
