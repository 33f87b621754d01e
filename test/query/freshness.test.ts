import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { LoadedTable, TableMetadata } from "../../src/iceberg/model.ts";
import { openSqliteLog } from "../../src/log/sqlite/log.ts";
import { freshness, RecordTimes } from "../../src/query/freshness.ts";
import { newTable, NOW_MS, tableWithSnapshots } from "../iceberg/metadata/fixtures.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const TOPIC = "prices";
const loaded = (layer: string, metadata: TableMetadata): LoadedTable => ({
  identifier: { namespace: [layer], name: "prices" },
  metadata,
  metadata_location: "",
});

test("a layer's commit time is that of its newest snapshot, and null without a snapshot", async () => {
  const folder = temporaryFolder();
  const log = openSqliteLog({ file: join(folder.path, "log.db") });
  try {
    await log.createTopic(TOPIC, 1);
    const tables = [loaded("bronze", tableWithSnapshots(3)), loaded("silver", newTable())];
    const layers = await freshness(
      { log, topic: TOPIC, tables, live: null, now_us: NOW_MS * 1000, is_replay: false },
      new RecordTimes(log, TOPIC),
    );
    const newest = new Date(Number(tableWithSnapshots(3).snapshots.at(-1)?.["timestamp-ms"])).toISOString();
    assert.deepEqual(
      layers.map(({ layer, committed_at }) => [layer, committed_at]),
      [
        ["log", null],
        ["bronze", newest],
        ["silver", null],
        ["gold", null],
      ],
    );
  } finally {
    await log.close();
    folder.remove();
  }
});
