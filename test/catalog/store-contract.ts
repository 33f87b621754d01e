import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { TableIdentifier } from "../../src/iceberg/model.ts";
import type { CatalogStore } from "../../src/catalog/store.ts";
import { pointerMove } from "./pointer-move.ts";

export interface StoreUnderTest {
  store: CatalogStore;
  /** Opens a second store over the same data, as another process would. */
  openAnother(): Promise<CatalogStore>;
  /** Whether namespaces can be nested; some stores are flat. */
  is_nesting: boolean;
  /** Location of tables; only stores that show it to engines check it. */
  warehouse: string;
  /** A table name that the store supports, although careless code would not. */
  unusual_name: string;
  close(): Promise<void>;
}

const NO_CHANGE = { updates: {}, removals: [] };

/** The contract of every CatalogStore. Each test has a separate namespace, so all tests can share one store. */
export function describeCatalogStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`catalog store on ${name}`, () => {
    let under_test: StoreUnderTest;
    let store: CatalogStore;
    before(async () => {
      under_test = await open();
      store = under_test.store;
    });
    after(() => under_test.close());

    const to = (identifier: TableIdentifier, expected: string | null, next: string) =>
      pointerMove(identifier, expected, next, under_test.warehouse);
    const table = (namespace: string, table_name: string) => ({ namespace: [namespace], name: table_name });

    test("a namespace is created once, with its properties", async () => {
      await store.createNamespace(["created"], { owner: "ana", "with space": "é" });
      assert.deepEqual(await store.namespaceProperties(["created"]), { owner: "ana", "with space": "é" });
      assert.equal(await store.namespaceProperties(["never"]), null);
      await assert.rejects(store.createNamespace(["created"], {}), { code: "NAMESPACE_EXISTS" });
      assert.deepEqual(await store.namespaceProperties(["created"]), { owner: "ana", "with space": "é" });
    });

    test("properties are set and removed in one step, which returns the previous ones", async () => {
      await store.createNamespace(["properties"], { a: "1", b: "2" });
      assert.deepEqual(
        await store.changeNamespaceProperties(["properties"], { updates: { c: "3", b: "4" }, removals: ["a", "x"] }),
        { a: "1", b: "2" },
      );
      assert.deepEqual(await store.namespaceProperties(["properties"]), { b: "4", c: "3" });
      await assert.rejects(store.changeNamespaceProperties(["never"], NO_CHANGE), { code: "NAMESPACE_NOT_FOUND" });
    });

    test("only an empty namespace can be dropped", async () => {
      await store.createNamespace(["dropping"], {});
      await store.move([to(table("dropping", "t"), null, "file:///t/1")]);
      await assert.rejects(store.dropNamespace(["dropping"]), { code: "NAMESPACE_NOT_EMPTY" });
      await store.dropTable(table("dropping", "t"));
      await store.dropNamespace(["dropping"]);
      await assert.rejects(store.dropNamespace(["dropping"]), { code: "NAMESPACE_NOT_FOUND" });
    });

    test("namespaces can be nested, and each lists only its direct children", async (t) => {
      if (!under_test.is_nesting) return t.skip("this store is flat");
      await assert.rejects(store.createNamespace(["nest", "inner"], {}), { code: "NAMESPACE_NOT_FOUND" });
      await store.createNamespace(["nest"], {});
      await store.createNamespace(["nest inner"], {});
      for (const inner of ["b", "a", "c d"]) await store.createNamespace(["nest", inner], {});
      await store.createNamespace(["nest", "a", "deep"], {});
      assert.deepEqual(await store.childNamespaces(["nest"]), [
        ["nest", "a"],
        ["nest", "b"],
        ["nest", "c d"],
      ]);
      assert.deepEqual(await store.childNamespaces(["nest", "a"]), [["nest", "a", "deep"]]);
      const top = await store.childNamespaces([]);
      assert.ok(top.every((namespace) => namespace.length === 1));
      assert.deepEqual(
        top,
        top.toSorted(([x = ""], [y = ""]) => Buffer.compare(Buffer.from(x), Buffer.from(y))),
      );
      await assert.rejects(store.dropNamespace(["nest"]), { code: "NAMESPACE_NOT_EMPTY" });
      assert.equal(await store.namespaceProperties(["nest", "nothing"]), null);
    });

    test("a pointer is created once and moves only from its expected location", async () => {
      await store.createNamespace(["moving"], {});
      const identifier = table("moving", "t");
      assert.equal(await store.pointer(identifier), null);
      await store.move([to(identifier, null, "file:///t/1")]);
      assert.equal(await store.pointer(identifier), "file:///t/1");
      await assert.rejects(store.move([to(identifier, null, "file:///t/x")]), {
        code: "COMMIT_CONFLICT",
        is_retryable: true,
      });
      await assert.rejects(store.move([to(identifier, "file:///t/0", "file:///t/x")]), { code: "COMMIT_CONFLICT" });
      await assert.rejects(store.move([to(table("moving", "none"), "file:///t/1", "file:///t/x")]), {
        code: "COMMIT_CONFLICT",
      });
      await assert.rejects(store.move([to(table("never", "t"), null, "file:///t/1")]), { code: "NAMESPACE_NOT_FOUND" });
      await store.move([to(identifier, "file:///t/1", "file:///t/2")]);
      assert.equal(await store.pointer(identifier), "file:///t/2");
    });

    test("several pointers move together or not at all", async (t) => {
      if (!store.is_multi_table) return t.skip("this store moves one pointer at a time");
      await store.createNamespace(["together"], {});
      const [left, right, third] = [table("together", "left"), table("together", "right"), table("together", "third")];
      await store.move([to(left, null, "l1"), to(right, null, "r1")]);
      await assert.rejects(store.move([to(left, "l1", "l2"), to(third, null, "t1"), to(right, "r0", "r2")]), {
        code: "COMMIT_CONFLICT",
      });
      assert.deepEqual(
        [await store.pointer(left), await store.pointer(right), await store.pointer(third)],
        ["l1", "r1", null],
      );
      await store.move([to(left, "l1", "l2"), to(right, "r1", "r2")]);
      assert.deepEqual([await store.pointer(left), await store.pointer(right)], ["l2", "r2"]);
    });

    test("tables are listed by name and only in their own namespace", async () => {
      await store.createNamespace(["listing"], {});
      await store.createNamespace(["listing_not"], {});
      assert.deepEqual(await store.tableNames(["listing"]), []);
      const { unusual_name } = under_test;
      for (const table_name of ["b", unusual_name, "a"])
        await store.move([to(table("listing", table_name), null, table_name)]);
      await store.move([to(table("listing_not", "other"), null, "o")]);
      assert.deepEqual(await store.tableNames(["listing"]), ["a", "b", unusual_name]);
      await assert.rejects(store.tableNames(["never"]), { code: "NAMESPACE_NOT_FOUND" });
    });

    test("a rename moves the pointer and never replaces a table", async () => {
      await store.createNamespace(["from"], {});
      await store.createNamespace(["to"], {});
      await store.move([to(table("from", "t"), null, "file:///t/1")]);
      await store.move([to(table("to", "taken"), null, "file:///taken/1")]);
      await assert.rejects(store.renameTable(table("from", "t"), table("to", "taken")), { code: "TABLE_EXISTS" });
      await assert.rejects(store.renameTable(table("from", "none"), table("to", "u")), { code: "TABLE_NOT_FOUND" });
      await assert.rejects(store.renameTable(table("from", "t"), table("never", "u")), { code: "NAMESPACE_NOT_FOUND" });
      await store.renameTable(table("from", "t"), table("to", "u"));
      assert.deepEqual(
        [await store.pointer(table("from", "t")), await store.pointer(table("to", "u"))],
        [null, "file:///t/1"],
      );
    });

    test("dropping a table removes it and returns its last pointer", async () => {
      await store.createNamespace(["gone"], {});
      await store.move([to(table("gone", "t"), null, "file:///t/1")]);
      assert.equal(await store.dropTable(table("gone", "t")), "file:///t/1");
      assert.equal(await store.pointer(table("gone", "t")), null);
      await assert.rejects(store.dropTable(table("gone", "t")), { code: "TABLE_NOT_FOUND" });
    });

    test("changes are visible to another process immediately, in both directions", async () => {
      const other = await under_test.openAnother();
      try {
        await store.createNamespace(["shared"], {});
        await store.move([to(table("shared", "t"), null, "1")]);
        assert.equal(await other.pointer(table("shared", "t")), "1");
        await other.move([to(table("shared", "t"), "1", "2")]);
        await assert.rejects(store.move([to(table("shared", "t"), "1", "3")]), { code: "COMMIT_CONFLICT" });
        assert.equal(await store.pointer(table("shared", "t")), "2");
      } finally {
        await other.close();
      }
    });

    test("exactly one of many concurrent moves from the same location succeeds", async () => {
      await store.createNamespace(["racing"], {});
      const identifier = table("racing", "t");
      const others = await Promise.all([under_test.openAnother(), under_test.openAnother()]);
      let place = "start";
      await store.move([to(identifier, null, place)]);
      for (let round = 0; round < 20; round += 1) {
        const racers = [store, ...others, store];
        const outcomes = await Promise.allSettled(
          racers.map((racer, index) => racer.move([to(identifier, place, `round ${round} by ${index}`)])),
        );
        const winners = outcomes.flatMap((outcome, index) => (outcome.status === "fulfilled" ? [index] : []));
        assert.equal(winners.length, 1);
        place = `round ${round} by ${winners[0]}`;
        assert.equal(await store.pointer(identifier), place);
        for (const outcome of outcomes)
          if (outcome.status === "rejected") assert.equal(outcome.reason.code, "COMMIT_CONFLICT");
      }
      for (const other of others) await other.close();
    });

    test("invalid names are rejected", async () => {
      for (const namespace of [[], [""], ["a", ""], ["a\u001fb"]]) {
        await assert.rejects(store.createNamespace(namespace, {}), { code: "INVALID_REQUEST" });
      }
    });
  });
}
