import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { HiveStore } from "../../../src/catalog/hive/store.ts";
import { pointerMove } from "../../catalog/pointer-move.ts";
import { Servers } from "../servers.ts";

let servers: Servers;
let cable: Cable;
/** One store connects through the proxy, the other directly. */
let far: HiveStore;
let near: HiveStore;
let warehouse = "";
before(async () => {
  servers = await Servers.start("hive");
  const { COINLAKE_HIVE_URI: uri = "" } = servers.environment;
  warehouse = servers.environment["COINLAKE_WAREHOUSE"] ?? "";
  cable = await Cable.lay(uri);
  far = new HiveStore({ uri: cable.uri, warehouse });
  near = new HiveStore({ uri, warehouse });
  await near.createNamespace(["faults"], {});
});
after(async () => {
  await far?.close();
  await near?.close();
  cable?.remove();
  await servers?.leave();
});

const table = (name: string) => ({ namespace: ["faults"], name });
const to = (name: string, expected: string | null, next: string) => pointerMove(table(name), expected, next, warehouse);

test("a create, alter or drop whose response is lost has an unknown outcome, and its change is read back", async () => {
  cable.cut_answer_to = "create_table";
  await assert.rejects(far.move([to("lost", null, "1")]), { code: "UNKNOWN_OUTCOME" });
  assert.equal(await near.pointer(table("lost")), "1");
  cable.cut_answer_to = "alter_table";
  await assert.rejects(far.move([to("lost", "1", "2")]), { code: "UNKNOWN_OUTCOME" });
  assert.equal(await far.pointer(table("lost")), "2");
  cable.cut_answer_to = "drop_table";
  await assert.rejects(far.dropTable(table("lost")), { code: "UNKNOWN_OUTCOME" });
  assert.equal(await far.pointer(table("lost")), null);
});

test("a read whose response is lost is retried", async () => {
  await near.move([to("asked", null, "1")]);
  cable.cut_answer_to = "get_table_req";
  assert.equal(await far.pointer(table("asked")), "1");
  assert.equal(cable.cut_answer_to, null);
});

test("idle connections that broke are replaced without an error", async () => {
  await far.pointer(table("asked"));
  await cable.breakAll();
  await far.move([to("asked", "1", "2")]);
  assert.equal(await near.pointer(table("asked")), "2");
});

test("a request that could not be sent fails with a retryable error", async () => {
  const gone = await Cable.lay("thrift://127.0.0.1:1");
  gone.remove();
  const store = new HiveStore({ uri: gone.uri, warehouse });
  await assert.rejects(store.createNamespace(["never"], {}), { code: "METASTORE_FAILED", is_retryable: true });
  await store.close();
});

test("concurrent calls share at most 8 connections, and each gets its own response", async () => {
  const names = Array.from({ length: 30 }, (_, index) => `many_${index}`);
  await Promise.all(names.map((name) => far.move([to(name, null, name)])));
  assert.deepEqual(await Promise.all(names.map((name) => far.pointer(table(name)))), names);
  assert.ok(cable.most_at_once <= 8);
});

test("names that Hive would fold or reject are rejected, and are not found", async () => {
  for (const namespace of [["Upper"], ["with space"], ["a", "b"]]) {
    await assert.rejects(near.createNamespace(namespace, {}), { code: "UNSUPPORTED" });
    assert.equal(await near.namespaceProperties(namespace), null);
  }
  await near.move([to("lower", null, "1")]);
  await assert.rejects(near.move([to("LOWER", null, "2")]), { code: "UNSUPPORTED" });
  assert.equal(await near.pointer(table("LOWER")), null);
});

/** A proxy between a client and the metastore; drops the response to one call, by the call's name. */
class Cable {
  cut_answer_to: string | null = null;
  most_at_once = 0;
  readonly uri: string;
  readonly #server: Server;
  readonly #ends = new Set<Socket>();

  private constructor(server: Server, metastore: URL) {
    this.#server = server;
    this.uri = `thrift://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (client) => this.#join(client, connect(Number(metastore.port), metastore.hostname)));
  }

  static async lay(uri: string): Promise<Cable> {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    return new Cable(server, new URL(uri));
  }

  #join(client: Socket, metastore: Socket): void {
    this.#ends.add(client);
    this.most_at_once = Math.max(this.most_at_once, this.#ends.size);
    let is_cutting = false;
    client.on("data", (bytes) => {
      is_cutting = this.cut_answer_to !== null && bytes.includes(this.cut_answer_to);
      metastore.write(bytes);
    });
    metastore.on("data", (bytes) => {
      if (!is_cutting) return client.write(bytes);
      this.cut_answer_to = null;
      client.destroy();
      return false;
    });
    client.on("close", () => {
      this.#ends.delete(client);
      metastore.destroy();
    });
    metastore.on("close", () => client.destroy());
    for (const end of [client, metastore]) end.on("error", () => end.destroy());
  }

  /** Resolves when all connections open at the call are closed. */
  async breakAll(): Promise<void> {
    await Promise.all(
      [...this.#ends].map((end) => new Promise<void>((closed) => void end.once("close", () => closed()).destroy())),
    );
  }

  remove(): void {
    this.#server.close();
    for (const end of this.#ends) end.destroy();
  }
}
