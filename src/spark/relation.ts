import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RelationSchema } from "./protocol/spark/connect/relations_pb.js";

/** Rows, or the promise of rows to come, as Spark is told of them; nothing is computed before a command asks for it. */
export type Relation = MessageInitShape<typeof RelationSchema>;

/** A query; `names` are relations that its text calls by these names. */
export function sqlRelation(query: string, names: Readonly<Record<string, Relation>> = {}): Relation {
  const root: Relation = { relType: { case: "sql", value: { query } } };
  const references = Object.entries(names).map(([alias, input]): Relation => ({
    relType: { case: "subqueryAlias", value: { input, alias } },
  }));
  return references.length === 0 ? root : { relType: { case: "withRelations", value: { root, references } } };
}

/** What a streaming source gives from now on. */
export function readStream(format: string, options: Readonly<Record<string, string>>): Relation {
  return {
    relType: {
      case: "read",
      value: { isStreaming: true, readType: { case: "dataSource", value: { format, options } } },
    },
  };
}
