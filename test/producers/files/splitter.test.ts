import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { MAX_ELEMENT_BYTES, Splitter, whyInvalid } from "../../../producers/files/splitter.ts";

interface Split {
  text: string;
  size_bytes: number;
  is_element: boolean;
}

/** Splits bytes that arrive in chunks of the given sizes, used in turn. */
function split(content: string | Buffer, chunk_bytes: readonly number[] = [Infinity]) {
  const bytes = Buffer.from(content);
  const pieces: Split[] = [];
  const splitter = new Splitter(({ bytes: piece, size_bytes, reason }) => {
    pieces.push({ text: piece.toString(), size_bytes, is_element: (reason ?? whyInvalid(piece)) === null });
  });
  for (let from = 0, turn = 0; from < bytes.length; turn += 1) {
    const size = chunk_bytes[turn % chunk_bytes.length] ?? 1;
    splitter.push(Buffer.from(bytes.subarray(from, from + size)));
    from += size;
  }
  const { is_incomplete } = splitter;
  splitter.end();
  return { pieces, is_incomplete };
}

const elementsIn = (pieces: readonly Split[]): string[] =>
  pieces.flatMap(({ text, is_element }) => (is_element ? [text] : []));

const chunking = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
const anyObject = fc.dictionary(fc.string(), fc.jsonValue());
const spacing = fc.constantFrom(undefined, 1, "\t");

type Layout = (texts: readonly string[]) => string;
const LAYOUTS: Record<string, Layout> = {
  array: (texts) => `[${texts.join(",")}]`,
  "array with one element per line": (texts) => `\uFEFF[\n${texts.join(",\n")}\n]\n`,
  lines: (texts) => texts.map((text) => `${text}\r\n`).join(""),
  "lines without a final newline": (texts) => texts.join("\n"),
  concatenated: (texts) => texts.join(""),
};

for (const [name, layout] of Object.entries(LAYOUTS)) {
  test(`the splitter returns the elements of any JSON byte for byte: ${name}`, () => {
    const objects = fc.array(fc.tuple(anyObject, spacing), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(objects, chunking, (values, chunks) => {
        const texts = values.map(([value, space]) => JSON.stringify(value, null, space));
        const { pieces, is_incomplete } = split(layout(texts), chunks);
        assert.deepEqual(elementsIn(pieces), texts);
        assert.equal(pieces.length, texts.length);
        assert.equal(is_incomplete, false);
      }),
      { numRuns: 100 },
    );
  });
}

test("values that are not objects are elements too, and an array after an object is one element", () => {
  assert.deepEqual(elementsIn(split('[12,"a",null,[1,2],{"b":[]}]').pieces), [
    "12",
    '"a"',
    "null",
    "[1,2]",
    '{"b":[]}',
  ]);
  assert.deepEqual(elementsIn(split('{"a":1}\n[1,{"b":2}]\n-1.5e3\ntrue').pieces), [
    '{"a":1}',
    '[1,{"b":2}]',
    "-1.5e3",
    "true",
  ]);
  assert.deepEqual(split("[] \n").pieces, []);
});

test("content that ends early keeps its complete elements and is reported as incomplete", () => {
  const objects = fc.array(anyObject, { minLength: 1, maxLength: 6 });
  const names = fc.constantFrom(...Object.keys(LAYOUTS));
  fc.assert(
    fc.property(objects, names, fc.double({ min: 0, max: 1, noNaN: true }), chunking, (values, name, share, chunks) => {
      const texts = values.map((value) => JSON.stringify(value));
      const whole = Buffer.from(LAYOUTS[name]?.(texts) ?? "");
      const cut = whole.subarray(0, Math.floor(whole.length * share));
      const { pieces, is_incomplete } = split(cut, chunks);
      const elements = elementsIn(pieces);
      assert.deepEqual(elements, texts.slice(0, elements.length));
      // What follows the last whole element is one piece.
      assert.ok(pieces.length - elements.length <= 1);
      const is_whole_array = name.startsWith("array") && cut.toString().trim() === whole.toString().trim();
      const is_whole = name.startsWith("array")
        ? is_whole_array
        : pieces.length === elements.length && elements.length > 0;
      assert.equal(is_incomplete, !is_whole);
    }),
    { numRuns: 200 },
  );
});

test("a truncated line is one malformed piece and costs no other line", () => {
  const line = fc.record({
    text: anyObject.map((value) => JSON.stringify(value)),
    cut: fc.option(fc.nat(), { freq: 1 }),
  });
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 8 }), chunking, (lines, chunks) => {
      const cut = lines.map(({ text, cut: at }) => (at === null ? text : text.slice(0, 1 + (at % (text.length - 1)))));
      const last = '{"last":true}';
      const { pieces } = split([...cut, last].map((text) => `${text}\n`).join(""), chunks);
      const is_cut = (index: number): boolean => (lines[index]?.cut ?? null) !== null;
      assert.deepEqual(
        pieces.map(({ text, is_element }) => [text, is_element]),
        [...cut.map((text, index) => [text.trimEnd(), !is_cut(index)]), [last, true]],
      );
    }),
    { numRuns: 200 },
  );
});

test("the pieces of any bytes do not depend on chunk boundaries, and together they hold all content", () => {
  const noise = fc
    .array(
      fc.constantFrom("{", "}", "[", "]", '"', ",", ":", "\\", "\n", " ", "1", "tru", "é", '{"a":1}', '"b":', "\n{"),
    )
    .map((parts) => Buffer.from(parts.join("")));
  fc.assert(
    fc.property(noise, chunking, (content, chunks) => {
      const { pieces, is_incomplete } = split(content);
      const other = split(content, chunks);
      assert.deepEqual([other.pieces, other.is_incomplete], [pieces, is_incomplete]);
      let rest = content.toString();
      for (const { text } of pieces) {
        const at = rest.indexOf(text);
        assert.match(rest.slice(0, at), /^[\s,[\]]*$/);
        rest = rest.slice(at + text.length);
      }
      assert.match(rest, /^[\s,[\]]*$/);
    }),
    { numRuns: 1_000 },
  );
});

test("an element that is too large or too deeply nested is malformed, and later elements are not lost", () => {
  const sized = (bytes: number): string => `{"a":"${"x".repeat(bytes - 8)}"}`;
  const { pieces } = split(`[{"b":1},${sized(MAX_ELEMENT_BYTES)},${sized(MAX_ELEMENT_BYTES + 1)},{"c":2}]`, [100_000]);
  assert.deepEqual(
    pieces.map(({ size_bytes, is_element }) => [size_bytes, is_element]),
    [
      [7, true],
      [MAX_ELEMENT_BYTES, true],
      [MAX_ELEMENT_BYTES + 1, false],
      [7, true],
    ],
  );
  // An array that is never closed does not swallow the lines below it.
  const values = Array.from({ length: MAX_ELEMENT_BYTES / 1_000 }, () => `"${"x".repeat(1_000)}",`).join("\n");
  const lines = split(`{"a":[\n${values}\n{"c":2}\n`, [65_536]).pieces;
  assert.deepEqual([lines[0]?.text, lines.at(-1)?.text], ['{"a":[', '{"c":2}']);
  assert.deepEqual(elementsIn(split(`${'{"a":'.repeat(200)}\n{"b":1}\n`).pieces).slice(-1), ['{"b":1}']);
});

test("text that is not UTF-8 is malformed", () => {
  const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}\n{"b":1}\n')]);
  assert.deepEqual(
    split(bytes).pieces.map(({ is_element }) => is_element),
    [false, true],
  );
});
