import type { DatabaseSync, StatementSync } from "node:sqlite";
import {
  badRequest,
  commitConflict,
  namespaceExists,
  namespaceNotEmpty,
  nameOfTable,
  noSuchNamespace,
  noSuchTable,
  tableExists,
} from "../../iceberg/errors.ts";
import type { TableIdentifier } from "../../iceberg/model.ts";
import type { CatalogStore, PointerMove } from "../store.ts";
import { openDatabase, read, transact, type DatabaseOptions } from "./database.ts";

/** Separates the levels of a namespace, in the database as on the wire; no level can contain it. */
const SEPARATOR = "\x1f";

const SQL = {
  insert_namespace: "insert into namespaces (name, properties) values (?, ?)",
  select_namespace: "select properties from namespaces where name = ?",
  update_namespace: "update namespaces set properties = ? where name = ?",
  delete_namespace: "delete from namespaces where name = ?",
  select_below: "select name from namespaces where name > ? and name < ? order by name",
  select_names: "select name from tables where namespace = ? order by name",
  select_any_table: "select 1 from tables where namespace = ? limit 1",
  select_pointer: "select metadata_location from tables where namespace = ? and name = ?",
  insert_table: "insert into tables (namespace, name, metadata_location) values (?, ?, ?)",
  move_pointer: "update tables set metadata_location = ? where namespace = ? and name = ? and metadata_location = ?",
  rename_table: "update tables set namespace = ?, name = ? where namespace = ? and name = ?",
  delete_table: "delete from tables where namespace = ? and name = ?",
} as const;

/** The catalog's pointers in one SQLite file: a commit is one transaction, on disk before the response. */
export class SqliteStore implements CatalogStore {
  readonly is_multi_table = true;
  readonly table_properties = {};
  readonly #database: DatabaseSync;
  readonly #statements: Record<keyof typeof SQL, StatementSync>;

  constructor(path: string, options: DatabaseOptions = {}) {
    this.#database = openDatabase(path, options);
    const prepared = Object.entries(SQL).map(([name, sql]) => [name, this.#database.prepare(sql)]);
    this.#statements = Object.fromEntries(prepared) as Record<keyof typeof SQL, StatementSync>;
  }

  async createNamespace(namespace: readonly string[], properties: Readonly<Record<string, string>>): Promise<void> {
    const key = keyOf(namespace);
    transact(this.#database, () => {
      const parent = namespace.slice(0, -1);
      if (parent.length > 0 && this.#properties(parent) === null) throw noSuchNamespace(parent);
      if (this.#properties(namespace) !== null) throw namespaceExists(namespace);
      this.#statements.insert_namespace.run(key, JSON.stringify(properties));
    });
  }

  async namespaceProperties(namespace: readonly string[]): Promise<Record<string, string> | null> {
    return read(this.#database, () => this.#properties(namespace));
  }

  async changeNamespaceProperties(
    namespace: readonly string[],
    change: { updates: Readonly<Record<string, string>>; removals: readonly string[] },
  ): Promise<Record<string, string>> {
    return transact(this.#database, () => {
      const before = this.#properties(namespace);
      if (before === null) throw noSuchNamespace(namespace);
      const kept = Object.entries(before).filter(([name]) => !change.removals.includes(name));
      this.#statements.update_namespace.run(
        JSON.stringify({ ...Object.fromEntries(kept), ...change.updates }),
        keyOf(namespace),
      );
      return before;
    });
  }

  async childNamespaces(parent: readonly string[]): Promise<string[][]> {
    return read(this.#database, () => this.#children(parent));
  }

  async dropNamespace(namespace: readonly string[]): Promise<void> {
    transact(this.#database, () => {
      if (this.#properties(namespace) === null) throw noSuchNamespace(namespace);
      const has_tables = this.#statements.select_any_table.get(keyOf(namespace)) !== undefined;
      if (has_tables || this.#children(namespace).length > 0) throw namespaceNotEmpty(namespace);
      this.#statements.delete_namespace.run(keyOf(namespace));
    });
  }

  async tableNames(namespace: readonly string[]): Promise<string[]> {
    return read(this.#database, () => {
      if (this.#properties(namespace) === null) throw noSuchNamespace(namespace);
      return this.#statements.select_names.all(keyOf(namespace)).map((row) => String(row["name"]));
    });
  }

  async pointer(identifier: TableIdentifier): Promise<string | null> {
    return read(this.#database, () => this.#pointer(identifier));
  }

  async move(moves: readonly PointerMove[]): Promise<void> {
    transact(this.#database, () => {
      for (const { identifier, expected, next } of moves) {
        const key = keyOf(identifier.namespace);
        if (expected === null) this.#insert(identifier, next);
        else if (this.#statements.move_pointer.run(next, key, identifier.name, expected).changes !== 1) {
          throw commitConflict(`Another writer committed to ${nameOfTable(identifier)} first`);
        }
      }
    });
  }

  async renameTable(from: TableIdentifier, to: TableIdentifier): Promise<void> {
    transact(this.#database, () => {
      if (this.#pointer(from) === null) throw noSuchTable(from);
      if (this.#properties(to.namespace) === null) throw noSuchNamespace(to.namespace);
      if (this.#pointer(to) !== null) throw tableExists(to);
      this.#statements.rename_table.run(keyOf(to.namespace), to.name, keyOf(from.namespace), from.name);
    });
  }

  async dropTable(identifier: TableIdentifier): Promise<string> {
    return transact(this.#database, () => {
      const location = this.#pointer(identifier);
      if (location === null) throw noSuchTable(identifier);
      this.#statements.delete_table.run(keyOf(identifier.namespace), identifier.name);
      return location;
    });
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  #insert(identifier: TableIdentifier, location: string): void {
    if (this.#properties(identifier.namespace) === null) throw noSuchNamespace(identifier.namespace);
    if (this.#pointer(identifier) !== null)
      throw commitConflict(`Another writer created ${nameOfTable(identifier)} first`);
    this.#statements.insert_table.run(keyOf(identifier.namespace), identifier.name, location);
  }

  #pointer({ namespace, name }: TableIdentifier): string | null {
    const row = this.#statements.select_pointer.get(keyOf(namespace), name);
    return row === undefined ? null : String(row["metadata_location"]);
  }

  #properties(namespace: readonly string[]): Record<string, string> | null {
    const row = this.#statements.select_namespace.get(keyOf(namespace));
    return row === undefined ? null : (JSON.parse(String(row["properties"])) as Record<string, string>);
  }

  #children(parent: readonly string[]): string[][] {
    const below =
      parent.length === 0
        ? { from: "", to: "\u{10ffff}" }
        : { from: keyOf(parent) + SEPARATOR, to: keyOf(parent) + nextCharacter(SEPARATOR) };
    return this.#statements.select_below
      .all(below.from, below.to)
      .map((row) => String(row["name"]).split(SEPARATOR))
      .filter((namespace) => namespace.length === parent.length + 1);
  }
}

function keyOf(namespace: readonly string[]): string {
  if (
    namespace.length === 0 ||
    namespace.some((level) => level === "" || level.includes(SEPARATOR) || level.includes("\0"))
  ) {
    throw badRequest(`Invalid namespace: ${JSON.stringify(namespace)}`);
  }
  return namespace.join(SEPARATOR);
}

function nextCharacter(character: string): string {
  return String.fromCharCode(character.charCodeAt(0) + 1);
}
