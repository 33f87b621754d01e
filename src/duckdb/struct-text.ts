import { DuckDBStructValue, type DuckDBValue } from "@duckdb/node-api";
import { DuckDBStructVector } from "@duckdb/node-api/lib/vectors/DuckDBStructVector.js";

/**
 * DuckDB's client builds a plain object from a struct by assignment: a field `__proto__` is lost, and numeric field
 * names change the order. This module reads structs with their fields in order, under any name, at any depth.
 */

type Field = readonly [name: string, value: DuckDBValue];

class OrderedStruct extends DuckDBStructValue {
  readonly #fields: readonly Field[];

  constructor(fields: readonly Field[]) {
    // Own properties of any name.
    super(Object.fromEntries(fields));
    this.#fields = fields;
  }

  override toString(): string {
    return `{${this.#fields.map(([name, value]) => `${textOf(name)}: ${textOf(value)}`).join(", ")}}`;
  }
}

/** Formats a nested value as DuckDB's client does. */
function textOf(value: DuckDBValue): string {
  if (value === null) return "NULL";
  return typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value);
}

/** Must be called before results are read; idempotent. */
export function readStructsInOrder(): void {
  DuckDBStructVector.prototype.getItem = function getItem(
    this: DuckDBStructVector,
    index: number,
  ): DuckDBStructValue | null {
    if (!this.isItemValid(index)) return null;
    return new OrderedStruct(
      this.type.entryNames.map((name, entry): Field => [name, this.entryVectorAt(entry).getItem(index)]),
    );
  };
}
