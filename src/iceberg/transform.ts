import { OperatingError } from "../base/errors.ts";
import type { PartitionSpec, Schema } from "./model.ts";

/** A partition column in manifests: the field of the spec, with the type of its values. */
export interface PartitionColumn {
  field_id: number;
  name: string;
  type: string;
}

/** The columns of a spec's partition tuple, in order (spec, "Partition Transforms"). Throws UNSUPPORTED_SPEC. */
export function partitionColumns(spec: PartitionSpec, schema: Schema): PartitionColumn[] {
  return spec.fields.map((field, position) => {
    const source = schema.fields.find(({ id }) => id === field["source-id"]);
    const type = resultType(field.transform, source?.type);
    if (type === null) {
      throw new OperatingError(
        "UNSUPPORTED_SPEC",
        `Partition field ${field.name} (${field.transform}) cannot be written`,
        {
          next_step: "Partition by top-level columns, with the transforms of format version 2.",
        },
      );
    }
    return { field_id: field["field-id"] ?? 1000 + position, name: field.name, type };
  });
}

function resultType(transform: string, source_type: unknown): string | null {
  if (/^bucket\[\d+\]$/.test(transform)) return "int";
  if (["year", "month", "hour"].includes(transform)) return "int";
  if (transform === "day") return "date";
  const keeps_type = transform === "identity" || transform === "void" || /^truncate\[\d+\]$/.test(transform);
  return keeps_type && typeof source_type === "string" ? source_type : null;
}
