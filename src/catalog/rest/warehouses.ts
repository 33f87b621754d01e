import { OperatingError } from "../../base/errors.ts";
import type { Catalog } from "../catalog.ts";

/** The name of the first catalog for clients that must send a warehouse, as DuckDB does. */
export const DEFAULT_WAREHOUSE = "coinlake";

interface Warehouse {
  readonly catalog: Catalog;
}

/**
 * The catalogs of one server, by warehouse. A client asks `GET /v1/config?warehouse=NAME` for the prefix of its paths
 * (spec, getConfig), which is the warehouse's name. An only catalog accepts any warehouse and prefix.
 */
export class Warehouses {
  readonly #warehouses = new Map<string, Warehouse>();
  readonly #first: Warehouse;
  readonly #is_only: boolean;

  constructor(name: string, first: Warehouse, { is_only }: { is_only: boolean }) {
    this.#warehouses.set(name, first);
    this.#first = first;
    this.#is_only = is_only;
  }

  add(name: string, catalog: Catalog): void {
    this.#warehouses.set(name, { catalog });
  }

  remove(name: string): void {
    this.#warehouses.delete(name);
  }

  /** The prefix for a warehouse; null for none. Throws WAREHOUSE_NOT_FOUND. */
  prefixOf(warehouse: string | null): string | null {
    if (this.#is_only || isFirst(warehouse)) return null;
    this.catalogOf(warehouse);
    return warehouse;
  }

  /** The catalog of a path's prefix; the first for none. Throws WAREHOUSE_NOT_FOUND. */
  catalogOf(prefix: string | null): Catalog {
    if (this.#is_only || isFirst(prefix)) return this.#first.catalog;
    const found = this.#warehouses.get(prefix);
    if (found !== undefined) return found.catalog;
    throw new OperatingError("WAREHOUSE_NOT_FOUND", `This catalog has no warehouse ${JSON.stringify(prefix)}`, {
      next_step: `Use one of its warehouses: ${[...this.#warehouses.keys()].join(", ")}.`,
    });
  }
}

function isFirst(name: string | null): name is null {
  return name === null || name === "" || name === DEFAULT_WAREHOUSE;
}
