import type { PinnedTables } from "../duckdb/pinned.ts";
import { quoteTable } from "../duckdb/pinned.ts";
import { quoteName, quoteText } from "../duckdb/sql.ts";
import type { TableMetadata } from "../iceberg/model.ts";
import type { BuiltTable } from "../pipeline/definition.ts";
import { tableFinding, type Finding } from "./finding.ts";
import type { HeldTable } from "../transform/moment.ts";

/** Name under which the rebuilt tables' catalog is attached. */
export const REBUILT = "rebuilt";

/**
 * Rows of a partition are compared by sums of hashes in this number of groups; only groups that differ are read.
 */
const BUCKETS = 256;
const MAX_BUCKETS = 64;
const MAX_ROWS = 5_000;
const MAX_SHOWN = 5;

interface Column {
  name: string;
  type: string;
}

interface Bucket {
  partition: string | null;
  bucket: string;
}

/**
 * Compares a table with its rebuild from bronze: first columns, then every row. Empty if they are equal.
 */
export async function compareTable(
  session: PinnedTables,
  { table, loaded, snapshot }: HeldTable,
  definition: BuiltTable,
): Promise<Finding[]> {
  const [ours, theirs] = [
    await columnsOf(session, quoteTable(table)),
    await columnsOf(session, `${REBUILT}.${quoteTable(table)}`),
  ];
  const findings = columnFindings(table, currentColumns(loaded.metadata), ours, theirs);
  const varying = new Set(definition.varying ?? []);
  const shared = theirs.filter(({ name }) => !varying.has(name) && ours.some((column) => column.name === name));
  const key = definition.key.filter((name) => shared.some((column) => column.name === name));
  const side = (source: string) => selectOf(source, shared, key, partitionColumn(loaded.metadata));
  const lake = side(quoteTable(table));
  const rebuilt = side(`${REBUILT}.${quoteTable(table)}`);
  const buckets = await differingBuckets(session, lake, rebuilt);
  for (const [partition, of_partition] of Map.groupBy(buckets, (bucket) => bucket.partition)) {
    const chosen = of_partition.slice(0, MAX_BUCKETS);
    const rows = await differingRows(session, { lake, rebuilt, shared, partition, buckets: chosen });
    const differences = pair(rows, key);
    const keys = differences
      .filter(({ in_lake }) => in_lake)
      .slice(0, MAX_SHOWN)
      .map(({ where }) => where);
    const file =
      snapshot === null || keys.length === 0
        ? null
        : await fileOf(session, table, snapshot["snapshot-id"], keys[0] ?? "true");
    findings.push(
      rowFinding(
        table,
        partition === null ? null : partitionName(loaded.metadata, partition),
        file,
        differences,
        of_partition.length > chosen.length,
      ),
    );
  }
  return findings;
}

async function columnsOf(session: PinnedTables, source: string): Promise<Column[]> {
  return (await session.query(`select * from ${source} limit 0`)).columns;
}

/** A snapshot is read with the columns that the table had at its commit; the metadata has the current ones. */
function currentColumns(metadata: TableMetadata): string[] {
  const schema = metadata.schemas.find((candidate) => candidate["schema-id"] === metadata["current-schema-id"]);
  return (schema?.fields ?? []).map(({ name }) => name);
}

function columnFindings(
  table: string,
  current: readonly string[],
  ours: readonly Column[],
  theirs: readonly Column[],
): Finding[] {
  const missing = theirs.map(({ name }) => name).filter((name) => !current.includes(name));
  const changed = theirs.filter(({ name, type }) =>
    ours.some((column) => column.name === name && column.type !== type),
  );
  const words = [
    ...(missing.length > 0 ? [`lacks ${missing.join(", ")}`] : []),
    ...changed.map(
      ({ name, type }) =>
        `${name} is ${ours.find((column) => column.name === name)?.type}, but the models build ${type}`,
    ),
  ];
  return words.length === 0 ? [] : [tableFinding("COLUMNS_DIFFER", table, `${table}: ${words.join("; ")}`)];
}

/** The partition column of a table (identity transform); null if it has none. */
function partitionColumn(metadata: TableMetadata): string | null {
  const spec = metadata["partition-specs"].find((candidate) => candidate["spec-id"] === metadata["default-spec-id"]);
  const schema = metadata.schemas.find((candidate) => candidate["schema-id"] === metadata["current-schema-id"]);
  const field = spec?.fields.find(({ transform }) => transform === "identity");
  return schema?.fields.find(({ id }) => id === field?.["source-id"])?.name ?? null;
}

function partitionName(metadata: TableMetadata, value: string): string {
  return `${partitionColumn(metadata)}=${value}`;
}

/**
 * The rows with the hash of all columns and that of the key. Groups are formed by the key, so that both versions of a
 * changed row are in the same group.
 */
function selectOf(
  source: string,
  columns: readonly Column[],
  key: readonly string[],
  partition: string | null,
): string {
  const keys = columns
    .filter(({ name }) => key.length === 0 || key.includes(name))
    .map(({ name, type }) => `${quoteName(name)}::${type}`);
  const values = columns.map(({ name, type }) => `${quoteName(name)}::${type}`);
  const has_partition = partition !== null && columns.some(({ name }) => name === partition);
  return `select ${has_partition ? `${quoteName(partition)}::varchar` : "null::varchar"} as "#partition",
    hash(${keys.join(", ")}) % ${BUCKETS} as "#bucket", hash(${values.join(", ")}) as "#hash",
    ${columns.map(({ name, type }) => `${quoteName(name)}::${type} as ${quoteName(name)}`).join(", ")} from ${source}`;
}

