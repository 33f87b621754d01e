import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { checkSpeed, Pace } from "../../src/source/pace.ts";
import { waitUntil } from "../../src/source/wait.ts";
import { FakeClock } from "./fake-clock.ts";

test("A wait ends at its time, is cut into slices, and a moment in the past is not waited for.", async () => {
  const clock = new FakeClock();
  const begun_us = clock.now_us();
  assert.equal(await waitUntil(clock, begun_us + 100_000_001, new AbortController().signal), true);
  assert.deepEqual(clock.waits_ms, [30_000, 30_000, 30_000, 10_001]);
  assert.equal(await waitUntil(clock, begun_us, new AbortController().signal), true);
  assert.equal(clock.waits_ms.length, 4);
});

test("A wait that is aborted, before or during it, resolves to false at once.", async () => {
  const abort = new AbortController();
  const waiting = waitUntil(systemClock, systemClock.now_us() + 60_000_000, abort.signal);
  abort.abort();
  assert.equal(await waiting, false);
  assert.equal(await waitUntil(systemClock, 0, abort.signal), false);
});

test("A clock that fails is not taken for an abort.", async () => {
  const clock = { now_us: () => 0, wait: async () => Promise.reject(new Error("broken")) };
  await assert.rejects(waitUntil(clock, 1000, new AbortController().signal), /broken/);
});

test("The first moment that a pace is asked for is now, and later ones follow at its speed.", () => {
  const clock = new FakeClock();
  const pace = new Pace(clock, 4);
  const begun_us = clock.now_us();
  assert.deepEqual([1000, 5000, 200].map((recorded_us) => pace.due_us(recorded_us) - begun_us), [0, 1000, -200]);
});

test("A speed is max or a number above zero.", () => {
  for (const speed of [0.01, 1, 5000, "max"] as const) checkSpeed(speed);
  for (const speed of [0, -1, NaN, Infinity]) assert.throws(() => checkSpeed(speed), RangeError);
});
