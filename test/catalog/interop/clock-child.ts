import { Catalog } from "../../../src/catalog/catalog.ts";
import { startCatalogServer } from "../../../src/catalog/server.ts";
import { SqliteStore } from "../../../src/catalog/sqlite/store.ts";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { QuerySession } from "../../../src/duckdb/session.ts";
import { currentSnapshot } from "../../../src/iceberg/stage.ts";
import { locationOfPath } from "../../../src/storage/file/location.ts";
import { FileStorage } from "../../../src/storage/file/storage.ts";

/**
 * Runs statements on a lake with the clock of this process, and prints what readers see of gold.prices before and after
 * them.
 */
const [folder = "", ...statements] = process.argv.slice(2);
const catalog = new Catalog({
  store: new SqliteStore(`${folder}/catalog.db`),
  storage: new FileStorage(),
  warehouse: locationOfPath(`${folder}/warehouse`),
});
const server = await startCatalogServer({ catalog, port: 0 });
if (!(await catalog.hasNamespace(["gold"]))) await catalog.createNamespace(["gold"]);
const duckdb = await openDuckDB();
const connection = await duckdb.connect();
await attachCatalog(connection, server.url, "lake");
const session = await QuerySession.open({ catalog, server, s3: null });
const PRICES = { namespace: ["gold"], name: "prices" };

/** The sum of the ids, by every way to read the current snapshot. */
async function look(): Promise<Record<string, unknown> | null> {
  if (!(await catalog.hasTable(PRICES))) return null;
  const current = currentSnapshot((await catalog.loadTable(PRICES)).metadata)?.["snapshot-id"];
  const sum = "select coalesce(sum(id), 0)::int from";
  const rowsOf = async (sql: string): Promise<unknown> => (await connection.runAndReadAll(sql)).getRowsJson().flat();
  const asked = async (): Promise<unknown> => (await session.query(`${sum} gold.prices`)).rows[0]?.map(Number);
  const now = await rowsOf(`${sum} lake.gold.prices`);
  const version = await rowsOf(`${sum} lake.gold.prices at (version => ${current})`);
  await session.travelTo(null);
  const in_session = await asked();
  await session.hold();
  const held = await asked();
  await session.travelTo(Date.now());
  return { now, version, session: in_session, held, travelled: await asked() };
}

const before = await look();
for (const statement of statements) await connection.run(statement);
process.stdout.write(JSON.stringify([before, await look()]));
session.close();
connection.closeSync();
duckdb.closeSync();
await server.close();
await catalog.close();
