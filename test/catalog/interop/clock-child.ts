import { Catalog } from "../../../src/catalog/catalog.ts";
import { startCatalogServer } from "../../../src/catalog/server.ts";
import { SqliteStore } from "../../../src/catalog/sqlite/store.ts";
import { attachCatalog, openDuckDB } from "../../../src/engine/embedded/duckdb.ts";
import { QuerySession } from "../../../src/engine/embedded/session.ts";
import { currentSnapshot } from "../../../src/iceberg/stage.ts";
import { locationOfPath } from "../../../src/storage/file/location.ts";
import { FileStorage } from "../../../src/storage/file/storage.ts";

/** Runs statements on a lake, by the clock that its process has, and prints what readers then see of gold.prices. */
const [folder = "", ...statements] = process.argv.slice(2);
const catalog = new Catalog({ store: new SqliteStore(`${folder}/catalog.db`), storage: new FileStorage(), warehouse: locationOfPath(`${folder}/warehouse`) });
const server = await startCatalogServer({ catalog, port: 0 });
if (!(await catalog.hasNamespace(["gold"]))) await catalog.createNamespace(["gold"]);
const duckdb = await openDuckDB();
const connection = await duckdb.connect();
await attachCatalog(connection, server.url, "lake");
for (const statement of statements) await connection.run(statement);

const { metadata } = await catalog.loadTable({ namespace: ["gold"], name: "prices" });
const current = currentSnapshot(metadata)?.["snapshot-id"];
const rowsOf = async (sql: string): Promise<unknown> => (await connection.runAndReadAll(sql)).getRowsJson().flat();
const session = await QuerySession.open({ catalog, server, s3: null });
const sum = "select coalesce(sum(id), 0)::int from";
const seen = {
  now: await rowsOf(`${sum} lake.gold.prices`),
  version: await rowsOf(`${sum} lake.gold.prices at (version => ${current})`),
  session: (await session.query(`${sum} gold.prices`)).rows[0]?.map(Number),
  held: (await session.hold(), (await session.query(`${sum} gold.prices`)).rows[0]?.map(Number)),
  travelled: (await session.travelTo(Date.now()), (await session.query(`${sum} gold.prices`)).rows[0]?.map(Number)),
};
process.stdout.write(JSON.stringify(seen));
session.close();
connection.closeSync();
duckdb.closeSync();
await server.close();
await catalog.close();
