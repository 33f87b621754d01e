import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkRequirements, checkSuccession, isCreation } from "../../../src/iceberg/metadata/requirements.ts";
import type { Update } from "../../../src/iceberg/model.ts";
import { appendOf } from "../../catalog/lake.ts";
import { tableWithSnapshots, after, newTable, UUID } from "./fixtures.ts";

const table = after(tableWithSnapshots(2), {
  action: "set-snapshot-ref",
  "ref-name": "v1",
  type: "tag",
  "snapshot-id": 1,
});

const OTHER_UUID = "00000000-0000-4000-8000-000000000001";

const MET = [
  { type: "assert-table-uuid", uuid: UUID },
  { type: "assert-table-uuid", uuid: UUID.toUpperCase() },
  { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": 2 },
  { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": 2n },
  { type: "assert-ref-snapshot-id", ref: "v1", "snapshot-id": 1 },
  { type: "assert-ref-snapshot-id", ref: "new-branch", "snapshot-id": null },
  { type: "assert-ref-snapshot-id", ref: "toString" },
  { type: "assert-last-assigned-field-id", "last-assigned-field-id": 3 },
  { type: "assert-current-schema-id", "current-schema-id": 0 },
  { type: "assert-last-assigned-partition-id", "last-assigned-partition-id": 1000 },
  { type: "assert-default-spec-id", "default-spec-id": 0 },
  { type: "assert-default-sort-order-id", "default-sort-order-id": 0 },
];

/** Unmet requirements, with the error texts of the reference implementation, which its tests check. */
const NOT_MET: [requirement: { type: string; [key: string]: unknown }, words: string][] = [
  [{ type: "assert-create" }, "table already exists"],
  [{ type: "assert-table-uuid", uuid: OTHER_UUID }, `UUID does not match: expected ${UUID} != ${OTHER_UUID}`],
  [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": 1 }, "branch main has changed: expected id 1 != 2"],
  [{ type: "assert-ref-snapshot-id", ref: "v1", "snapshot-id": 2 }, "tag v1 has changed: expected id 2 != 1"],
  [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": null }, "branch main was created concurrently"],
  [{ type: "assert-ref-snapshot-id", ref: "main" }, "branch main was created concurrently"],
  [
    { type: "assert-ref-snapshot-id", ref: "new-branch", "snapshot-id": 2 },
    "branch or tag new-branch is missing, expected 2",
  ],
  [
    { type: "assert-last-assigned-field-id", "last-assigned-field-id": 2 },
    "last assigned field id changed: expected id 2 != 3",
  ],
  [{ type: "assert-current-schema-id", "current-schema-id": 1 }, "current schema changed: expected id 1 != 0"],
  [
    { type: "assert-last-assigned-partition-id", "last-assigned-partition-id": 999 },
    "last assigned partition id changed: expected id 999 != 1000",
  ],
  [{ type: "assert-default-spec-id", "default-spec-id": 1 }, "default partition spec changed: expected id 1 != 0"],
  [
    { type: "assert-default-sort-order-id", "default-sort-order-id": 1 },
    "default sort order changed: expected id 1 != 0",
  ],
];

const MALFORMED = [
  { type: "assert-luck" },
  { type: "assert-table-uuid" },
  { type: "assert-ref-snapshot-id", "snapshot-id": 2 },
  { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": "2" },
  { type: "assert-current-schema-id", "current-schema-id": 0.5 },
  { type: "assert-default-spec-id" },
];

describe("commit requirements", () => {
  for (const requirement of MET) {
    test(`met: ${Object.values(requirement).join(" ")}`, () => checkRequirements(table, [requirement]));
  }
  for (const [requirement, words] of NOT_MET) {
    test(`unmet, a retryable conflict: ${Object.values(requirement).join(" ")}`, () => {
      assert.throws(() => checkRequirements(table, [requirement]), {
        code: "COMMIT_CONFLICT",
        is_retryable: true,
        message: `Requirement failed: ${words}`,
      });
    });
  }
  for (const requirement of MALFORMED) {
    test(`malformed, a bad request: ${Object.values(requirement).join(" ")}`, () => {
      assert.throws(() => checkRequirements(table, [requirement]), { code: "INVALID_REQUEST", is_retryable: false });
    });
  }

  test("one unmet requirement fails the commit although all others are met", () => {
    assert.throws(() => checkRequirements(table, [...MET, { type: "assert-default-spec-id", "default-spec-id": 7 }]), {
      code: "COMMIT_CONFLICT",
    });
  });

  test("assert-create cannot be combined with other requirements", () => {
    assert.equal(isCreation([{ type: "assert-create" }]), true);
    assert.equal(isCreation([]), false);
    assert.throws(() => isCreation([{ type: "assert-create" }, { type: "assert-table-uuid", uuid: UUID }]), {
      code: "INVALID_REQUEST",
    });
  });
});

describe("a commit without a requirement on main", () => {
  const setMain = (snapshot_id: number | bigint): Update => ({
    action: "set-snapshot-ref",
    "ref-name": "main",
    type: "branch",
    "snapshot-id": snapshot_id,
  });
  const removeMain = { action: "remove-snapshot-ref", "ref-name": "main" };

  const LOSES: Record<string, Update[]> = {
    "a snapshot with an older parent": appendOf(9, 9, 1),
    "a snapshot without a parent": appendOf(9, 9, null),
    "a snapshot with an unknown parent": appendOf(9, 9, 77),
    "the second of two snapshots, the first of which has an older parent": [...appendOf(8, 8, 1), ...appendOf(9, 9, 8)],
    "a child of the head, and then another child of the same head": [...appendOf(8, 8, 2), ...appendOf(9, 9, 2)],
    "a snapshot in a cycle of parents": [...appendOf(8, 8, 9, "x"), ...appendOf(9, 9, 8)],
  };
  for (const [what, updates] of Object.entries(LOSES)) {
    test(`is a conflict if main would become ${what}`, () => {
      assert.throws(
        () =>
          checkSuccession(table, {
            requirements: [{ type: "assert-ref-snapshot-id", ref: "v1", "snapshot-id": 1 }],
            updates,
          }),
        { code: "COMMIT_CONFLICT", is_retryable: true },
      );
    });
  }

  const KEEPS: Record<string, Update[]> = {
    "a child of the head": appendOf(9, 9, 2n),
    "a grandchild of the head, added with its parent": [...appendOf(8, 8, 2, "x"), ...appendOf(9, 9, 8)],
    "an existing snapshot": [setMain(1)],
    "an existing snapshot, and then a child of it": [setMain(1), ...appendOf(9, 9, 1)],
    "a snapshot without a parent, after main was removed": [removeMain, ...appendOf(9, 9, null)],
    "a snapshot without a parent, after the head was removed": [
      { action: "remove-snapshots", "snapshot-ids": [2n] },
      ...appendOf(9, 9, null),
    ],
    "the same as before, while another branch gets a snapshot without a parent": appendOf(9, 9, null, "other"),
  };
  for (const [what, updates] of Object.entries(KEEPS)) {
    test(`is accepted if main becomes ${what}`, () => checkSuccession(table, { requirements: [], updates }));
  }

  test("is accepted in a table without main; a commit with such a requirement may have any parent", () => {
    checkSuccession(newTable(), { requirements: [], updates: appendOf(1, 1, null) });
    checkSuccession(table, {
      requirements: [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": 2 }],
      updates: appendOf(9, 9, 1),
    });
  });
});
