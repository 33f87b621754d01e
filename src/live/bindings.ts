import { TAIL } from "../duckdb/tail-database.ts";
import { parsePartitionKey, type LogOffsets } from "../log/offsets.ts";
import type { CompiledRelation } from "../transform/worker.ts";

/**
 * Rewrites the compiled SQL of dbt's models into the SQL of live views: the same statements over other relations. Pure.
 * Relations of the tail's database:
 *
 *   live.<table>              the view: the table at one snapshot, and the tail's rows that the snapshot has not
 *                             consumed
 *   tail.main.<table>         the tail's rows of the table
 *   tail.arriving.<table>     the rows of the batch that is being absorbed
 */
/** Accepted rows that arriving events may duplicate, and that are no longer in the tail. */
export const DUPLICATE_LOOKUP = `${TAIL}.known`;

/** A table pinned to one snapshot, with the log offsets that the snapshot has consumed. */
export interface PinnedTable {
  /** Null for a table without a snapshot. */
  snapshot_id: string | null;
  offsets: LogOffsets;
  /** The snapshot's columns. An older snapshot may lack columns that the model has gained since. */
  columns: ReadonlySet<string>;
}

/** The replacement of each relation that a model reads, by its name in dbt's SQL. */
export type Binding = ReadonlyMap<string, string>;

const IS_NEW = /coinlake_is_new\(\s*([\w.]+)\s*,\s*([\w.]+)\s*,\s*([\w.]+)\s*\)/g;

const WHERE_COPIES_MAY_BE = /\/\* where copies may be \*\/[\s\S]*?\/\* end \*\//g;

/** The model without its search for duplicates, for rows that cannot be any. See dbt_coinlake/macros/live.sql. */
export function withoutCopies(model: CompiledRelation): CompiledRelation {
  return { ...model, sql: model.sql?.replace(WHERE_COPIES_MAY_BE, "") ?? null };
}

export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * SQL condition: the row's record is at or past `offsets`. All records of a partition without an offset are past it.
 */
export function isPast(
  offsets: LogOffsets,
  [topic, partition, offset] = ["log_topic", "log_partition", "log_offset"],
): string {
  const consumed = Object.entries(offsets).map(([key, next]) => {
    const own = parsePartitionKey(key);
    return `(${topic} = ${quote(own.topic)} and ${partition} = ${own.partition} and ${offset} < ${next})`;
  });
  return consumed.length === 0 ? "true" : `not (${consumed.join(" or ")})`;
}

/** The model's SQL over the relations of the binding; records at or past `offsets` are new to it. */
export function bind(model: CompiledRelation, binding: Binding, offsets: LogOffsets): string {
  if (model.sql === null) throw new Error(`${model.name} is no model`);
  let sql = model.sql.trim();
  for (const [relation, replacement] of binding) sql = sql.replaceAll(relation, () => replacement);
  return sql.replace(
    IS_NEW,
    (_call, topic: string, partition: string, offset: string) => `(${isPast(offsets, [topic, partition, offset])})`,
  );
}

/** An empty relation with the model's columns, for tables that do not exist yet. */
export function emptyLike({ columns }: CompiledRelation): string {
  return `select ${columns.map(({ name, type }) => `null::${type} as ${name}`).join(", ")} where false`;
}

/**
 * The table at its snapshot. Missing columns are null, and decimals that an earlier version wrote are cast to the
 * current type.
 */
export function tableAt(model: CompiledRelation, { snapshot_id, columns }: PinnedTable): string {
  if (snapshot_id === null) return emptyLike(model);
  const lacking = model.columns
    .filter(({ name }) => !columns.has(name))
    .map(({ name, type }) => `, null::${type} as ${name}`);
  const held = model.columns.filter(({ name, type }) => columns.has(name) && /^decimal/i.test(type));
  const cast =
    held.length === 0
      ? ""
      : ` replace (${held.map(({ name, type }) => `try_cast(${name} as ${type}) as ${name}`).join(", ")})`;
  return `select *${cast}${lacking.join("")} from ${model.relation} at (version => ${snapshot_id})`;
}

/**
 * The view of a model: its table, and the rows that its next run would write. As in the run, new rows are appended, or
 * replace the rows with the same key (see dbt_coinlake/macros/materialize_incremental.sql).
 */
export function viewOf(model: CompiledRelation, table: string, new_rows: string): string {
  const kept_columns = model.columns.map(({ name }) => name).join(", ");
  const replaced = replacement(model);
  if (replaced === null) return `${table} union all by name select ${kept_columns} from (${new_rows})`;
  return `with new_rows as materialized (
    ${new_rows}
)
select t.* from (${table}) as t where not exists (select 1 from new_rows as s where ${replaced})
union all by name
select ${kept_columns} from new_rows`;
}

function replacement({ unique_key, replace_on }: CompiledRelation): string | null {
  const matches = [
    ...(replace_on === null ? [] : [`(${replace_on})`]),
    ...unique_key.map((key) => `t.${key} = s.${key}`),
  ];
  return matches.length === 0 ? null : matches.join(" and ");
}
