import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Gate } from "../../src/base/gate.ts";

/** Work that notes when it begins and ends, and ends on request. */
function work(name: string, events: string[]) {
  const asked = Promise.withResolvers<undefined>();
  const run = async (): Promise<string> => {
    events.push(`${name} begins`);
    await asked.promise;
    events.push(`${name} ends`);
    return name;
  };
  return { run, end: () => asked.resolve(undefined), fail: () => asked.reject(new Error(name)) };
}

test("work runs together, or alone between what began before and what comes after", async () => {
  const gate = new Gate();
  const events: string[] = [];
  const first = work("first", events);
  const second = work("second", events);
  const change = work("change", events);
  const other_change = work("other change", events);
  const later = work("later", events);
  const results = [
    gate.together(first.run),
    gate.together(second.run),
    gate.alone(change.run),
    gate.alone(other_change.run),
    gate.together(later.run),
  ];
  for (const step of [second, first, change, other_change, later]) {
    await turn();
    step.end();
  }
  assert.deepEqual(await Promise.all(results), ["first", "second", "change", "other change", "later"]);
  assert.deepEqual(events.slice(0, 5), ["first begins", "second begins", "second ends", "first ends", "change begins"]);
  assert.equal(events[5], "change ends");
  const [begun, ended] = ["other change begins", "other change ends"].map((event) => events.indexOf(event));
  assert.ok(begun! + 1 === ended, events.join(", "));
});

test("a failure settles its caller alone, and the next work runs", async () => {
  const gate = new Gate();
  const events: string[] = [];
  const reader = work("reader", events);
  const change = work("change", events);
  const failed = [gate.together(reader.run), gate.alone(change.run)];
  const next = gate.together(() => Promise.resolve("next"));
  reader.fail();
  change.fail();
  const outcomes = await Promise.allSettled(failed);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  assert.equal(await next, "next");
});
