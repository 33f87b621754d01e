import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { maintainTable } from "../../src/maintain/run.ts";
import { MAINTENANCE_STEPS } from "../../src/base/failpoints.ts";
import {
  age,
  assertNothingDangles,
  everyValue,
  openMaintainedLake,
  removeAllOrphans,
  unreferencedFiles,
  valuesOf,
  type MaintainedLake,
} from "./lake.ts";
import { startPyIceberg, type PyIceberg } from "./pyiceberg.ts";

/** A run commits a replacement and an expiry, each with a pointer move; deletions run in groups. */
const MOMENTS = [
  ...MAINTENANCE_STEPS.map((step) => `${step}:1`),
  "before pointer:1",
  "after pointer:1",
  "before pointer:2",
  "after pointer:2",
  "inside deletion:2",
];
const TABLE = "gold.killed";
/** A writer that commits without a pause would never let maintenance commit. */
const WRITER_INTERVAL_MS = 60;
/** Maximum commits of the writer while one process runs. */
const COMMITS_IN_A_LIFE = 5;
/** If the writer wins every conflict, the run ends before its failpoint, and another run is killed. */
const MAX_LIVES = 4;

describe("maintenance under SIGKILL with a concurrent writer", () => {
  let lake: MaintainedLake;
  let pyiceberg: PyIceberg;
  /** The table's content according to the writer. */
  const expected = new Map<number, string>();
  /** The table's content at the writer's snapshots, by id. */
  const at = new Map<string, string[]>();
  let next = 0;
  /** Rejected commits of the writer: each leaves orphan files that DuckDB had written. */
  let rejections = 0;

  before(async () => {
    lake = await openMaintainedLake();
    pyiceberg = startPyIceberg(lake.url);
    await lake.sql(`create table lake.${TABLE} (id bigint, note varchar, day date)`);
    await lake.sql(`alter table lake.${TABLE} set partitioned by (day)`);
  });
  after(async () => {
    await pyiceberg.close();
    await lake.close();
  });

  const rows = (): string[] =>
    Array.from(expected, ([id, note]) => JSON.stringify([String(id), note, dayOf(id)])).sort();
  const dayOf = (id: number): string => `2025-10-1${id % 2}`;

  /** Appends three rows; every second call also deletes one row of the previous commit and changes another. */
  async function write(): Promise<void> {
    const ids = [next, next + 1, next + 2];
    next += 3;
    const inserted: [number, string][] = ids.map((id) => [id, `note ${id}`]);
    const deleted: number[] = [];
    if (next % 2 === 0 && expected.has(ids[0]! - 1)) {
      deleted.push(ids[0]! - 1, ids[0]! - 2);
      inserted.push([ids[0]! - 2, "changed"]);
    }
    const values = inserted.map(([id, note]) => `(${id}, '${note}', date '${dayOf(id)}')`).join(", ");
    const statement =
      `begin; delete from lake.${TABLE} where id in (${deleted.join(", ") || "-1"}); ` +
      `insert into lake.${TABLE} values ${values}; commit`;
    for (;;) {
      try {
        await lake.sql(statement);
        break;
      } catch (error) {
        if (!/409|[Cc]onflict|Requirement failed/.test(String(error))) throw error;
        rejections += 1;
      }
    }
    for (const id of deleted) expected.delete(id);
    for (const [id, note] of inserted) expected.set(id, note);
    const { metadata } = await lake.load(TABLE);
    const own = metadata.snapshots.findLast(({ summary }) => summary["operation"] !== "replace");
    if (own !== undefined) at.set(String(own["snapshot-id"]), rows());
  }

  /** Runs all actions in a process that is killed at the given failpoint, while the writer continues. */
  async function live(moment: string): Promise<boolean> {
    const child = fork(join(import.meta.dirname, "kill-child.ts"), [lake.folder, TABLE], {
      env: { ...process.env, COINLAKE_KILL_AT: moment },
      execArgv: ["--disable-warning=ExperimentalWarning"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
    const exit = once(child, "exit") as Promise<[number | null, string | null]>;
    for (
      let commit = 0;
      child.exitCode === null && child.signalCode === null && commit < COMMITS_IN_A_LIFE;
      commit += 1
    ) {
      await write();
      await Promise.race([exit, wait(WRITER_INTERVAL_MS)]);
    }
    const [code, signal] = await exit;
    if (signal === "SIGKILL") return true;
    assert.ok(code === 0 || /OVERTAKEN/.test(said), `${moment}: ended with ${String(code)}: ${said}`);
    return false;
  }

  async function assertExact(moment: string): Promise<void> {
    const values = await everyValue(lake, TABLE);
    assert.deepEqual(values.now, rows(), `${moment}: by DuckDB`);
    for (const [id, held] of values.at)
      if (at.has(id)) assert.deepEqual(held, at.get(id), `${moment}: by DuckDB at ${id}`);
    const found = await pyiceberg.call<string[][]>("read", { table: TABLE });
    assert.deepEqual(found.map((row) => JSON.stringify(row)).sort(), rows(), `${moment}: by PyIceberg`);
    await assertNothingDangles(lake, TABLE);
  }

  for (const moment of MOMENTS) {
    const when = moment.replace(/:1$/, "").replace(":2", ", the second time");
    test(`killed ${when}: all values are intact, no file is missing, and the next run cleans up`, async () => {
      for (let commit = 0; commit < 5; commit += 1) await write();
      const orphan = `${(await lake.load(TABLE)).metadata.location}/data/orphan-${next}.parquet`;
      await lake.storage.write(orphan, Buffer.from("nobody's"));
      await age([orphan]);
      rejections = 0;
      let is_killed = false;
      for (let life = 0; life < MAX_LIVES && !is_killed; life += 1) is_killed = await live(moment);
      assert.ok(is_killed, `${moment} was reached`);
      await assertExact(moment);
      const noted = new Set(lake.store.of(TABLE));
      await maintainTable(lake.parts(), lake.store, TABLE, []);
      assert.deepEqual(lake.store.of(TABLE), []);
      // An interrupted commit leaves its metadata file, as any writer's does, and the orphan file may still exist.
      const left = (await unreferencedFiles(lake, TABLE)).filter(
        (location) => location !== orphan && !location.endsWith(".metadata.json"),
      );
      assert.deepEqual(
        left.filter((location) => rejections === 0 || noted.has(location)),
        [],
        "nothing of maintenance is left",
      );
      await removeAllOrphans(lake, TABLE);
      assert.deepEqual(await unreferencedFiles(lake, TABLE), []);
      assert.deepEqual(await valuesOf(lake, TABLE), rows(), `${moment}, cleaned up`);
      await assertNothingDangles(lake, TABLE);
    });
  }
});
