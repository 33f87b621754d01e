import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AnswerCache } from "../../src/serve/cache.ts";

/** A clock that only the test moves. */
class StillClock {
  ms = 0;
  now_us = (): number => this.ms * 1000;
  wait = (): Promise<void> => Promise.resolve();
}

const AGE = { fresh_ms: 1_000, stale_ms: 60_000 };

/** A cache whose entries each cost `cost_ms` of the clock, with a count of their computations. */
function counted(cost_ms: number) {
  const clock = new StillClock();
  const cache = new AnswerCache(clock);
  const computed = new Map<string, number>();
  const ask = (key: string, age: Parameters<AnswerCache["get"]>[1] = AGE) =>
    cache.get(key, age, () => {
      clock.ms += cost_ms;
      computed.set(key, (computed.get(key) ?? 0) + 1);
      return Promise.resolve(computed.get(key));
    });
  return { clock, computed, ask };
}

describe("the answer cache", () => {
  test("spends at most 3.5 percent of the time on refreshes, spread evenly over any number of entries", async () => {
    for (const entries of [1, 5, 20]) {
      const { clock, computed, ask } = counted(50);
      const until_ms = 600_000;
      let asked_ms = 0;
      while (clock.ms < until_ms) {
        for (let entry = 0; entry < entries; entry += 1) await ask(`answer ${entry}`);
        asked_ms += 1_000;
        clock.ms = Math.max(clock.ms, asked_ms);
      }
      const spent_ms = [...computed.values()].reduce((sum, times) => sum + times, 0) * 50;
      assert.ok(spent_ms / clock.ms <= 0.035, `${entries} entries took ${spent_ms} of ${clock.ms} ms`);
      const refreshes = [...computed.values()];
      assert.ok(
        Math.min(...refreshes) > 5 && Math.max(...refreshes) - Math.min(...refreshes) <= 2,
        `each entry has its turn: ${refreshes.join(", ")}`,
      );
    }
  });

  test("does not count entries that are no longer requested", async () => {
    const { clock, computed, ask } = counted(300);
    for (let entry = 0; entry < 10; entry += 1) await ask(`left ${entry}`);
    clock.ms += 31_000;
    await ask("open");
    clock.ms += 12_000;
    await ask("open");
    assert.equal(computed.get("open"), 2);
  });

  test("refreshes an entry of the same version only once stale, and one of another version when due", async () => {
    const { clock, computed, ask } = counted(1);
    await ask("answer", { ...AGE, version: "one" });
    clock.ms += 59_000;
    assert.equal(await ask("answer", { ...AGE, version: "one" }), 1);
    assert.equal(computed.get("answer"), 1);
    // The entry is refreshed now, for the next request.
    assert.equal(await ask("answer", { ...AGE, version: "two" }), 1);
    await Promise.resolve();
    assert.equal(computed.get("answer"), 2);
    clock.ms += 60_000;
    assert.equal(await ask("answer", { ...AGE, version: "two" }), 3);
  });

  test("waits for the new value when the old one is stale", async () => {
    const { clock, ask } = counted(5_000);
    await ask("answer");
    clock.ms += 60_000;
    assert.equal(await ask("answer"), 2);
  });
});
