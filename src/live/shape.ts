import { OperatingError } from "../base/errors.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import type { LiveModels } from "../transform/models.ts";
import type { CompiledRelation } from "../transform/worker.ts";

/** The relations of a pipeline's dbt project, by their role in the live tail. */
export interface LiveShape {
  bronze: CompiledRelation;
  seeds: CompiledRelation[];
  elements: CompiledRelation;
  accepted: CompiledRelation;
  /** Verdict models other than accepted. */
  others: CompiledRelation[];
  /** Every model that is a table of the lake, verdicts included. */
  tables: CompiledRelation[];
}

/** Whether compiled models include all that the pipeline names; those that an earlier version compiled may not. */
export function haveNamedModels({ live }: Pipeline, { relations }: LiveModels): boolean {
  const compiled = new Set(relations.flatMap(({ kind, name }) => (kind === "model" ? [name] : [])));
  return [live.elements, ...live.verdicts].every((name) => compiled.has(name));
}

/** Throws LIVE_MODELS_DIFFER where the pipeline's definition names a model that the project does not have. */
export function shapeOf({ bronze, live }: Pipeline, { relations }: LiveModels): LiveShape {
  const find = (name: string, kind: CompiledRelation["kind"]): CompiledRelation => {
    const found = relations.find((relation) => relation.name === name && relation.kind === kind);
    if (found) return found;
    throw new OperatingError(
      "LIVE_MODELS_DIFFER",
      `The dbt project has no ${kind} "${name}", which the pipeline's definition names`,
      {
        next_step: "Name in the pipeline's `live` section what the project's models are called.",
      },
    );
  };
  const [accepted, ...others] = live.verdicts;
  return {
    bronze: find(tableName(bronze.table), "source"),
    seeds: relations.filter(({ kind }) => kind === "seed"),
    elements: find(live.elements, "model"),
    accepted: find(accepted, "model"),
    others: others.map((name) => find(name, "model")),
    tables: relations.filter(({ kind, materialized }) => kind === "model" && materialized === "incremental"),
  };
}

/** `layer.table` of a relation, from `"catalog"."layer"."table"`. */
export function tableOf({ relation }: CompiledRelation): string {
  return relation.replaceAll('"', "").split(".").slice(1).join(".");
}

/** The table's name without its layer, which is also the name of its live view. */
export function tableName(table: string): string {
  return table.slice(table.indexOf(".") + 1);
}
