import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { gunzipSync, inflateRawSync } from "node:zlib";
import * as fc from "fast-check";
import { gzipMember } from "../../src/iceberg/gzip.ts";
import { pythonExecutable } from "../../src/lake/tools.ts";

const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
const words = (count: number, seed: number) =>
  Buffer.from(Array.from({ length: count }, (_, index) => `word ${(index * seed) % 97} `).join(""));

/** Length in bytes of the single deflate stream after the header of `member`. */
function streamLength(member: Uint8Array): number {
  const { engine } = inflateRawSync(member.subarray(HEADER_BYTES), { info: true }) as unknown as {
    engine: { bytesWritten: number };
  };
  return engine.bytesWritten;
}

describe("a gzip member built from parts", () => {
  test("contains the bytes of any parts in one deflate stream", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 8 }), (parts) => {
        const member = gzipMember(parts);
        assert.ok(gunzipSync(member).equals(Buffer.concat(parts)));
        assert.equal(streamLength(member), member.length - HEADER_BYTES - TRAILER_BYTES);
      }),
    );
  });

  test("is correct for reused parts, in any order and mixed with new ones", () => {
    const parts = [words(20_000, 7), words(3, 11), words(50_000, 13)];
    for (const order of [parts, parts.toReversed(), [...parts, words(9, 5), ...parts]])
      assert.ok(gunzipSync(gzipMember(order)).equals(Buffer.concat(order)));
  });

  test("compresses repetitive text at least sevenfold", () => {
    const text = words(50_000, 7);
    assert.ok(gzipMember([text]).length < text.length / 7);
  });

  test(
    "is readable by Python's gzip",
    { skip: existsSync(pythonExecutable()) ? false : "the Python environment is not set up" },
    () => {
      const parts = [words(20_000, 7), words(1, 11), words(50_000, 13)];
      const read = execFileSync(
        pythonExecutable(),
        ["-c", "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))"],
        { input: gzipMember(parts), maxBuffer: 1e8 },
      );
      assert.ok(read.equals(Buffer.concat(parts)));
    },
  );
});
