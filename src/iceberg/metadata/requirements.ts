import { badRequest, commitConflict } from "../errors.ts";
import { canonicalLong, isSameLong } from "../long.ts";
import type { Long, Requirement, TableChange, TableMetadata } from "../model.ts";
import { arrayIn, asLong, integerIn, longIn, objectIn, optionalLongIn, stringIn, stringsIn } from "../shape.ts";

/**
 * The requirements that compare one integer of the metadata, by type: its key in the metadata, the key in the
 * requirement, and its name in messages. Messages follow the reference implementation (UpdateRequirement.java), because
 * its clients parse them.
 */
const INTEGER_REQUIREMENTS = new Map([
  [
    "assert-last-assigned-field-id",
    { stated: "last-assigned-field-id", actual: "last-column-id", name: "last assigned field id" },
  ],
  ["assert-current-schema-id", { stated: "current-schema-id", actual: "current-schema-id", name: "current schema" }],
  [
    "assert-last-assigned-partition-id",
    { stated: "last-assigned-partition-id", actual: "last-partition-id", name: "last assigned partition id" },
  ],
  ["assert-default-spec-id", { stated: "default-spec-id", actual: "default-spec-id", name: "default partition spec" }],
  [
    "assert-default-sort-order-id",
    { stated: "default-sort-order-id", actual: "default-sort-order-id", name: "default sort order" },
  ],
]);

/**
 * Extension of the specification: the names of the references are exactly these. Removing a snapshot removes its
 * references, so an expiry must know that no tag was set on one of its snapshots meanwhile.
 */
export const REFS_REQUIREMENT = "assert-ref-names";

/**
 * Extension of the specification: the head of main is this snapshot or a descendant of it. Commits since then need no
 * file that only older snapshots have, so the plan of an expiry remains valid; after a rollback it may not.
 */
export const DESCENT_REQUIREMENT = "assert-main-descends";

/** Whether the change creates a table. Throws INVALID_REQUEST if it also has requirements on an existing table. */
export function isCreation(requirements: readonly Requirement[]): boolean {
  const is_creation = requirements.some(({ type }) => type === "assert-create");
  if (is_creation && requirements.some(({ type }) => type !== "assert-create")) {
    throw badRequest("A commit with assert-create can have no other requirement");
  }
  return is_creation;
}

/**
 * Throws COMMIT_CONFLICT for the first requirement (REST spec, TableRequirement) that the existing table does not meet.
 */
