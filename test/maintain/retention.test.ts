import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { historyProperty, HISTORY_PROPERTY } from "../../src/iceberg/metadata/history.ts";
import type { Long, TableMetadata } from "../../src/iceberg/model.ts";
import {
  DEFAULT_RETENTION,
  keepWithin,
  snapshotsToKeep,
  UNSETTLED_BYTES,
  type RetentionPolicy,
} from "../../src/maintain/retention.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = Date.parse("2026-03-14T12:34:56Z");

interface Made {
  id: number;
  at_ms: number;
  is_compacted?: boolean;
}

function metadataOf(
  made: readonly Made[],
  refs: TableMetadata["refs"] = {},
  properties: Record<string, string> = {},
): TableMetadata {
  const current = made.at(-1)?.id ?? null;
  return {
    "format-version": 2,
    "current-snapshot-id": current,
    refs: { ...(current === null ? {} : { main: { "snapshot-id": current, type: "branch" as const } }), ...refs },
    properties,
    snapshots: made.map(({ id, at_ms, is_compacted }, index) => ({
      "snapshot-id": id,
      ...(index === 0 ? {} : { "parent-snapshot-id": made[index - 1]!.id }),
      "sequence-number": id,
      "timestamp-ms": at_ms,
      "manifest-list": `file:///snap-${id}.avro`,
      summary: { operation: is_compacted === true ? "replace" : "append" },
    })),
    "snapshot-log": made.map(({ id, at_ms }) => ({ "snapshot-id": id, "timestamp-ms": at_ms })),
    "metadata-log": [],
  } as unknown as TableMetadata;
}

/** The metadata after expiry: the kept snapshots, and the times at which they were current. */
function expired(metadata: TableMetadata, kept: ReadonlySet<Long>): TableMetadata {
  const snapshots = metadata.snapshots.filter((snapshot) => kept.has(snapshot["snapshot-id"]));
  return {
    ...metadata,
    snapshots,
    "snapshot-log": metadata["snapshot-log"].slice(-1),
    properties: { [HISTORY_PROPERTY]: historyProperty(metadata, kept) },
  };
}

/**
 * Asserts that for any moment within a tier, the result lags by less than two of the tier's intervals, or not at all if
 * the tier keeps every snapshot.
 */
function assertPromise(all: readonly Made[], left: readonly Made[], now_ms: number, { tiers }: RetentionPolicy): void {
  for (const { at_ms } of all) {
    // The lag is greatest when a snapshot becomes current, and just before the next one does.
    for (const moment_ms of [at_ms, at_ms + 1, at_ms - 1]) {
      const was = currentAt(all, moment_ms);
      const tier = tiers.find(({ within_ms }) => now_ms - moment_ms <= within_ms);
      if (was === undefined || tier === undefined) continue;
      const is = currentAt(left, moment_ms);
      const lag_ms = is === undefined ? Number.POSITIVE_INFINITY : was.at_ms - is.at_ms;
      const is_kept = tier.every_ms === 0 ? lag_ms === 0 : lag_ms < 2 * tier.every_ms;
      assert.ok(
        is_kept,
        `${(now_ms - moment_ms) / HOUR_MS} hours ago the answer is ${lag_ms / MINUTE_MS} minutes older than it was`,
      );
    }
  }
}

/** The last snapshot not later than `at_ms`, by binary search: histories here have thousands of entries. */
function currentAt(snapshots: readonly Made[], at_ms: number): Made | undefined {
  let [low, high] = [0, snapshots.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (snapshots[middle]!.at_ms <= at_ms) low = middle + 1;
    else high = middle;
  }
  return snapshots[low - 1];
}

/** Intervals of seconds to weeks, so that bursts and silences alternate. */
const anyHistory = fc.array(
  fc.record({
    gap_ms: fc.oneof(
      fc.integer({ min: 1, max: 30_000 }),
      fc.integer({ min: 1, max: HOUR_MS }),
      fc.integer({ min: 1, max: 3 * DAY_MS }),
    ),
    is_compacted: fc.boolean(),
  }),
  { minLength: 1, maxLength: 150 },
);

