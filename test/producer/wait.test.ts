import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../src/base/clock.ts";
import { waitUntil } from "../../src/producer/wait.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A clock that jumps by `jump_ms` during the first wait. */
function jumpingClock(jump_ms: number): Clock & { waited_ms: number } {
  let now_ms = 1_800_000_000_000;
  return {
    waited_ms: 0,
    now_us: () => now_ms * 1000,
    async wait(delay_ms) {
      if (this.waited_ms === 0) now_ms += jump_ms;
      now_ms += delay_ms;
      this.waited_ms += delay_ms;
    },
  };
}

for (const [name, jump_ms, most_ms] of [
  ["stays right", 0, HOUR_MS],
  ["is set back by an hour", -HOUR_MS, HOUR_MS],
  ["is set back by a day", -DAY_MS, HOUR_MS],
  ["is set forward by a day", DAY_MS, 30_000],
] as const) {
  test(`a wait of one hour takes no longer when the clock ${name}`, async () => {
    const clock = jumpingClock(jump_ms);
    assert.equal(await waitUntil(clock, clock.now_us() + HOUR_MS * 1000, new AbortController().signal), true);
    assert.equal(clock.waited_ms, most_ms);
  });
}
