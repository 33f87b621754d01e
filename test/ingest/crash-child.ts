import { join } from "node:path";
import { Catalog } from "../../src/catalog/catalog.ts";
import { SqliteStore } from "../../src/catalog/sqlite/store.ts";
import { systemClock } from "../../src/base/clock.ts";
import { openParquetWriter } from "../../src/duckdb/parquet.ts";
import { createIngest } from "../../src/ingest/ingest.ts";
import { openSqliteLog } from "../../src/log/sqlite/log.ts";
import { crashAt, noop } from "../../src/base/failpoints.ts";
import { locationOfPath } from "../../src/storage/file/location.ts";
import { FileStorage } from "../../src/storage/file/storage.ts";
import { LIMITS, TABLE, TOPIC, recordsOf } from "./lake.ts";

/**
 * Arguments: FOLDER COUNT. Appends records up to COUNT, from the end of the log, and copies them to bronze; crashes at
 * the failpoint in COINLAKE_KILL_AT.
 */
const [folder = "", count] = process.argv.slice(2);
const instruction = process.env["COINLAKE_KILL_AT"];
const step = instruction ? crashAt(instruction) : noop;
const BATCH = 40;

const storage = new FileStorage();
const catalog = new Catalog({
  store: new SqliteStore(join(folder, "catalog.sqlite")),
  storage,
  warehouse: locationOfPath(join(folder, "warehouse")),
  step,
});
const log = openSqliteLog({ file: join(folder, "log.sqlite"), step });
const records = await openParquetWriter({ storage });
const ingest = createIngest({
  log,
  catalog,
  storage,
  records,
  table: TABLE,
  topic: TOPIC,
  clock: systemClock,
  limits: LIMITS,
  step,
});

await log.createTopic(TOPIC, 3);
for (let next = Number((await log.position(TOPIC, "child")) ?? 0); next < Number(count); next += BATCH) {
  await log.append(TOPIC, recordsOf(next, next + BATCH), { producer: "child", position: String(next + BATCH) });
  await ingest.runOnce();
}
await ingest.drain();
await log.close();
records.close();
await catalog.close();
