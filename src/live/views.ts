import { tableNamed } from "../iceberg/errors.ts";
import type { TableCatalog } from "../iceberg/model.ts";
import type { TailDatabase } from "../duckdb/tail-database.ts";
import { OperatingError } from "../base/errors.ts";
import { consumedOffsets } from "../iceberg/metadata/log-offsets.ts";
import type { LiveDefinition } from "../pipeline/definition.ts";
import { equalOffsets, minOffsets, type LogOffsets } from "../log/offsets.ts";
import type { CompiledRelation } from "../transform/worker.ts";
import { bind, emptyLike, isPast, tableAt, viewOf, type PinnedTable } from "./bindings.ts";
import { tableName, tableOf, type LiveShape } from "./shape.ts";
import { tailTable } from "./tail.ts";

/** A named table pinned to its current snapshot. Snapshot and offsets come from one read of the catalog. */
export interface PinnedLakeTable extends PinnedTable {
  /** `layer.table`. */
  table: string;
  /** ISO 8601, UTC; null before the first commit. */
  committed_at: string | null;
}

const NOTHING: Omit<PinnedLakeTable, "table"> = {
  snapshot_id: null,
  offsets: {},
  columns: new Set(),
  committed_at: null,
};

/** The live views: the snapshots that they read, and the change to newer ones. */
export class Views {
  readonly #db: TailDatabase;
  readonly #live: LiveDefinition;
  readonly #shape: LiveShape;
  readonly #bound = new Map<string, PinnedLakeTable>();

  constructor(db: TailDatabase, parts: { live: LiveDefinition; shape: LiveShape }) {
    this.#db = db;
    this.#live = parts.live;
    this.#shape = parts.shape;
  }

  /** The pinned tables that the views read, in the order of the layers. */
  bound(): PinnedLakeTable[] {
    return [...this.#bound.values()];
  }

  boundOf(model: CompiledRelation): PinnedLakeTable {
    return this.#bound.get(tableOf(model)) ?? { table: tableOf(model), ...NOTHING };
  }

  /** The offsets that every table has consumed. */
  absorbed(): LogOffsets {
    return minOffsets(this.#following().map((model) => this.boundOf(model).offsets));
  }

  /** Creates every view over an empty table. */
  async open(): Promise<void> {
    for (const model of this.#all()) {
      this.#bound.set(tableOf(model), { table: tableOf(model), ...NOTHING });
      await this.#db.run(`CREATE VIEW ${viewName(model)} AS ${emptyLike(model)}`);
    }
  }

  /** The current snapshots of all tables. */
  async loadSnapshots(catalog: TableCatalog): Promise<PinnedLakeTable[]> {
    return Promise.all(this.#all().map((model) => boundIn(catalog, tableOf(model))));
  }

  /** Whether the table has changed since its view was created. A commit without rows changes the offsets alone. */
  hasMoved({ table, snapshot_id, offsets }: PinnedLakeTable): boolean {
    const bound = this.#bound.get(table);
    return snapshot_id !== bound?.snapshot_id || !equalOffsets(offsets, bound.offsets);
  }

  /** Binds the views to these snapshots. Batches may be absorbed at the same time. */
  async replace(moved: readonly PinnedLakeTable[]): Promise<void> {
    const models = new Map(this.#all().map((model) => [tableOf(model), model]));
    const views = moved.flatMap((bound) => {
      const model = models.get(bound.table);
      return model === undefined ? [] : [[viewName(model), this.#contentOf(model, bound)] as const];
    });
    await this.#db.replaceViews(new Map(views), () => {
      for (const bound of moved) this.#bound.set(bound.table, bound);
    });
  }

  isSeed(bound: PinnedLakeTable): CompiledRelation | null {
    return this.#shape.seeds.find((seed) => tableOf(seed) === bound.table) ?? null;
  }

  /** The tables that consume the log. */
  #following(): CompiledRelation[] {
    return [this.#shape.bronze, ...this.#shape.tables];
  }

  #all(): CompiledRelation[] {
    return [...this.#following(), ...this.#shape.seeds];
  }

  #contentOf(model: CompiledRelation, bound: PinnedTable): string {
    const { bronze, seeds, elements, accepted, others } = this.#shape;
    if (seeds.includes(model)) return tableAt(model, bound);
    const in_tail = (table: string) => `select * from ${table} where ${isPast(bound.offsets)}`;
    // Spark's stream commits rows first and their offsets a moment later. Until then the tail provides these rows.
    if (model === bronze)
      return viewOf(
        model,
        `select * from (${tableAt(model, bound)}) where not (${isPast(bound.offsets)})`,
        in_tail(tailTable(model)),
      );
    if ([accepted, ...others].includes(model)) return viewOf(model, tableAt(model, bound), in_tail(tailTable(model)));
    const whole_minutes = this.#live.by_minute.includes(model.name);
    const binding = new Map<string, string>([
      [elements.relation, `(${in_tail(tailTable(elements))})`],
      // The model's own table is the pinned snapshot; other models are read through their live views.
      ...this.#all().map(
        (other) => [other.relation, other === model ? `(${tableAt(model, bound)})` : viewName(other)] as const,
      ),
      ...(whole_minutes ? [[accepted.relation, tailTable(accepted)] as const] : []),
    ]);
    return viewOf(model, tableAt(model, bound), bind(model, binding, bound.offsets));
  }
}

function viewName(model: CompiledRelation): string {
  return `live.${tableName(tableOf(model))}`;
}

/** A table's current snapshot and consumed offsets, from one read so that they belong together. */
async function boundIn(catalog: TableCatalog, table: string): Promise<PinnedLakeTable> {
  try {
    const { metadata } = await catalog.loadTable(tableNamed(table));
    const current = metadata.snapshots.find((snapshot) => snapshot["snapshot-id"] === metadata["current-snapshot-id"]);
    const offsets = consumedOffsets(metadata);
    // A table that never received a row may still have consumed offsets.
    if (!current) return { table, ...NOTHING, offsets };
    return {
      table,
      snapshot_id: String(current["snapshot-id"]),
      offsets,
      columns: new Set(
        metadata.schemas
          .find((schema) => schema["schema-id"] === (current["schema-id"] ?? metadata["current-schema-id"]))
          ?.fields.map(({ name }) => name),
      ),
      committed_at: new Date(Number(current["timestamp-ms"])).toISOString(),
    };
  } catch (error) {
    if (error instanceof OperatingError && (error.code === "TABLE_NOT_FOUND" || error.code === "NAMESPACE_NOT_FOUND"))
      return { table, ...NOTHING };
    throw error;
  }
}
