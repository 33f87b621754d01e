import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import {
  planPartition,
  namedFile,
  type CompactionLimits,
  type PartitionState,
  type StoredDelete,
  type StoredFile,
} from "../../src/maintain/plan.ts";
import type { ManifestEntry } from "../../src/iceberg/manifest-model.ts";

const LIMITS: CompactionLimits = { target_size_bytes: 128 * 1024 * 1024, fan_in: 8 };
const BYTES_PER_ROW = 60;

function file(name: string, rows: number, overrides: Partial<StoredFile> = {}): StoredFile {
  return {
    location: name,
    spec_id: 0,
    partition: new Map(),
    rows,
    size_bytes: rows * BYTES_PER_ROW,
    sequence_number: 1,
    window_ms: 0,
    deletes: [],
    ...overrides,
  };
}

function deletion(name: string, rows: number, ...names: readonly string[]): StoredDelete {
  return { location: name, rows, sequence_number: 2, names: new Set(names) };
}

const HOUR_MS = 3_600_000;
const COLD: PartitionState = { kind: "cold" };
const BY_SIZE: PartitionState = { kind: "sizes" };
const anyState = fc.constantFrom<PartitionState>(COLD, BY_SIZE, { kind: "windows", open_window_ms: 5 * HOUR_MS });

/** Files of any size, in window order, some with separate or shared delete files. */
const anyFiles = fc
  .array(
    fc.record({
      window: fc.integer({ min: 0, max: 6 }),
      rows: fc.integer({ min: 0, max: 5_000_000 }),
      bytes_per_row: fc.integer({ min: 1, max: 200 }),
      deletes: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }),
    }),
    { maxLength: 60 },
  )
  .map((unordered) => {
    const drawn = unordered.toSorted((a, b) => a.window - b.window);
    const shared = Array.from({ length: 6 }, (_, index) =>
      deletion(
        `delete-${index}`,
        5,
        ...drawn.flatMap(({ deletes }, at) => (deletes.includes(index) ? [`file-${at}`] : [])),
      ),
    );
    return drawn.map(({ window, rows, bytes_per_row, deletes }, index) =>
      file(`file-${index}`, rows, {
        window_ms: window * HOUR_MS,
        size_bytes: rows * bytes_per_row + 300,
        deletes: [...new Set(deletes)].map((at) => shared[at]!),
      }),
    );
  });

