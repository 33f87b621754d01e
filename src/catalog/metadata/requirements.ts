import { badRequest, commitConflict } from "../errors.ts";
import { isSameLong } from "../long.ts";
import type { Requirement, TableMetadata } from "../model.ts";
import { integerIn, optionalLongIn, stringIn, stringsIn } from "../shape.ts";

/** The requirements that compare one integer of the metadata: type → key, which is the same in both. */
const INTEGER_REQUIREMENTS = new Map([
  ["assert-last-assigned-field-id", { stated: "last-assigned-field-id", actual: "last-column-id" }],
  ["assert-current-schema-id", { stated: "current-schema-id", actual: "current-schema-id" }],
  ["assert-last-assigned-partition-id", { stated: "last-assigned-partition-id", actual: "last-partition-id" }],
  ["assert-default-spec-id", { stated: "default-spec-id", actual: "default-spec-id" }],
  ["assert-default-sort-order-id", { stated: "default-sort-order-id", actual: "default-sort-order-id" }],
]);

/**
 * Beyond the specification: the names of the references are these and no others. Removing a snapshot removes the references to it,
 * so an expiry has to know that no tag was set on one of its snapshots meanwhile.
 */
export const REFS_REQUIREMENT = "assert-ref-names";

/** Whether the change makes a new table. Throws BAD_REQUEST where it also requires something of an existing one. */
export function isCreation(requirements: readonly Requirement[]): boolean {
  const is_creation = requirements.some(({ type }) => type === "assert-create");
  if (is_creation && requirements.some(({ type }) => type !== "assert-create")) {
    throw badRequest("A commit with assert-create can have no other requirement");
  }
  return is_creation;
}

/** Throws COMMIT_CONFLICT for the first requirement (REST spec, TableRequirement) that the existing table does not meet. */
export function checkRequirements(metadata: TableMetadata, requirements: readonly Requirement[]): void {
  for (const requirement of requirements) {
    const integer = INTEGER_REQUIREMENTS.get(requirement.type);
    if (integer !== undefined) {
      const expected = integerIn(requirement, integer.stated);
      const actual = metadata[integer.actual];
      if (expected !== actual) throw commitConflict(`Requirement failed: ${requirement.type}: expected ${expected}, found ${String(actual)}`);
    } else if (requirement.type === "assert-create") {
      throw commitConflict("Requirement failed: the table already exists");
    } else if (requirement.type === "assert-table-uuid") {
      const expected = stringIn(requirement, "uuid");
      if (expected.toLowerCase() !== metadata["table-uuid"].toLowerCase()) {
        throw commitConflict(`Requirement failed: UUID does not match: expected ${expected}, found ${metadata["table-uuid"]}`);
      }
    } else if (requirement.type === "assert-ref-snapshot-id") {
      checkRef(metadata, requirement);
    } else if (requirement.type === REFS_REQUIREMENT) {
      checkRefs(metadata, requirement);
    } else {
      throw badRequest(`Unknown requirement: ${String(requirement.type)}`);
    }
  }
}

/** A null snapshot id requires that the reference does not exist. */
function checkRef(metadata: TableMetadata, requirement: Requirement): void {
  const name = stringIn(requirement, "ref");
  const expected = optionalLongIn(requirement, "snapshot-id");
  const ref = Object.hasOwn(metadata.refs, name) ? metadata.refs[name] : undefined;
  if (isSameLong(ref?.["snapshot-id"], expected)) return;
  if (ref === undefined) throw commitConflict(`Requirement failed: branch or tag ${name} is missing, expected ${expected}`);
  if (expected === null) throw commitConflict(`Requirement failed: ${ref.type} ${name} was created concurrently`);
  throw commitConflict(`Requirement failed: ${ref.type} ${name} has changed: expected id ${expected}, found ${ref["snapshot-id"]}`);
}

function checkRefs(metadata: TableMetadata, requirement: Requirement): void {
  const expected = stringsIn(requirement, "names");
  const names = Object.keys(metadata.refs);
  const others = names.filter((name) => !expected.includes(name));
  if (others.length > 0 || names.length !== expected.length) throw commitConflict(`Requirement failed: branches and tags are ${names.join(", ")}, expected ${expected.join(", ")}`);
}
