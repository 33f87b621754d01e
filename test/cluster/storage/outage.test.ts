import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "../../../src/base/clock.ts";
import { attachCatalog, openDuckDB } from "../../../src/duckdb/duckdb.ts";
import { QuerySession } from "../../../src/duckdb/session.ts";
import { openOrCreateLake } from "../../../src/lake/lake.ts";
import { openLake, type OpenLake } from "../../../src/lake/open.ts";
import { s3SettingsFrom } from "../../../src/storage/s3/settings.ts";
import { makeBucket } from "../s3.ts";
import { Servers } from "../servers.ts";

/** Longer than the half second for which DuckDB tries again by default. */
const OUTAGE_MS = 2_000;

let servers: Servers;
let cable: Cable;
let lake: OpenLake;

before(async () => {
  servers = await Servers.start("minio");
  const settings = s3SettingsFrom(servers.environment);
  const bucket = await makeBucket(settings);
  cable = await Cable.to(settings.endpoint);
  lake = await openLake(
    openOrCreateLake(join(servers.data, "behind-a-cable"), {
      name: "simulated",
      kind: "simulated",
      pipeline: "crypto",
      warehouse: `s3://${bucket}/lake`,
    }),
    { env: { ...servers.environment, AWS_ENDPOINT_URL: cable.url, AWS_ENDPOINT_URL_S3: cable.url } },
  );
  await lake.catalog.createNamespace(["gold"]);
  const duckdb = await openDuckDB({ s3: lake.s3 });
  const connection = await duckdb.connect();
  await attachCatalog(connection, lake.server.url, "lake");
  await connection.run("CREATE TABLE lake.gold.events (id BIGINT)");
  for (let commit = 0; commit < 3; commit += 1) await connection.run(`INSERT INTO lake.gold.events VALUES (${commit})`);
  connection.closeSync();
  duckdb.closeSync();
});
after(async () => {
  await lake?.close();
  cable?.close();
  await servers?.leave();
});

for (const [file, path] of [
  ["manifest list", /\/metadata\/snap-[^ ]+ HTTP/],
  ["manifest", /\/metadata\/[^ ]+-m0\.avro HTTP/],
  ["data file", /\/data\/[^ ]+\.parquet HTTP/],
] as const) {
  test(`a query retries while S3 is away for two seconds during the read of a ${file}`, async () => {
    // The catalog inspects the table, so that the file is left to be read by DuckDB, which has not cached it.
    assert.equal(await sum(), 3);
    cable.cutAt(path, OUTAGE_MS);
    assert.equal(await sum(), 3);
    assert.equal(cable.cuts, 1, "the connection was cut at that file");
  });
}

/** Reads by a new instance of DuckDB. */
async function sum(): Promise<number> {
  const session = await QuerySession.open(lake);
  try {
    return Number(await session.figure("select sum(id) from gold.events"));
  } finally {
    session.close();
  }
}

/** A TCP proxy that goes away for a while once a request passes whose first line matches. */
class Cable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #pattern: RegExp | null = null;
  #outage_ms = 0;
  #is_away = false;
  cuts = 0;

  private constructor(target: URL) {
    this.#server = createServer((client) => {
      if (this.#is_away) return void client.destroy();
      const upstream = connect(Number(target.port), target.hostname);
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(socket);
        socket.on("error", () => other.destroy());
        socket.on("close", () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
      }
      client.on("data", (bytes) => {
        if (this.#pattern?.test(bytes.toString("latin1")) === true) this.#cut();
        else upstream.write(bytes);
      });
      upstream.on("data", (bytes) => client.write(bytes));
    });
  }

  static async to(endpoint: string): Promise<Cable> {
    const cable = new Cable(new URL(endpoint));
    await new Promise<void>((resolve) => cable.#server.listen(0, "127.0.0.1", resolve));
    return cable;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cutAt(pattern: RegExp, outage_ms: number): void {
    this.#pattern = pattern;
    this.#outage_ms = outage_ms;
    this.cuts = 0;
  }

  #cut(): void {
    this.cuts += 1;
    this.#pattern = null;
    this.#is_away = true;
    for (const socket of this.#sockets) socket.destroy();
    void systemClock.wait(this.#outage_ms).then(() => (this.#is_away = false));
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
