import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RelationSchema } from "./protocol/spark/connect/relations_pb.js";

/** Rows, or the promise of rows to come, as Spark is told of them; nothing is computed before a command asks for it. */
export type Relation = MessageInitShape<typeof RelationSchema>;

/** A query; `names` are relations that its text calls by these names. */
export function sqlRelation(query: string, names: Readonly<Record<string, Relation>> = {}): Relation {
  const root: Relation = { relType: { case: "sql", value: { query } } };
  const references = Object.entries(names).map(([alias, input]): Relation => ({ relType: { case: "subqueryAlias", value: { input, alias } } }));
  return references.length === 0 ? root : { relType: { case: "withRelations", value: { root, references } } };
}

/** What a streaming source gives from now on. */
export function readStream(format: string, options: Readonly<Record<string, string>>): Relation {
  return { relType: { case: "read", value: { isStreaming: true, readType: { case: "dataSource", value: { format, options } } } } };
}

/** Bounds what is kept of a stream in memory: rows whose `event_time` is further behind the newest than this are let go. */
export function withWatermark(input: Relation, event_time: string, delay: string): Relation {
  return { relType: { case: "withWatermark", value: { input, eventTime: event_time, delayThreshold: delay } } };
}

/** The first of the rows that agree in these columns, within the watermark that `input` must have. */
export function dropDuplicatesWithinWatermark(input: Relation, columns: readonly string[]): Relation {
  return { relType: { case: "deduplicate", value: { input, columnNames: [...columns], withinWatermark: true } } };
}