/**
 * Groups whose row count or sum of hashes differs. Takes one pass over each side; memory does not depend on the number
 * of rows.
 */
async function differingBuckets(session: PinnedTables, lake: string, rebuilt: string): Promise<Bucket[]> {
  const sums = (select: string) =>
    `select "#partition" as part, "#bucket" as bucket, count(*) as rows, sum("#hash"::hugeint) as total
      from (${select}) group by all`;
  const { rows } = await session.query(`
    with lake as (${sums(lake)}), rebuilt as (${sums(rebuilt)})
    select coalesce(lake.part, rebuilt.part), coalesce(lake.bucket, rebuilt.bucket)
    from lake full join rebuilt on lake.part is not distinct from rebuilt.part and lake.bucket = rebuilt.bucket
    where lake.rows is distinct from rebuilt.rows or lake.total is distinct from rebuilt.total
    order by all`);
  return rows.map(([partition = null, bucket]) => ({ partition, bucket: bucket ?? "0" }));
}

interface Sides {
  lake: string;
  rebuilt: string;
  shared: readonly Column[];
  partition: string | null;
  buckets: readonly Bucket[];
}

interface SidedRow {
  is_lake: boolean;
  values: ReadonlyMap<string, string | null>;
}

async function differingRows(
  session: PinnedTables,
  { lake, rebuilt, shared, partition, buckets }: Sides,
): Promise<SidedRow[]> {
  const part = partition === null ? `"#partition" is null` : `"#partition" = ${quoteText(partition)}`;
  const where = `${part} and "#bucket" in (${buckets.map(({ bucket }) => bucket).join(", ")})`;
  const names = shared.map(({ name }) => quoteName(name)).join(", ");
  const side = (select: string) => `select ${names} from (${select}) where ${where}`;
  const { rows } = await session.query(`
    with lake as materialized (${side(lake)}), rebuilt as materialized (${side(rebuilt)})
    select true, * from (from lake except all from rebuilt)
    union all
    select false, * from (from rebuilt except all from lake)
    limit ${MAX_ROWS}`);
  return rows.map(([is_lake, ...values]) => ({
    is_lake: is_lake === "true",
    values: new Map(shared.map(({ name }, index) => [name, values[index] ?? null])),
  }));
}

interface Difference {
  kind: "changed" | "missing" | "extra";
  text: string;
  /** SQL condition that selects the row. */
  where: string;
  in_lake: boolean;
}

/** Pairs rows of both sides by key: such a pair is one changed row. Pure. */
function pair(rows: readonly SidedRow[], key: readonly string[]): Difference[] {
  const by_key = Map.groupBy(rows, ({ values }) => JSON.stringify(key.map((name) => values.get(name))));
  return [...by_key.values()].flatMap((same) => {
    const ours = same.filter(({ is_lake }) => is_lake);
    const theirs = same.filter(({ is_lake }) => !is_lake);
    const paired = Math.min(ours.length, theirs.length);
    return [
      ...ours.slice(0, paired).map((row, index) => describe("changed", row, key, theirs[index])),
      ...ours.slice(paired).map((row) => describe("extra", row, key)),
      ...theirs.slice(paired).map((row) => describe("missing", row, key)),
    ];
  });
}

function describe(
  kind: Difference["kind"],
  { values, is_lake }: SidedRow,
  key: readonly string[],
  expected?: SidedRow,
): Difference {
  const name = key.map((column) => `${column}=${values.get(column) ?? "null"}`).join(", ");
  const where = key
    .map((column) => `${quoteName(column)}::varchar is not distinct from ${quote(values.get(column))}`)
    .join(" and ");
  const changes = [...values].flatMap(([column, value]) => {
    const right = expected?.values.get(column);
    return expected === undefined || right === value
      ? []
      : [`${column} is ${value ?? "null"}, expected ${right ?? "null"}`];
  });
  const what = kind === "changed" ? changes.join(", ") : kind === "missing" ? "missing" : "not built from bronze";
  return { kind, text: `${name}: ${what}`, where, in_lake: is_lake };
}

function quote(value: string | null | undefined): string {
  return value == null ? "null" : quoteText(value);
}

/** The data file of a row; null if unknown. */
async function fileOf(
  session: PinnedTables,
  table: string,
  snapshot_id: number | bigint,
  where: string,
): Promise<string | null> {
  try {
    return await session.figure(
      `select filename from lake.${quoteTable(table)} at (version => ${snapshot_id}) where ${where} limit 1`,
    );
  } catch {
    // The finding names the row and its partition regardless.
    return null;
  }
}

function rowFinding(
  table: string,
  partition: string | null,
  file: string | null,
  differences: readonly Difference[],
  is_more: boolean,
): Finding {
  const count = (kind: Difference["kind"]) => differences.filter((difference) => difference.kind === kind).length;
  const counts = (["changed", "missing", "extra"] as const).flatMap((kind) =>
    count(kind) > 0 ? [`${count(kind)} ${kind}`] : [],
  );
  const where = partition === null ? table : `${table}, ${partition}`;
  const difference = `${is_more ? "at least " : ""}${counts.join(", ") || "some differ"}`;
  const message = `${where}: rows differ from a rebuild from bronze: ${difference}`;
  return tableFinding("ROWS_DIFFER", table, message, {
    partition,
    file,
    rows: differences.slice(0, MAX_SHOWN).map(({ text }) => text),
  });
}