export function checkRequirements(metadata: TableMetadata, requirements: readonly Requirement[]): void {
  for (const requirement of requirements) {
    const integer = INTEGER_REQUIREMENTS.get(requirement.type);
    if (integer !== undefined) {
      const expected = integerIn(requirement, integer.stated);
      const actual = metadata[integer.actual];
      if (expected !== actual)
        throw commitConflict(
          `Requirement failed: ${integer.name} changed: expected id ${expected} != ${String(actual)}`,
        );
    } else if (requirement.type === "assert-create") {
      throw commitConflict("Requirement failed: table already exists");
    } else if (requirement.type === "assert-table-uuid") {
      const expected = stringIn(requirement, "uuid");
      if (expected.toLowerCase() !== metadata["table-uuid"].toLowerCase()) {
        throw commitConflict(
          `Requirement failed: UUID does not match: expected ${metadata["table-uuid"]} != ${expected}`,
        );
      }
    } else if (requirement.type === "assert-ref-snapshot-id") {
      checkRef(metadata, requirement);
    } else if (requirement.type === REFS_REQUIREMENT) {
      checkRefs(metadata, requirement);
    } else if (requirement.type === DESCENT_REQUIREMENT) {
      checkDescent(metadata, longIn(requirement, "snapshot-id"));
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
  if (ref === undefined)
    throw commitConflict(`Requirement failed: branch or tag ${name} is missing, expected ${expected}`);
  if (expected === null) throw commitConflict(`Requirement failed: ${ref.type} ${name} was created concurrently`);
  throw commitConflict(
    `Requirement failed: ${ref.type} ${name} has changed: expected id ${expected} != ${ref["snapshot-id"]}`,
  );
}

function checkDescent(metadata: TableMetadata, ancestor_id: Long): void {
  const parents = new Map(
    metadata.snapshots.map((snapshot) => [
      canonicalLong(snapshot["snapshot-id"]),
      snapshot["parent-snapshot-id"] ?? null,
    ]),
  );
  const head = metadata.refs[MAIN]?.["snapshot-id"];
  const lineage = new Map(
    Array.from(parents, ([id, parent]): [Long, Long | null] => [id, parent === null ? null : canonicalLong(parent)]),
  );
  if (head !== undefined && descends(canonicalLong(head), ancestor_id, lineage)) return;
  throw commitConflict(`Requirement failed: the head of ${MAIN} does not descend from snapshot ${ancestor_id}`);
}

function checkRefs(metadata: TableMetadata, requirement: Requirement): void {
  const expected = stringsIn(requirement, "names");
  const names = Object.keys(metadata.refs);
  const others = names.filter((name) => !expected.includes(name));
  if (others.length > 0 || names.length !== expected.length)
    throw commitConflict(
      `Requirement failed: branches and tags are ${names.join(", ")}, expected ${expected.join(", ")}`,
    );
}

const MAIN = "main";

/**
 * A snapshot that the change adds and makes the head of main must descend from the current head; otherwise the rows of
 * another writer are lost. Writers should require the head that they started from (assert-ref-snapshot-id), which is
 * checked above. If they do not, this throws COMMIT_CONFLICT. Called after the updates were applied, because they must
 * be valid.
 *
 * Allowed: a rollback (main is set to a snapshot that existed before), also as the first step of the change; a replaced
 * table (main or its snapshot is removed first); a table without main.
 */
export function checkSuccession(
  base: TableMetadata,
  { requirements, updates }: Pick<TableChange, "requirements" | "updates">,
): void {
  let head: Long | null = base.refs[MAIN]?.["snapshot-id"] ?? null;
  if (head === null || requirements.some(({ type, ref }) => type === "assert-ref-snapshot-id" && ref === MAIN)) return;
  /** Snapshots that the change adds, each with its parent. */
  const parents = new Map<Long, Long | null>();
  for (const update of updates) {
    if (update.action === "add-snapshot") {
      const snapshot = objectIn(update, "snapshot");
      const parent_id = optionalLongIn(snapshot, "parent-snapshot-id");
      parents.set(canonicalLong(longIn(snapshot, "snapshot-id")), parent_id === null ? null : canonicalLong(parent_id));
    } else if (update.action === "remove-snapshot-ref" && update["ref-name"] === MAIN) {
      head = null;
    } else if (update.action === "remove-snapshots") {
      const ids = arrayIn(update, "snapshot-ids").map((id) => asLong(id, "snapshot-ids"));
      if (ids.some((id) => isSameLong(id, head))) head = null;
    } else if (update.action === "set-snapshot-ref" && update["ref-name"] === MAIN) {
      const next = canonicalLong(longIn(update, "snapshot-id"));
      if (head !== null && parents.has(next) && !descends(next, head, parents)) {
        throw commitConflict(
          `Snapshot ${next} does not descend from the head of ${MAIN}, ${head}, so another writer's rows would be lost`,
        );
      }
      head = next;
    }
  }
}

function descends(snapshot_id: Long, ancestor_id: Long, parents: ReadonlyMap<Long, Long | null>): boolean {
  const seen = new Set<Long>();
  for (let id: Long | null = snapshot_id; id !== null && !seen.has(id); id = parents.get(id) ?? null) {
    if (isSameLong(id, ancestor_id)) return true;
    seen.add(id);
  }
  return false;
}