describe("snapshot retention", () => {
  test("the default policy keeps its promises for any history", () => {
    fc.assert(
      fc.property(anyHistory, fc.integer({ min: 0, max: 40 * DAY_MS }), (gaps, age_ms) => {
        const made = historyFrom(gaps);
        const now_ms = made.at(-1)!.at_ms + age_ms;
        const kept = snapshotsToKeep(metadataOf(made), DEFAULT_RETENTION, now_ms);
        assertPromise(
          made,
          made.filter(({ id }) => kept.has(id)),
          now_ms,
          DEFAULT_RETENTION,
        );
      }),
      { numRuns: 200 },
    );
  });

  test("the default policy keeps its promises under repeated expiry", () => {
    fc.assert(
      fc.property(anyHistory, (gaps) => {
        const made = historyFrom(gaps);
        let metadata = metadataOf([]);
        let left: Made[] = [];
        for (const [index, snapshot] of made.entries()) {
          left.push(snapshot);
          const now_ms = snapshot.at_ms + 1;
          metadata = { ...metadataOf(left), properties: metadata.properties };
          const kept = snapshotsToKeep(metadata, DEFAULT_RETENTION, now_ms);
          metadata = expired(metadata, kept);
          left = left.filter(({ id }) => kept.has(id));
          if (index % 5 === 0) assertPromise(made.slice(0, index + 1), left, now_ms, DEFAULT_RETENTION);
        }
      }),
      { numRuns: 60 },
    );
  });

  function historyFrom(gaps: readonly { gap_ms: number; is_compacted: boolean }[]): Made[] {
    let at_ms = NOW_MS - 100 * DAY_MS;
    return gaps.map(({ gap_ms, is_compacted }, index) => ({ id: index + 1, at_ms: (at_ms += gap_ms), is_compacted }));
  }

  test("five weeks of commits every 30 seconds, expired every 15 minutes, keep a bounded number of snapshots", () => {
    let left: Made[] = [];
    let most = 0;
    let at_ms = NOW_MS - 35 * DAY_MS;
    const all: Made[] = [];
    for (let id = 1; at_ms < NOW_MS; id += 1) {
      at_ms += 30_000;
      // For times before the first tier, one commit per five minutes is enough.
      if (at_ms < NOW_MS - DAY_MS && id % 10 !== 0) continue;
      left.push({ id, at_ms, is_compacted: id % 16 === 0 });
      all.push(left.at(-1)!);
      if (id % 30 !== 0) continue;
      const kept = snapshotsToKeep(metadataOf(left), DEFAULT_RETENTION, at_ms);
      left = left.filter((snapshot) => kept.has(snapshot.id));
      most = Math.max(most, left.length);
    }
    assertPromise(all, left, at_ms, DEFAULT_RETENTION);
    assert.ok(most <= 60 + 30 + 50 + 30 + 32 + 4, `${most} snapshots at most`);
    if (process.env["FIGURES"]) console.log("snapshots", most, left.length);
  });

  test("keeps the compaction of each period with the fewest unsettled bytes", () => {
    const at = (minutes: number) => NOW_MS - 10 * HOUR_MS - (NOW_MS % HOUR_MS) + minutes * MINUTE_MS;
    const made = [
      { id: 1, at_ms: at(1) },
      { id: 2, at_ms: at(2), is_compacted: true },
      { id: 3, at_ms: at(3), is_compacted: true },
      { id: 4, at_ms: at(4), is_compacted: true },
      { id: 5, at_ms: at(61) },
    ];
    const metadata = metadataOf(made);
    for (const [index, bytes] of [
      [1, "500"],
      [2, "20"],
      [3, "300"],
    ] as const)
      metadata.snapshots[index]!.summary[UNSETTLED_BYTES] = bytes;
    const kept = snapshotsToKeep(metadata, { ...DEFAULT_RETENTION, min_snapshots: 1 }, NOW_MS);
    assert.deepEqual([...kept].sort(), [1, 3, 5], "the first of a time is kept as well");
  });

  test("keeps the snapshots before, at the start and at the end of a burst of commits", () => {
    const burst = Array.from({ length: 100 }, (_, index) => ({
      id: index + 2,
      at_ms: NOW_MS - 3 * DAY_MS + index * 1000,
    }));
    const made = [{ id: 1, at_ms: NOW_MS - 20 * DAY_MS }, ...burst, { id: 500, at_ms: NOW_MS }];
    const kept = snapshotsToKeep(metadataOf(made), { ...DEFAULT_RETENTION, min_snapshots: 1 }, NOW_MS);
    assert.ok(kept.has(101) && kept.has(2) && kept.has(1), [...kept].join(", "));
  });

  test("keeps references, ancestors of branches, the newest and the current snapshot under any policy", () => {
    const made = Array.from({ length: 20 }, (_, index) => ({
      id: index + 1,
      at_ms: NOW_MS - (20 - index) * 30 * DAY_MS,
    }));
    const refs = {
      monthly: { "snapshot-id": 7, type: "tag" as const },
      side: { "snapshot-id": 3, type: "branch" as const },
    };
    const kept = snapshotsToKeep(metadataOf(made, refs), keepWithin(0), NOW_MS);
    assert.deepEqual(
      [...kept].sort((a, b) => Number(a) - Number(b)),
      [1, 2, 3, 7, 20],
    );
    const newest = snapshotsToKeep(metadataOf(made), { tiers: [], min_snapshots: 10 }, NOW_MS);
    assert.equal(newest.size, 10);
    assert.deepEqual(snapshotsToKeep(metadataOf([]), DEFAULT_RETENTION, NOW_MS), new Set());
  });

  test("keeps a snapshot that was never current for a week", () => {
    const made = [
      { id: 1, at_ms: NOW_MS - 9 * DAY_MS },
      { id: 2, at_ms: NOW_MS - 8 * DAY_MS },
      { id: 3, at_ms: NOW_MS - 6 * DAY_MS },
      { id: 4, at_ms: NOW_MS },
    ];
    const metadata = metadataOf(made);
    metadata["snapshot-log"] = metadata["snapshot-log"].slice(-1);
    assert.deepEqual([...snapshotsToKeep(metadata, keepWithin(0), NOW_MS)].sort(), [3, 4]);
  });

  test("expires no snapshot that is newer than a clock that was set back", () => {
    const made = [
      { id: 1, at_ms: NOW_MS },
      { id: 2, at_ms: NOW_MS + HOUR_MS },
      { id: 3, at_ms: NOW_MS + 2 * HOUR_MS },
    ];
    assert.deepEqual([...snapshotsToKeep(metadataOf(made), keepWithin(MINUTE_MS), NOW_MS)].sort(), [1, 2, 3]);
  });
});
