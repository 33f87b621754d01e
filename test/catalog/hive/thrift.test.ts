import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { encodeCall, Incomplete, MESSAGE_KIND, MessageReader } from "../../../src/catalog/hive/thrift/binary.ts";
import { parseIdl, type Struct } from "../../../src/catalog/hive/thrift/idl.ts";

const IDL = `
// a comment: { is } skipped
struct Inner { 1: string name, 4: list<i32> numbers }
struct Outer { 1: Inner inner, 2: map<string, string> words, 3: bool is_set, 7: list<Inner> inners }
exception Bad { 1: string message }
service S {
  Outer ask(1: Outer outer, 2: i32 count) throws (1: Bad o1)
  void tell(1: string word)
}`;
const ask = parseIdl(IDL).get("ask")!;
const ARGS = {
  outer: {
    inner: { name: "día", numbers: [0, -1, 2_147_483_647] },
    words: { a: "1", "b c": "" },
    is_set: true,
    inners: [{ name: "x", numbers: [] }],
  },
  count: -5,
};

test("the IDL parser gives each method its arguments, its result as field 0 and its exceptions", () => {
  const { args, result } = ask;
  assert.deepEqual(
    args.fields.map(({ id, name }) => [id, name]),
    [
      [1, "outer"],
      [2, "count"],
    ],
  );
  assert.deepEqual(
    result.fields.map(({ id, name }) => [id, name]),
    [
      [0, "success"],
      [1, "o1"],
    ],
  );
  assert.deepEqual(parseIdl(IDL).get("tell")?.result.fields, []);
  assert.throws(() => parseIdl("struct S { 1: Unheard of }"), { code: "INVALID_IDL", message: /Unheard/ });
});

test("the metastore's IDL is parsed into 12 methods, each with exceptions", () => {
  const methods = parseIdl(
    readFileSync(new URL("../../../src/catalog/hive/metastore.thrift", import.meta.url), "utf8"),
  );
  assert.equal(methods.size, 12);
  assert.ok([...methods.values()].every(({ result }) => result.fields.some(({ name }) => name.startsWith("o"))));
});

test("a call round-trips, and fields unknown to the reader are skipped", () => {
  const reader = new MessageReader(encodeCall("ask", ask.args, ARGS, 9));
  assert.deepEqual(reader.header(), { kind: MESSAGE_KIND.call, method: "ask", sequence_id: 9 });
  assert.deepEqual(reader.struct(ask.args), ARGS);
  const narrow: Struct = { name: "narrow", fields: ask.args.fields.slice(1) };
  const second = new MessageReader(encodeCall("ask", ask.args, ARGS, 9));
  second.header();
  assert.deepEqual(second.struct(narrow), { count: -5 });
});

test("a message truncated anywhere is incomplete, never misread", () => {
  const whole = encodeCall("ask", ask.args, ARGS, 1);
  for (let size = 0; size < whole.length; size += 1) {
    const reader = new MessageReader(whole.subarray(0, size));
    assert.throws(() => {
      reader.header();
      reader.struct(ask.args);
    }, Incomplete);
  }
});

test("a call is encoded as Thrift's specification says", () => {
  const tell = parseIdl(IDL).get("tell")!;
  assert.equal(
    encodeCall("tell", tell.args, { word: "hi" }, 1).toString("hex"),
    ["80010001", "00000004", "74656c6c", "00000001", "0b0001", "00000002", "6869", "00"].join(""),
  );
});
