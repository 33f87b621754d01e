import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RelationSchema } from "./protocol/spark/connect/relations_pb.js";

/** Spark's description of rows; Spark computes nothing until a command needs them. */
export type Relation = MessageInitShape<typeof RelationSchema>;

/** A query; `names` maps names in its text to relations. */
export function sqlRelation(query: string, names: Readonly<Record<string, Relation>> = {}): Relation {
  const root: Relation = { relType: { case: "sql", value: { query } } };
  const references = Object.entries(names).map(([alias, input]): Relation => ({
    relType: { case: "subqueryAlias", value: { input, alias } },
  }));
  return references.length === 0 ? root : { relType: { case: "withRelations", value: { root, references } } };
}

/** A streaming source's rows from now on. */
export function readStream(format: string, options: Readonly<Record<string, string>>): Relation {
  return {
    relType: {
      case: "read",
      value: { isStreaming: true, readType: { case: "dataSource", value: { format, options } } },
    },
  };
}
