import assert from "node:assert/strict";
import { test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { nameOfTable, tableNamed } from "../../src/iceberg/errors.ts";
import { emptyMetadata } from "../../src/iceberg/metadata/fresh.ts";
import {
  LOG_OFFSETS_PROPERTY,
  PARENT_OFFSETS_SUMMARY,
  recordLogOffsets,
} from "../../src/iceberg/metadata/log-offsets.ts";
import type { LoadedTable, Snapshot, TableCatalog, TableIdentifier, TableMetadata } from "../../src/iceberg/model.ts";
import { holdMoment } from "../../src/verify/moment.ts";
import { chooseMoment } from "../../src/transform/moment.ts";

const NAME = `${crypto.topic.name}/0`;
const FOLLOWING = Object.entries(crypto.reconciliation.tables).flatMap(([table, { is_seed }]) =>
  is_seed === true ? [] : [table],
);
const offsets = (next: number) => JSON.stringify({ [NAME]: next });

/** A commit: its committed offsets, and whether it adds rows. */
type Step = [next: number, has_rows: boolean];

/**
 * A table's metadata after these commits, recorded as the catalog does, or without the records, as in an older version.
 */
function tableAfter(name: string, steps: readonly Step[], { is_recorded = true } = {}): LoadedTable {
  let metadata: TableMetadata = emptyMetadata(`file:///lake/${name}`, "0b0bd3b2-6d0d-4f0e-8a3c-1e2b0d0c0a0f");
  for (const [index, [next, has_rows]] of steps.entries()) {
    const parent = metadata.snapshots.at(-1);
    const snapshot: Snapshot = {
      "snapshot-id": index + 1,
      ...(parent !== undefined && { "parent-snapshot-id": parent["snapshot-id"] }),
      "sequence-number": index + 1,
      "timestamp-ms": index + 1,
      "manifest-list": `file:///lake/${name}/${index + 1}.avro`,
      summary: { operation: "append" },
    };
    const property = { action: "set-properties", updates: { [LOG_OFFSETS_PROPERTY]: offsets(next) } };
    const updates = has_rows ? [{ action: "add-snapshot", snapshot }, property] : [property];
    const recorded = is_recorded ? recordLogOffsets(updates, metadata) : updates;
    const added = recorded.flatMap((update) => ("snapshot" in update ? [update["snapshot"] as Snapshot] : []));
    const head = added.at(-1)?.["snapshot-id"] ?? metadata["current-snapshot-id"];
    metadata = {
      ...metadata,
      snapshots: [...metadata.snapshots, ...added],
      "current-snapshot-id": head,
      properties: { ...metadata.properties, [LOG_OFFSETS_PROPERTY]: offsets(next) },
    };
  }
  return {
    identifier: tableNamed(name),
    metadata_location: `file:///lake/${name}/metadata/00000-x.metadata.json`,
    metadata,
  };
}

/** All tables: the first one with the commits of `first`, the others with those of `rest`. */
function lakeOf(first: readonly Step[], rest: readonly Step[], options: { is_recorded?: boolean } = {}): LoadedTable[] {
  const bronze = tableAfter(crypto.bronze.table, [[1_000, true]]);
  return [bronze, ...FOLLOWING.map((name, index) => tableAfter(name, index === 0 ? first : rest, options))];
}

const choose = (tables: readonly LoadedTable[]) =>
  chooseMoment(tables, crypto, { made: [], unmade: [], models_version: "" });

function heldSnapshot(tables: readonly LoadedTable[], table = FOLLOWING[0] ?? ""): unknown {
  return choose(tables)?.tables.get(table)?.snapshot?.["snapshot-id"] ?? null;
}

test("between two increments, every table is read at its current snapshot", () => {
  const tables = lakeOf(
    [
      [100, true],
      [200, true],
    ],
    [
      [100, true],
      [200, true],
    ],
  );
  const moment = choose(tables);
  assert.deepEqual([moment?.built, moment?.moving, heldSnapshot(tables)], [{ [NAME]: 200 }, [], 2]);
});

test("during an increment, tables that it has already committed are read at their previous snapshot", () => {
  const tables = lakeOf(
    [
      [100, true],
      [200, true],
    ],
    [[100, true]],
  );
  const moment = choose(tables);
  assert.deepEqual([moment?.built, moment?.moving, heldSnapshot(tables)], [{ [NAME]: 100 }, [FOLLOWING[0]], 1]);
});

test("a commit without rows advances the offsets, and the previous snapshot stays valid for them", () => {
  const tables = lakeOf(
    [
      [100, true],
      [200, false],
      [300, true],
    ],
    [
      [100, true],
      [200, true],
    ],
  );
  assert.deepEqual([choose(tables)?.built, heldSnapshot(tables)], [{ [NAME]: 200 }, 1]);
});

test("commits while the tables are loaded do not put silver or gold ahead of bronze", async () => {
  const at = (next: number) => [crypto.bronze.table, ...FOLLOWING].map((name) => tableAfter(name, stepsTo(next)));
  const stepsTo = (next: number): Step[] =>
    next === 1_000
      ? [[1_000, true]]
      : [
          [1_000, true],
          [next, true],
        ];
  let tables = at(1_000);
  let listed = 0;
  const catalog = {
    hasNamespace: async () => true,
    async listTables([layer]: readonly string[]) {
      // An increment ends after the first layer has been loaded.
      listed += 1;
      if (listed === 2) tables = at(2_000);
      return tables.map(({ identifier }) => identifier).filter(({ namespace }) => namespace[0] === layer);
    },
    loadTable: async (identifier: TableIdentifier) =>
      tables.find((table) => nameOfTable(table.identifier) === nameOfTable(identifier))!,
  };
  const { moment } = await holdMoment(catalog as unknown as TableCatalog, crypto, {
    now_ms: () => 0,
    wait: async () => {},
    timeout_ms: 0,
    is_running: () => true,
    inspect: async () => [],
    models_version: "",
    wasMade: async () => false,
  });
  assert.deepEqual([moment.built, moment.bronze], [{ [NAME]: 1_000 }, { [NAME]: 2_000 }]);
});

test("tables without a common state are not compared", () => {
  // The first table advanced from 100 to 300 in one commit; the other tables are between.
  assert.equal(
    choose(
      lakeOf(
        [
          [100, true],
          [300, true],
        ],
        [
          [100, true],
          [200, true],
        ].slice(1) as Step[],
      ),
    ),
    null,
  );
});

test("an earlier common state is used if the tables have no newer one", () => {
  const tables = lakeOf(
    [
      [100, true],
      [300, true],
    ],
    [
      [100, true],
      [200, true],
    ],
  );
  assert.deepEqual(
    [choose(tables)?.built, heldSnapshot(tables), heldSnapshot(tables, FOLLOWING[1])],
    [{ [NAME]: 100 }, 1, 1],
  );
});

test("tables of an older version, whose snapshots record no offsets, are compared only at equal offsets", () => {
  assert.equal(
    choose(
      lakeOf(
        [
          [100, true],
          [200, true],
        ],
        [[100, true]],
        { is_recorded: false },
      ),
    ),
    null,
  );
  const tables = lakeOf(
    [
      [100, true],
      [200, true],
    ],
    [[200, true]],
    { is_recorded: false },
  );
  assert.deepEqual([choose(tables)?.built, heldSnapshot(tables)], [{ [NAME]: 200 }, 2]);
});

test("a table that no increment has created is not missing, one that was created is", () => {
  const [, ...young] = lakeOf([[100, true]], [[100, true]]);
  const made = { made: ["gold.dim_time"], unmade: [], models_version: "2" };
  const unmade = { made: [], unmade: ["gold.dim_time"], models_version: "2" };
  assert.equal(chooseMoment(young.slice(0, -1), crypto, unmade), null);
  assert.deepEqual(chooseMoment(young.slice(0, -1), crypto, made)?.missing, ["gold.dim_time"]);
  const old = lakeOf(
    [
      [100, true],
      [200, true],
    ],
    [
      [100, true],
      [200, true],
    ],
  ).slice(0, -1);
  assert.deepEqual(chooseMoment(old, crypto, made)?.missing, ["gold.dim_time"]);
  // A model that a later version added.
  const after_upgrade = chooseMoment(old, crypto, unmade);
  assert.deepEqual([after_upgrade?.missing, after_upgrade?.unmade], [[], ["gold.dim_time"]]);
  // A model that this version created and that was purged.
  const [bronze, first, ...others] = old;
  assert.ok(bronze !== undefined && first !== undefined);
  const properties = { ...first.metadata.properties, "coinlake.models-version": "2" };
  const purged = chooseMoment(
    [bronze, { ...first, metadata: { ...first.metadata, properties } }, ...others],
    crypto,
    unmade,
  );
  assert.deepEqual([purged?.missing, purged?.unmade], [["gold.dim_time"], []]);
});

test("a snapshot's summary records the offsets before and after its commit, and keeps those set by an engine", () => {
  const base = tableAfter(FOLLOWING[0] ?? "", [[100, true]]).metadata;
  const snapshot = { summary: { operation: "append", [LOG_OFFSETS_PROPERTY]: offsets(150) } };
  const [added] = recordLogOffsets([{ action: "add-snapshot", snapshot }], base);
  assert.ok(added !== undefined);
  const { summary } = added["snapshot"] as Snapshot;
  assert.deepEqual([summary[LOG_OFFSETS_PROPERTY], summary[PARENT_OFFSETS_SUMMARY]], [offsets(150), offsets(100)]);
  const malformed = { ...base, properties: { [LOG_OFFSETS_PROPERTY]: "{" } };
  assert.deepEqual(recordLogOffsets([{ action: "add-snapshot", snapshot }], malformed), [
    { action: "add-snapshot", snapshot },
  ]);
});
