import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseRecordLine } from "../../src/producer/json-lines.ts";
import { recordLine } from "./record-line.ts";

const good = { source: "feed", ingested_at: "2025-10-10T21:00:00.5Z", payload: "{}" };

test("any record is restored from its line byte for byte", () => {
  const name = fc.string({ minLength: 1, unit: "grapheme" });
  const record = fc.record({
    key: name,
    source: name,
    payload: fc.uint8Array(),
    ingested_at_us: fc.integer({ min: 0, max: 9_000_000_000_000_000 }),
  });
  fc.assert(
    fc.property(record, (expected) => {
      const parsed = parseRecordLine(Buffer.from(recordLine(expected)));
      assert.deepEqual({ ...parsed, payload: [...parsed!.payload] }, { ...expected, payload: [...expected.payload] });
    }),
  );
});

test("the key defaults to the source, and unknown fields are ignored", () => {
  const parsed = parseRecordLine(Buffer.from(JSON.stringify({ ...good, more: [1] })));
  assert.deepEqual([parsed?.key, parsed?.source, parsed?.ingested_at_us], ["feed", "feed", 1_760_130_000_500_000]);
});

const MALFORMED: [string, string][] = [
  ["no JSON", "{"],
  ["a list", "[1]"],
  ["null", "null"],
  ["no source", JSON.stringify({ ...good, source: undefined })],
  ["an empty source", JSON.stringify({ ...good, source: "" })],
  ["an empty key", JSON.stringify({ ...good, key: "" })],
  ["a key that is not a string", JSON.stringify({ ...good, key: 1 })],
  ["no time", JSON.stringify({ ...good, ingested_at: undefined })],
  ["a time without a zone", JSON.stringify({ ...good, ingested_at: "2025-10-10T21:00:00" })],
  ["a negative time", JSON.stringify({ ...good, ingested_at: -1 })],
  ["no payload", JSON.stringify({ ...good, payload: undefined })],
  ["a payload that is not a string", JSON.stringify({ ...good, payload: {} })],
  ["two payloads", JSON.stringify({ ...good, payload_base64: "AA==" })],
  ["bad base64", JSON.stringify({ ...good, payload: undefined, payload_base64: "A" })],
  ["a payload with a lone surrogate", '{"source":"s","ingested_at":"2025-10-10T21:00:00Z","payload":"\\ud800"}'],
];
for (const [title, line] of MALFORMED) {
  test(`a line with ${title} is malformed`, () => assert.equal(parseRecordLine(Buffer.from(line)), null));
}

test("a line that is not UTF-8 is malformed", () => {
  assert.equal(
    parseRecordLine(
      Buffer.concat([
        Buffer.from('{"source":"'),
        Buffer.from([0xff]),
        Buffer.from(`",${JSON.stringify(good).slice(1)}`),
      ]),
    ),
    null,
  );
});
