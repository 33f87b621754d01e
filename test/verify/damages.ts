import { cpSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { crypto } from "../../pipelines/crypto.ts";
import { tableNamed } from "../../src/iceberg/errors.ts";
import { SqliteStore } from "../../src/catalog/sqlite/store.ts";
import { decodeManifestList } from "../../src/iceberg/manifest-list.ts";
import { openSqliteLog } from "../../src/log/sqlite/log.ts";
import { pathOfLocation } from "../../src/storage/file/location.ts";
import type { FindingCode } from "../../src/verify/finding.ts";
import { BRONZE, flipBit, FOREIGN, type PreparedLake } from "./prepared-lake.ts";

/** One way to damage a lake, the check that finds it, and the finding's text. */
export interface Damage {
  title: string;
  damage(lake: PreparedLake): unknown;
  found_by: "verify" | "verify --deep";
  code: FindingCode;
  /** Pattern in the message, or in the description of the rows. */
  said: RegExp;
  /** The reported table; absent if the damage concerns the lake itself. */
  table?: string;
  /** Pattern in the next step, besides the command for the table. */
  remedy?: RegExp;
  /** True if the models must run again over the changed bronze. */
  is_in_bronze?: boolean;
}

const UPDATES = "silver.crypto_price_updates";
const MINUTES = "silver.crypto_prices_clean";
const FACTS = "gold.fact_crypto_ticks";
const HOURS = "gold.fact_crypto_hourly";
const PROPERTY = "coinlake.log-offsets";

const sql = (statement: string) => (lake: PreparedLake) => lake.sql(statement);

function emptyWal(file: string): void {
  for (const end of ["-wal", "-shm"]) rmSync(`${file}${end}`, { force: true });
}

const remove = (name: string) => (lake: PreparedLake) => {
  emptyWal(lake.file(name));
  rmSync(lake.file(name));
};

const cutOff = (name: string, share: number) => (lake: PreparedLake) => {
  const file = lake.file(name);
  emptyWal(file);
  truncateSync(file, Math.floor(statSync(file).size * share));
};

const overwrite = (name: string) => (lake: PreparedLake) => {
  emptyWal(lake.file(name));
  writeFileSync(lake.file(name), Buffer.alloc(20_000, "no database "));
};

/** Moves a table's committed offsets, in its property, by a number of records. */
const moveOffsets = (table: string, records: number) => (lake: PreparedLake) =>
  lake.change(async ({ catalog }) => {
    const identifier = tableNamed(table);
    const { metadata } = await catalog.loadTable(identifier);
    const offsets = JSON.parse(metadata.properties[PROPERTY] ?? "{}") as Record<string, number>;
    const moved = Object.fromEntries(Object.entries(offsets).map(([name, next]) => [name, next + records]));
    await catalog.commit([
      {
        identifier,
        requirements: [],
        updates: [{ action: "set-properties", updates: { [PROPERTY]: JSON.stringify(moved) } }],
      },
    ]);
  });

const drop = (table: string, is_purging: boolean) => (lake: PreparedLake) =>
  lake.change(({ catalog }) => catalog.dropTable(tableNamed(table), { is_purging }));

export const dropBuilt = (is_purging: boolean) => async (lake: PreparedLake) => {
  for (const table of Object.keys(crypto.reconciliation.tables)) await drop(table, is_purging)(lake);
};

/** Overwrites a page in the middle of the file; its header, and so its length and layout, remain valid. */
const overwritePage = (name: string) => (lake: PreparedLake) => {
  const file = lake.file(name);
  emptyWal(file);
  const bytes = readFileSync(file);
  const page_bytes = bytes.readUInt16BE(16);
  const page = Math.floor(bytes.length / page_bytes / 2);
  writeFileSync(file, bytes.fill(0xff, page * page_bytes, (page + 1) * page_bytes));
};

/** Changes the current schema as another engine's ALTER TABLE does. */
const changeColumns =
  (table: string, change: (fields: { id: number; name: string }[]) => object[]) => (lake: PreparedLake) =>
    lake.change(async ({ catalog }) => {
      const identifier = tableNamed(table);
      const { metadata } = await catalog.loadTable(identifier);
      const schema = metadata.schemas.find((candidate) => candidate["schema-id"] === metadata["current-schema-id"]);
      if (schema === undefined) throw new Error("the table has a schema");
      const changed = { type: "struct", fields: change(schema.fields) };
      const updates = [
        { action: "add-schema", schema: changed, "last-column-id": metadata["last-column-id"] },
        { action: "set-current-schema", "schema-id": -1 },
      ];
      await catalog.commit([{ identifier, requirements: [], updates }]);
    });

const atDataFile = (table: string, work: (path: string) => void) => async (lake: PreparedLake) =>
  work(await lake.dataFile(table));

async function manifestOf(lake: PreparedLake, table: string): Promise<string> {
  const [manifest] = decodeManifestList(readFileSync(pathOfLocation((await lake.snapshot(table))["manifest-list"])));
  return pathOfLocation(manifest?.manifest_path ?? "");
}

async function manifestListOf(lake: PreparedLake, table: string): Promise<string> {
  return pathOfLocation((await lake.snapshot(table))["manifest-list"]);
}

async function metadataOf(lake: PreparedLake, table: string): Promise<string> {
  return pathOfLocation((await lake.load(table)).metadata_location);
}

async function deleteFileOf(lake: PreparedLake): Promise<string> {
  for (const table of [MINUTES, HOURS, FACTS, "silver.crypto_listings", "gold.dim_crypto"]) {
    const [file] = await lake.files(table, 1);
    if (file !== undefined) return pathOfLocation(file.path);
  }
  throw new Error("no table has a delete file");
}

function swap(a: string, b: string): void {
  renameSync(a, `${a}.moved`);
  renameSync(b, a);
  renameSync(`${a}.moved`, b);
}

/** The manifest list of a retained snapshot that is not current. */
async function earlierManifestList(lake: PreparedLake, table: string): Promise<string> {
  const { metadata } = await lake.load(table);
  const current = await lake.snapshot(table);
  const earlier = metadata.snapshots.find((snapshot) => snapshot["snapshot-id"] !== current["snapshot-id"]);
  return pathOfLocation(earlier?.["manifest-list"] ?? "");
}

const FIRST_UPDATE = `log_offset = (select min(log_offset) from lake.${UPDATES}) and element_index = (
  select min(element_index) from lake.${UPDATES} where log_offset = (select min(log_offset) from lake.${UPDATES}))`;
const FIRST_HOUR = `hour_at = (select min(hour_at) from lake.${HOURS})`;

const STORES: readonly Damage[] = [
  {
    title: "log.db is deleted",
    damage: remove("log.db"),
    found_by: "verify",
    code: "STORE_MISSING",
    said: /^log\.db is missing/,
  },
  {
    title: "log.db is empty",
    damage: cutOff("log.db", 0),
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /^log\.db is damaged: it is empty/,
  },
  {
    title: "log.db is truncated",
    damage: cutOff("log.db", 0.5),
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /^log\.db is damaged/,
  },
  {
    title: "a page of log.db is overwritten",
    damage: overwritePage("log.db"),
    found_by: "verify --deep",
    code: "STORE_DAMAGED",
    said: /^log\.db is damaged/,
  },
  {
    title: "a page of catalog.db is overwritten",
    damage: overwritePage("catalog.db"),
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /^catalog\.db is damaged/,
  },
  {
    title: "log.db is not a database",
    damage: overwrite("log.db"),
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /not a database/,
  },
  {
    title: "log.db is replaced by a new one",
    async damage(lake) {
      remove("log.db")(lake);
      const log = openSqliteLog({ file: lake.file("log.db") });
      await log.createTopic(crypto.topic.name, 1);
      await log.close();
    },
    found_by: "verify",
    code: "CHECK_FAILED",
    table: BRONZE,
    said: /bronze is not ahead of the log/,
  },
  {
    title: "log.db lacks records that bronze does not have",
    damage(lake) {
      const database = new DatabaseSync(lake.file("log.db"));
      database.exec("update partition set end_offset = end_offset + 3");
      database.close();
    },
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /^log\.db lacks the records \d+ to \d+ of /,
  },
  {
    title: "log.db is replaced by a new one without the topic",
    async damage(lake) {
      remove("log.db")(lake);
      await openSqliteLog({ file: lake.file("log.db") }).close();
    },
    found_by: "verify",
    code: "CHECK_FAILED",
    table: BRONZE,
    said: /the log has every partition that bronze has/,
  },
  {
    title: "catalog.db is deleted",
    damage: remove("catalog.db"),
    found_by: "verify",
    code: "STORE_MISSING",
    said: /^catalog\.db is missing/,
  },
  {
    title: "catalog.db is empty",
    damage: cutOff("catalog.db", 0),
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /^catalog\.db is damaged: it is empty/,
  },
  {
    title: "catalog.db is truncated",
    damage: cutOff("catalog.db", 0.4),
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /^catalog\.db is damaged/,
  },
  {
    title: "catalog.db is not a database",
    damage: overwrite("catalog.db"),
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /^catalog\.db is damaged/,
  },
  {
    title: "catalog.db is replaced by a new one",
    async damage(lake) {
      remove("catalog.db")(lake);
      await new SqliteStore(lake.lake.catalog_file).close();
    },
    found_by: "verify",
    code: "CATALOG_OUTDATED",
    said: /^catalog\.db has no tables/,
  },
  {
    title: "catalog.db is replaced by an old copy",
    damage: (lake) => lake.restoreOldCatalog(),
    found_by: "verify",
    code: "CATALOG_OUTDATED",
    table: FACTS,
    said: /the catalog names version \d+, but the folder has version \d+/,
    remedy: /repair`/,
  },
  {
    title: "a table's pointer is moved to the previous version",
    async damage(lake) {
      const { metadata } = await lake.load(HOURS);
      const database = new DatabaseSync(lake.lake.catalog_file);
      database
        .prepare("update tables set metadata_location = ? where name = 'fact_crypto_hourly'")
        .run(metadata["metadata-log"].at(-1)?.["metadata-file"] ?? "");
      database.close();
    },
    found_by: "verify",
    code: "CATALOG_OUTDATED",
    table: HOURS,
    said: /the catalog names version/,
    remedy: /repair`/,
  },
  {
    title: "alerts.db is deleted",
    damage: remove("alerts.db"),
    found_by: "verify",
    code: "STORE_MISSING",
    said: /^alerts\.db is missing/,
    remedy: /restore/,
  },
  {
    title: "alerts.db is not a database",
    damage: overwrite("alerts.db"),
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /^alerts\.db/,
    remedy: /restore/,
  },
  {
    title: "alerts.db lacks a table",
    damage(lake) {
      const database = new DatabaseSync(lake.file("alerts.db"));
      database.exec("drop table rule");
      database.close();
    },
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /^alerts\.db is damaged: .* lacks the table rule/,
    remedy: /restore/,
  },
  {
    title: "maintenance.db is deleted",
    damage: remove("maintenance.db"),
    found_by: "verify",
    code: "STORE_MISSING",
    said: /^maintenance\.db is missing/,
  },
  {
    title: "maintenance.db is truncated",
    damage: cutOff("maintenance.db", 0.5),
    found_by: "verify",
    code: "STORE_DAMAGED",
    said: /^maintenance\.db/,
  },
];

const FILES: readonly Damage[] = [
  {
    title: "a data file of bronze is deleted",
    damage: atDataFile(BRONZE, rmSync),
    found_by: "verify",
    code: "FILE_MISSING",
    table: BRONZE,
    said: /data file .* is missing/,
  },
  {
    title: "a data file of silver is deleted",
    damage: atDataFile(UPDATES, rmSync),
    found_by: "verify",
    code: "FILE_MISSING",
    table: UPDATES,
    said: /data file .* is missing/,
  },
  {
    title: "a data file of gold is deleted",
    damage: atDataFile(FACTS, rmSync),
    found_by: "verify",
    code: "FILE_MISSING",
    table: FACTS,
    said: /data file .* is missing/,
  },
  {
    title: "a delete file is deleted",
    damage: async (lake) => rmSync(await deleteFileOf(lake)),
    found_by: "verify",
    code: "FILE_MISSING",
    table: MINUTES,
    said: /delete file .* is missing/,
  },
  {
    title: "a data file is truncated",
    damage: atDataFile(MINUTES, (path) => truncateSync(path, 500)),
    found_by: "verify",
    code: "FILE_DAMAGED",
    table: MINUTES,
    said: /has 500 bytes; its commit recorded \d+/,
  },
  {
    title: "a data file is empty",
    damage: atDataFile(FACTS, (path) => truncateSync(path, 0)),
    found_by: "verify",
    code: "FILE_DAMAGED",
    table: FACTS,
    said: /has 0 bytes/,
  },
  {
    title: "two data files are swapped",
    damage: async (lake) => swap(await lake.dataFile(UPDATES, 0), await lake.dataFile(UPDATES, 1)),
    found_by: "verify",
    code: "FILE_DAMAGED",
    table: UPDATES,
    said: /bytes; its commit recorded \d+/,
  },
  {
    title: "a manifest is deleted",
    damage: async (lake) => rmSync(await manifestOf(lake, FACTS)),
    found_by: "verify",
    code: "FILE_MISSING",
    table: FACTS,
    said: /manifest .* is missing/,
  },
  {
    title: "a manifest list is deleted",
    damage: async (lake) => rmSync(await manifestListOf(lake, UPDATES)),
    found_by: "verify",
    code: "FILE_MISSING",
    table: UPDATES,
    said: /manifest list .* is missing/,
  },
  {
    title: "the table metadata is deleted",
    damage: async (lake) => rmSync(await metadataOf(lake, MINUTES)),
    found_by: "verify",
    code: "FILE_MISSING",
    table: MINUTES,
    said: /table metadata/,
    remedy: /repair`/,
  },
  {
    title: "the table metadata of bronze is deleted",
    damage: async (lake) => rmSync(await metadataOf(lake, BRONZE)),
    found_by: "verify",
    code: "FILE_MISSING",
    table: BRONZE,
    said: /table metadata/,
    remedy: /repair`/,
  },
  {
    title: "the table metadata of bronze is truncated",
    damage: async (lake) => truncateSync(await metadataOf(lake, BRONZE), 300),
    found_by: "verify",
    code: "METADATA_DAMAGED",
    table: BRONZE,
    said: /cannot be read/,
    remedy: /repair`/,
  },
  {
    title: "a bit of a manifest is flipped",
    damage: async (lake) => flipBit(await manifestOf(lake, FACTS), 0.9),
    found_by: "verify",
    code: "METADATA_DAMAGED",
    table: FACTS,
    said: /manifest .* checksum differs/,
  },
  {
    title: "a bit of a manifest list is flipped",
    damage: async (lake) => flipBit(await manifestListOf(lake, FACTS), 0.9),
    found_by: "verify",
    code: "METADATA_DAMAGED",
    table: FACTS,
    said: /manifest list .* checksum differs/,
  },
  {
    title: "the offsets in a snapshot's summary are changed",
    async damage(lake) {
      const path = await metadataOf(lake, MINUTES);
      writeFileSync(
        path,
        readFileSync(path, "utf8").replaceAll(
          /(log-offsets":"\{\\"[^:]+:)(\d+)/g,
          (_, before: string, next: string) => `${before}${Number(next) + 1}`,
        ),
      );
    },
    found_by: "verify",
    code: "METADATA_DAMAGED",
    table: MINUTES,
    said: /table metadata .* checksum differs/,
  },
  {
    title: "the table metadata is truncated",
    damage: async (lake) => truncateSync(await metadataOf(lake, FACTS), 300),
    found_by: "verify",
    code: "METADATA_DAMAGED",
    table: FACTS,
    said: /cannot be read/,
    remedy: /repair`/,
  },
  {
    title: "a manifest is replaced by another table's",
    damage: async (lake) => cpSync(await manifestOf(lake, HOURS), await manifestOf(lake, FACTS)),
    found_by: "verify",
    code: "METADATA_DAMAGED",
    table: FACTS,
    said: /manifest/,
  },
  {
    title: "a bit of a data file of bronze is flipped",
    damage: atDataFile(BRONZE, flipBit),
    found_by: "verify --deep",
    code: "FILE_DAMAGED",
    table: BRONZE,
    said: /has changed since its commit/,
  },
  {
    title: "a bit of a data file of silver is flipped",
    damage: atDataFile(UPDATES, flipBit),
    found_by: "verify --deep",
    code: "FILE_DAMAGED",
    table: UPDATES,
    said: /has changed since its commit/,
  },
  {
    title: "a bit of a data file of gold is flipped",
    damage: atDataFile(HOURS, flipBit),
    found_by: "verify --deep",
    code: "FILE_DAMAGED",
    table: HOURS,
    said: /has changed since its commit/,
  },
  {
    title: "a bit of a delete file is flipped",
    damage: async (lake) => flipBit(await deleteFileOf(lake)),
    found_by: "verify --deep",
    code: "FILE_DAMAGED",
    table: MINUTES,
    said: /delete file .* has changed since its commit/,
  },
  {
    title: "a bit of a data file of another client's table is flipped",
    async damage(lake) {
      await lake.createForeignTable();
      flipBit(await lake.dataFile(FOREIGN));
    },
    found_by: "verify --deep",
    code: "FILE_DAMAGED",
    table: FOREIGN,
    said: /has changed since its commit/,
    remedy: /restore/,
  },
  {
    title: "a manifest list of an earlier snapshot is deleted",
    damage: async (lake) => rmSync(await earlierManifestList(lake, FACTS)),
    found_by: "verify --deep",
    code: "FILE_MISSING",
    table: FACTS,
    said: /snapshot \d+ cannot be read/,
  },
];

const TABLES: readonly Damage[] = [
  {
    title: "dim_time is dropped",
    damage: drop("gold.dim_time", false),
    found_by: "verify",
    code: "TABLE_MISSING",
    table: "gold.dim_time",
    said: /is missing/,
  },
  {
    title: "hours are dropped and purged",
    damage: drop(HOURS, true),
    found_by: "verify",
    code: "TABLE_MISSING",
    table: HOURS,
    said: /is missing/,
  },
  {
    title: "all tables of silver and gold are dropped",
    damage: dropBuilt(false),
    found_by: "verify",
    code: "TABLE_MISSING",
    table: FACTS,
    said: /is missing/,
  },
  {
    title: "bronze is dropped",
    damage: drop(BRONZE, false),
    found_by: "verify",
    code: "TABLE_MISSING",
    table: BRONZE,
    said: /is missing/,
  },
  {
    title: "a seed is dropped",
    damage: drop("silver.crypto_products", false),
    found_by: "verify",
    code: "TABLE_MISSING",
    table: "silver.crypto_products",
    said: /is missing/,
  },
  {
    title: "a table's offsets are moved back",
    damage: moveOffsets(MINUTES, -1),
    found_by: "verify",
    code: "OFFSETS_DIFFER",
    table: MINUTES,
    said: /offsets/,
  },
  {
    title: "a table's offsets are moved forward",
    damage: moveOffsets(MINUTES, 5),
    found_by: "verify",
    code: "OFFSETS_DIFFER",
    table: MINUTES,
    said: /offsets that bronze does not have/,
  },
  {
    title: "bronze's offsets are moved back",
    damage: moveOffsets(BRONZE, -1),
    found_by: "verify",
    code: "OFFSETS_DIFFER",
    table: BRONZE,
    said: /offsets/,
  },
  {
    title: "bronze's offsets are moved forward",
    damage: moveOffsets(BRONZE, 5),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: BRONZE,
    said: /5 missing of|ahead of the log/,
  },
  {
    title: "a table's offsets are not JSON",
    damage: (lake) =>
      lake.change(({ catalog }) =>
        catalog.commit([
          {
            identifier: tableNamed(MINUTES),
            requirements: [],
            updates: [{ action: "set-properties", updates: { [PROPERTY]: "{" } }],
          },
        ]),
      ),
    found_by: "verify",
    code: "METADATA_DAMAGED",
    table: MINUTES,
    said: /coinlake\.log-offsets is \{/,
    remedy: /repair`/,
  },
  {
    title: "a column is dropped",
    damage: changeColumns(MINUTES, (fields) => fields.filter(({ name }) => name !== "market_cap")),
    found_by: "verify --deep",
    code: "COLUMNS_DIFFER",
    table: MINUTES,
    said: /lacks market_cap/,
  },
  {
    title: "a column is renamed",
    damage: changeColumns("gold.dim_crypto", (fields) =>
      fields.map((field) => (field.name === "category" ? { ...field, name: "kind" } : field)),
    ),
    found_by: "verify",
    code: "COLUMNS_DIFFER",
    table: "gold.dim_crypto",
    said: /column category was renamed to kind/,
    remedy: /repair`/,
  },
  {
    title: "a column of bronze is renamed",
    damage: changeColumns(BRONZE, (fields) =>
      fields.map((field) => (field.name === "payload" ? { ...field, name: "message" } : field)),
    ),
    found_by: "verify",
    code: "COLUMNS_DIFFER",
    table: BRONZE,
    said: /column payload was renamed to message/,
    remedy: /repair`/,
  },
];

const ROWS: readonly Damage[] = [
  {
    title: "records of bronze are deleted",
    damage: sql(`delete from lake.${BRONZE} where log_offset = 3`),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: BRONZE,
    said: /bronze has no gap .*1 missing/,
  },
  {
    title: "records of bronze are duplicated",
    damage: sql(`insert into lake.${BRONZE} select * from lake.${BRONZE} where log_offset = 3`),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: BRONZE,
    said: /bronze has no duplicate .*1 too many/,
  },
  {
    title: "another writer appends to bronze",
    damage: sql(
      `insert into lake.${BRONZE} select * replace (log_offset + 1000000 as log_offset) ` +
        `from lake.${BRONZE} where log_offset = 3`,
    ),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: BRONZE,
    said: /beyond the offsets/,
  },
  {
    title: "an accepted update is duplicated",
    damage: sql(`insert into lake.${UPDATES} select * from lake.${UPDATES} where ${FIRST_UPDATE}`),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: UPDATES,
    said: /no element has two verdicts/,
  },
  {
    title: "an accepted update is deleted",
    damage: sql(`delete from lake.${UPDATES} where ${FIRST_UPDATE}`),
    found_by: "verify",
    code: "CHECK_FAILED",
    said: /no record lacks an element|every record in bronze has its verdict/,
    table: UPDATES,
  },
  {
    title: "a fact is deleted",
    damage: sql(`delete from lake.${FACTS} where log_offset = (select min(log_offset) from lake.${FACTS})`),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: FACTS,
    said: /every accepted update is one fact/,
  },
  {
    title: "a price of gold is changed",
    damage: sql(
      `update lake.${FACTS} set price_usd = price_usd + 1 ` +
        `where log_offset = (select min(log_offset) from lake.${FACTS})`,
    ),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: FACTS,
    said: /facts are the accepted updates/,
  },
  {
    title: "a high is tripled",
    damage: sql(`update lake.${HOURS} set high = 3 * high where ${FIRST_HOUR}`),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: HOURS,
    said: /hours are the minutes together/,
  },
  {
    title: "hours are duplicated",
    damage: sql(`insert into lake.${HOURS} select * from lake.${HOURS} where ${FIRST_HOUR}`),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: HOURS,
    said: /is unique by crypto_id, hour_at/,
  },
  {
    title: "versions of coins are duplicated",
    damage: sql("insert into lake.gold.dim_crypto select * from lake.gold.dim_crypto where is_current"),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: "gold.dim_crypto",
    said: /is unique by crypto_key/,
  },
  {
    title: "a coin is deleted",
    damage: sql(`delete from lake.gold.dim_crypto where crypto_id = (select min(crypto_id) from lake.${FACTS})`),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: "gold.dim_crypto",
    said: /crypto_id is in gold\.dim_crypto/,
  },
  {
    title: "minutes of the calendar are deleted",
    damage: sql(`delete from lake.gold.dim_time where time_id = (select min(time_id) from lake.${FACTS})`),
    found_by: "verify",
    code: "CHECK_FAILED",
    table: "gold.dim_time",
    said: /time_id is in gold\.dim_time/,
  },
  {
    title: "a price of bronze is changed",
    damage: sql(`update lake.${BRONZE} set payload = replace(payload, '1', '2') where log_offset = 3`),
    found_by: "verify --deep",
    code: "LOG_DIFFERS",
    table: BRONZE,
    said: /offset 3: payload differs/,
    is_in_bronze: true,
  },
  {
    title: "the source of a record of bronze is changed",
    damage: sql(`update lake.${BRONZE} set source = 'nobody' where log_offset = 4`),
    found_by: "verify --deep",
    code: "LOG_DIFFERS",
    table: BRONZE,
    said: /offset 4: source differs/,
    is_in_bronze: true,
  },
  {
    title: "a price of bronze is changed whose record is pruned from the log",
    async damage(lake) {
      await lake.change(async ({ log }) => {
        const [bounds] = await log.bounds(crypto.topic.name);
        await log.prune(crypto.topic.name, 0, bounds?.end ?? 0, Number.MAX_SAFE_INTEGER);
      });
      await lake.sql(
        `update lake.${BRONZE} set payload = replace(payload, '"current_price":', '"current_price":1') ` +
          "where log_offset < 20",
      );
    },
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: UPDATES,
    said: /price is \S+, expected \S+/,
    is_in_bronze: true,
  },
  {
    title: "a price is changed in silver and in gold",
    async damage(lake) {
      await lake.sql(
        `update lake.${FACTS} set price_usd = price_usd + 1 ` +
          `where log_offset = (select max(log_offset) from lake.${UPDATES})`,
      );
      await lake.sql(
        `update lake.${UPDATES} set price = price + 1 where log_offset = (select max(log_offset) from lake.${UPDATES})`,
      );
    },
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: UPDATES,
    said: /price is \S+, expected \S+/,
  },
  {
    title: "the price of a minute is changed",
    damage: sql(
      `update lake.${MINUTES} set price = price / 2 where minute_at = (select min(minute_at) from lake.${MINUTES})`,
    ),
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: MINUTES,
    said: /minute_at=.*: price is \S+, expected/,
  },
  {
    title: "minutes are deleted and hours with them",
    damage: async (lake) => {
      await lake.sql(`delete from lake.${MINUTES} where crypto_id = (select min(crypto_id) from lake.${FACTS})`);
    },
    found_by: "verify",
    code: "CHECK_FAILED",
    table: MINUTES,
    said: /minutes hold every accepted update/,
  },
  {
    title: "the change over an hour is changed",
    damage: sql(`update lake.${FACTS} set percent_change_1h = 1234 where percent_change_1h is not null`),
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: FACTS,
    said: /percent_change_1h is 1234/,
  },
  {
    title: "listings are deleted",
    damage: sql(
      "delete from lake.silver.crypto_listings " +
        "where is_page and listed_at = (select min(listed_at) from lake.silver.crypto_listings where is_page)",
    ),
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: "silver.crypto_listings",
    said: /\d+ missing/,
  },
  {
    title: "a coin is renamed",
    damage: sql(
      "update lake.gold.dim_crypto set name = 'Bitcoin Classic' " +
        "where crypto_id = (select min(crypto_id) from lake.gold.dim_crypto)",
    ),
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: "gold.dim_crypto",
    said: /name is Bitcoin Classic, expected/,
  },
  {
    title: "a product is mapped to another coin",
    damage: sql("update lake.silver.crypto_products set crypto_id = 'nobody' where product = 'BTC-USD'"),
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: "silver.crypto_products",
    said: /crypto_id is nobody, expected bitcoin/,
  },
  {
    title: "a reason of the quarantine is changed",
    damage: sql("update lake.silver.crypto_prices_rejected set reason = 'bad day'"),
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: "silver.crypto_prices_rejected",
    said: /reason is bad day, expected/,
  },
  {
    title: "an identity of a duplicate is changed",
    damage: sql("update lake.silver.crypto_price_duplicates set identity = 'nothing'"),
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: "silver.crypto_price_duplicates",
    said: /identity is nothing, expected/,
  },
  {
    title: "the trading hours are changed",
    damage: sql("update lake.gold.dim_time set is_trading_hour = not is_trading_hour where hour = 3"),
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: "gold.dim_time",
    said: /is_trading_hour is \S+, expected/,
  },
  {
    title: "another writer appends to gold",
    damage: sql(
      "insert into lake.gold.dim_time select * replace (time_id + 100000000 as time_id) " +
        "from lake.gold.dim_time limit 1",
    ),
    found_by: "verify --deep",
    code: "ROWS_DIFFER",
    table: "gold.dim_time",
    said: /1 extra/,
  },
];

export const DAMAGES: readonly Damage[] = [...STORES, ...FILES, ...TABLES, ...ROWS];
