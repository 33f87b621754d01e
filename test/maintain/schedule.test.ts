import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { maintainTable } from "../../src/maintain/run.ts";
import { COMPACT_AFTER_COMMITS, MaintenanceSchedule } from "../../src/maintain/schedule.ts";
import { append, openMaintainedLake, tableOf, type MaintainedLake } from "./lake.ts";

describe("scheduled compaction", () => {
  let lake: MaintainedLake;
  before(async () => {
    lake = await openMaintainedLake();
  });
  after(() => lake.close());

  /** Runs what is due after each of twenty commits; returns the numbers of the commits that caused a compaction. */
  async function compactionsOf(table: string, commit: (number: number) => Promise<unknown>): Promise<number[]> {
    const compactions: number[] = [];
    let number = 1;
    const schedule = new MaintenanceSchedule({
      lake: { name: "test", folder: lake.folder },
      catalog: lake.catalog,
      clock: lake.clock,
      withMaintainer: (work) =>
        work({
          tables: async () => [table],
          async maintain(name, actions) {
            if (name !== table) return [];
            if (actions.includes("compact")) compactions.push(number);
            return maintainTable(lake.parts(), lake.store, name, actions);
          },
        }),
      events: {
        maintained: () => {},
        failed: (_table, error) => assert.fail(error),
      },
    });
    for (; number <= 20; number += 1) {
      await commit(number);
      await schedule.pass(new AbortController().signal);
    }
    return compactions;
  }

  test("is due after some commits of a table that grows by a file each", async () => {
    const table = await tableOf(lake, "appended", 0);
    assert.deepEqual(await compactionsOf(table, (number) => append(lake, table, number * 10)), [
      COMPACT_AFTER_COMMITS,
      2 * COMPACT_AFTER_COMMITS,
    ]);
  });

  test("is due earlier for a table whose commits write deletes for many files", async () => {
    const table = await tableOf(lake, "changed", 1, 40);
    const files = async (): Promise<number> =>
      Number((await lake.load(table)).metadata.snapshots.at(-1)?.summary["total-delete-files"] ?? 0);
    let most = 0;
    // Each commit changes rows that are spread over the files of all earlier commits.
    const compactions = await compactionsOf(table, async (number) => {
      await lake.sql(
        `update lake.${table} set value = ${number} where id % 5 = ${number % 5} or id % 8 = ${number % 8}`,
      );
      most = Math.max(most, await files());
    });
    assert.ok(compactions.length >= 3, `compacted after the commits ${compactions.join(", ")}`);
    assert.ok(
      compactions.every((number, index) => number - (compactions[index - 1] ?? 0) < COMPACT_AFTER_COMMITS),
      compactions.join(", "),
    );
    assert.ok(most <= 24, `${most} files of deletes`);
  });
});
