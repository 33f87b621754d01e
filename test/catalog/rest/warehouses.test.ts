import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startCatalogServer, type CatalogServer } from "../../../src/catalog/server.ts";
import { openLake, type Lake } from "../lake.ts";

let [market, shop]: (Lake | undefined)[] = [];
let server: CatalogServer;
let second: CatalogServer;

before(async () => {
  [market, shop] = [await openLake(), await openLake()];
  server = await startCatalogServer({ catalog: market.catalog, warehouse: "market", is_only: false, port: 0 });
  await market.catalog.createNamespace(["prices"]);
  await shop.catalog.createNamespace(["orders"]);
});
after(async () => {
  await server.close();
  await market?.close();
  await shop?.close();
});

interface Body {
  error?: { type: string };
  overrides?: { prefix?: string };
  namespaces?: string[][];
}

async function ask(path: string): Promise<{ status: number; body: Body }> {
  const response = await fetch(`${server.url}/v1/${path}`);
  return { status: response.status, body: (await response.json()) as Body };
}

async function unknown(path: string): Promise<void> {
  const { status, body } = await ask(path);
  assert.deepEqual([path, status, body.error?.type], [path, 404, "NoSuchWarehouseException"]);
}

test("a warehouse that is not open yet is unknown and never shows another one's tables", async () => {
  await unknown("config?warehouse=shop");
  await unknown("shop/namespaces");
  second = server.add("shop", shop!.catalog);
  assert.deepEqual([second.url, second.warehouse, second.token], [server.url, "shop", null]);
});

test("a client gets the prefix of its warehouse, and with it that warehouse's tables", async () => {
  const prefixOf = async (query: string) => (await ask(`config${query}`)).body.overrides?.prefix;
  assert.deepEqual(
    [await prefixOf("?warehouse=market"), await prefixOf("?warehouse=shop"), await prefixOf("")],
    ["market", "shop", undefined],
  );
  assert.deepEqual([await prefixOf("?warehouse="), await prefixOf("?warehouse=coinlake")], [undefined, undefined]);
  for (const [path, namespace] of [
    ["namespaces", "prices"],
    ["market/namespaces", "prices"],
    ["shop/namespaces", "orders"],
  ] as const)
    assert.deepEqual((await ask(path)).body.namespaces, [[namespace]], path);
});

test("other warehouse names are unknown, in the query and in the path", async () => {
  for (const path of ["config?warehouse=Shop", "config?warehouse=toString", "x/namespaces", "SHOP/namespaces"])
    await unknown(path);
});

test("a warehouse that was closed is unknown again", async () => {
  await second.close();
  await unknown("shop/namespaces");
  assert.equal((await ask("namespaces")).status, 200);
});

test("the only catalog of a server accepts any warehouse and prefix", async () => {
  const only = await startCatalogServer({ catalog: market!.catalog, warehouse: "market", port: 0 });
  try {
    const config = (await (await fetch(`${only.url}/v1/config?warehouse=any`)).json()) as { overrides: object };
    assert.deepEqual(config.overrides, {});
    const listed = (await (await fetch(`${only.url}/v1/any/namespaces`)).json()) as { namespaces: unknown };
    assert.deepEqual(listed.namespaces, [["prices"]]);
  } finally {
    await only.close();
  }
});
