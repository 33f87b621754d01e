import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { formatJson, parseJson } from "../../src/iceberg/json.ts";
import { addLongs, canonicalLong, isSameLong } from "../../src/iceberg/long.ts";

test("every 64-bit integer round-trips exactly", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (id) => {
      const text = `{"snapshot-id":${id},"nested":[${id}]}`;
      assert.equal(formatJson(parseJson(text)), text);
    }),
  );
});

test("integers that fit a double stay numbers, larger ones become bigint", () => {
  assert.deepEqual(parseJson("[9007199254740991, 9007199254740992, -9223372036854775808, 1.5, 1e3]"), [
    9007199254740991,
    9007199254740992n,
    -9223372036854775808n,
    1.5,
    1000,
  ]);
});

test("any JSON value round-trips unchanged", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.deepEqual(JSON.parse(formatJson(parseJson(text))), JSON.parse(text));
    }),
  );
});

test("digits inside strings stay unchanged", () => {
  const text = '{"id":9223372036854775807,"text":"9223372036854775807 \\"1234567890123456789\\""}';
  assert.equal(formatJson(parseJson(text)), text);
});

test("longs compare and add by value, as numbers and as bigints", () => {
  assert.ok(isSameLong(5, 5n));
  assert.ok(isSameLong(null, undefined));
  assert.ok(!isSameLong(0, null));
  assert.ok(!isSameLong(9223372036854775807n, 9223372036854775806n));
  assert.equal(addLongs(9007199254740991, 1), 9007199254740992n);
  assert.equal(addLongs(1n, 2), 3);
  assert.equal(canonicalLong(7n), 7);
});