describe("the compaction plan", () => {
  test("puts no file in two bins, and each bin keeps the file order, has all deletes and fits the target", () => {
    fc.assert(
      fc.property(anyFiles, fc.integer({ min: 2, max: 12 }), anyState, (files, fan_in, state) => {
        const limits = { ...LIMITS, fan_in };
        const bins = planPartition(files, limits, state);
        const planned = bins.flatMap((bin) => bin.files.map(({ location }) => location));
        assert.deepEqual(
          planned,
          files.map(({ location }) => location).filter((location) => planned.includes(location)),
        );
        for (const bin of bins) {
          assert.deepEqual(
            new Set(bin.delete_files),
            new Set(bin.files.flatMap(({ deletes }) => deletes.map(({ location }) => location))),
          );
          assert.ok(bin.files.length > 1 || bin.delete_files.length > 0, "a bin changes something");
          assert.ok(
            bin.files.length === 1 ||
              bin.files.reduce((sum, { size_bytes }) => sum + size_bytes, 0) <= limits.target_size_bytes,
          );
        }
      }),
    );
  });

  test("rewrites its own output for a bounded number of rounds, then leaves it unchanged", () => {
    fc.assert(
      fc.property(anyFiles, anyState, (drawn, state) => {
        let files = drawn;
        for (let round = 0; ; round += 1) {
          const bins = planPartition(files, LIMITS, state);
          if (bins.length === 0) break;
          assert.ok(round < 100, "a hundred rounds");
          files = afterwards(files, bins, `round-${round}`);
        }
      }),
    );
  });

  for (const rows of [1, 250, 10_000]) {
    test(`2,000 commits of ${rows} rows rewrite at most log8(2,000) + 1 times their bytes and keep few files`, () => {
      const { amplification, most_files } = simulate(2_000, () => rows);
      const bound = Math.log(2_000) / Math.log(LIMITS.fan_in) + 1;
      assert.ok(amplification <= bound, `${amplification.toFixed(2)} times, of at most ${bound.toFixed(2)}`);
      assert.ok(most_files <= 8 * 5, `${most_files} files at most`);
    });
  }

  test("commits of very different sizes do not rewrite large files for a few rows", () => {
    const { amplification, most_files } = simulate(2_000, (commit) => (commit % 100 === 0 ? 20_000 : 3));
    assert.ok(amplification <= Math.log(2_000) / Math.log(LIMITS.fan_in) + 1, amplification.toFixed(2));
    assert.ok(most_files <= 60, `${most_files} files at most`);
    const one_large = simulate(1_000, (commit) => (commit === 0 ? 100_000 : 1));
    assert.ok(one_large.amplification <= 1.2, one_large.amplification.toFixed(2));
  });

  test("files of a closed window are merged into one, which is not rewritten while the partition is hot", () => {
    const windowed = (name: string, rows: number, window: number) => file(name, rows, { window_ms: window * HOUR_MS });
    const past = [
      ...Array.from({ length: 24 }, (_, window) => windowed(`w${window}`, 50_000, window)),
      windowed("new", 900, 23),
      windowed("newer", 900, 24),
    ];
    const plan = (open: number) =>
      planPartition(past, LIMITS, { kind: "windows", open_window_ms: open * HOUR_MS }).map((bin) =>
        bin.files.map(({ location }) => location),
      );
    assert.deepEqual(plan(23), []);
    assert.deepEqual(plan(24), [["w23", "new"]]);
  });

  test("eight days of commits to a hot partition rewrite less than four times their bytes and keep few files", () => {
    let files: StoredFile[] = [];
    let [ingested, rewritten, most_files] = [0, 0, 0];
    for (let minute = 0; minute < 60 * 24 * 8; minute += 1) {
      const window_ms = Math.floor(minute / 60) * HOUR_MS;
      files.push(file(`commit-${minute}`, 900, { window_ms }));
      ingested += files.at(-1)!.size_bytes;
      const bins = planPartition(files, LIMITS, { kind: "windows", open_window_ms: window_ms });
      rewritten += bins.flatMap((bin) => bin.files).reduce((sum, { size_bytes }) => sum + size_bytes, 0);
      files = afterwards(files, bins, `after-${minute}`);
      most_files = Math.max(most_files, files.length);
    }
    assert.ok(rewritten / ingested < 4, `${(rewritten / ingested).toFixed(2)} times`);
    assert.ok(most_files <= 32 * 3, `${most_files} files at most`);
    if (process.env["FIGURES"]) console.log("windows", (rewritten / ingested).toFixed(2), most_files);
  });

  test("all incomplete files of a cold partition are merged at once", () => {
    const files = [file("a", 10), file("b", 10_000), file("complete", 2_000_000)];
    assert.deepEqual(
      planPartition(files, LIMITS, COLD).map((bin) => bin.files.map(({ location }) => location)),
      [["a", "b"]],
    );
    assert.deepEqual(planPartition(files, LIMITS, BY_SIZE), []);
  });

  test("an oversize file is rewritten only for many deletes", () => {
    const rows = 10_000_000;
    const withDeletes = (count: number, each: number) =>
      file("large", rows, {
        deletes: Array.from({ length: count }, (_, index) => deletion(`d${index}`, each, "large")),
      });
    assert.deepEqual(planPartition([withDeletes(0, 0)], LIMITS, BY_SIZE), []);
    assert.deepEqual(planPartition([withDeletes(8, 10)], LIMITS, BY_SIZE), []);
    assert.equal(planPartition([withDeletes(8, rows / 40)], LIMITS, BY_SIZE).length, 1, "a fifth of its rows");
    assert.equal(planPartition([withDeletes(32, 1)], LIMITS, BY_SIZE).length, 1, "every reader opens 32 files");
  });

  test("the data file of a delete is known from its field or equal bounds, not from different bounds", () => {
    const entry = (lower: string, upper: string, referenced: string | null = null) => {
      const bounds = (text: string) => new Map([[2147483646, Buffer.from(text)]]);
      return {
        data_file: { referenced_data_file: referenced, lower_bounds: bounds(lower), upper_bounds: bounds(upper) },
      } as unknown as ManifestEntry;
    };
    assert.equal(namedFile(entry("file:/a/b", "file:/a/b")), "file:///a/b");
    assert.equal(namedFile(entry("file:///a", "file:///b")), null);
    assert.equal(namedFile(entry("x", "y", "/a/b")), "file:///a/b");
    assert.equal(
      namedFile({
        data_file: { referenced_data_file: null, lower_bounds: null, upper_bounds: null },
      } as unknown as ManifestEntry),
      null,
    );
  });
});

function afterwards(files: readonly StoredFile[], bins: ReturnType<typeof planPartition>, name: string): StoredFile[] {
  const gone = new Set(bins.flatMap((bin) => bin.files));
  const made = bins.map((bin, index) => {
    const rows = bin.files.reduce((sum, each) => sum + each.rows, 0);
    const window_ms = Math.max(...bin.files.map((each) => each.window_ms));
    return file(`${name}-${index}`, rows, {
      window_ms,
      size_bytes: bin.files.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
    });
  });
  return [...files.filter((each) => !gone.has(each)), ...made].toSorted((a, b) => a.window_ms - b.window_ms);
}

/** Bytes rewritten per byte ingested. */
function simulate(commits: number, rowsOf: (commit: number) => number): { amplification: number; most_files: number } {
  let files: StoredFile[] = [];
  let [ingested, rewritten, most_files] = [0, 0, 0];
  for (let commit = 0; commit < commits; commit += 1) {
    const added = file(`commit-${commit}`, rowsOf(commit));
    ingested += added.size_bytes;
    files.push(added);
    const bins = planPartition(files, LIMITS, BY_SIZE);
    rewritten += bins.flatMap((bin) => bin.files).reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    files = afterwards(files, bins, `after-${commit}`);
    most_files = Math.max(most_files, files.length);
  }
  if (process.env["FIGURES"]) console.log(commits, rowsOf(0), rowsOf(1), (rewritten / ingested).toFixed(3), most_files);
  return { amplification: rewritten / ingested, most_files };
}
